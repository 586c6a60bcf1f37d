"""The Compare section: Dice, HD95, NSD and volumes that follow the brush, and the ways to the worst place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.desktop.bench import Workbench
from PETCTFusionSegLib.desktop.comparison_details import DetailTables
from PETCTFusionSegLib.desktop.comparison_table import SegmentTable
from PETCTFusionSegLib.desktop.overlay_switch import OverlaySwitch, legendHtml
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.desktop.widgets import makeTimer
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.distance_model import updateDistanceModel
from PETCTFusionSegLib.mrml.live import LiveComparisons, LiveRow
from PETCTFusionSegLib.mrml.live_nodes import LiveNodes
from PETCTFusionSegLib.mrml.worst_place import Ras, WorstPlaces, centreSliceViews, worstPlaces

# While numbers are computed in the background; each look gives the thread Python's lock for POLL_WAIT_S.
POLL_MS, POLL_WAIT_S = 30, 0.01


class CompareSection(Section):
    """Numbers against the reference, while the contour is edited."""

    name = "Compare"

    def __init__(self, bench: Workbench, ui: Any) -> None:

        super().__init__(bench, ui)
        self._comparisons: LiveComparisons | None = None
        self._followed: tuple[Any, Any] = (None, None)
        self._written: LiveNodes | None = None
        self._overlay: OverlaySwitch | None = None
        self._overlayDone = True
        self._table = SegmentTable(ui.comparisonTable)
        self._details = DetailTables(ui, self._showDetails, self._goTo)
        self._flushTimer = makeTimer(0, True, self._flush)
        self._pollTimer = makeTimer(POLL_MS, False, self._poll)
        ui.overlayLegend.text = legendHtml()
        ui.overlayLegend.visible = False
        ui.compareButton.connect("clicked()", self.recompute)
        ui.liveCheckBox.connect("toggled(bool)", self._onLive)
        ui.overlayCheckBox.connect("toggled(bool)", self._onOverlay)
        ui.comparisonTable.connect("itemSelectionChanged()", self._showDetails)
        ui.worstPointButton.connect("clicked()", self.jumpToWorstPoint)
        ui.worstSliceButton.connect("clicked()", self.jumpToWorstSlice)
        ui.distanceButton.connect("clicked()", self.showDistances)
        ui.tablesButton.connect("clicked()", self.showTables)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Compare")

    def waitsFor(self) -> str:
        """A reference, and a segmentation that is not the reference."""
        segmentation, reference = self._nodes()
        if reference is None:
            return _("Choose a reference under Study to see Dice and HD95.")
        return _("There is no result to compare with the reference yet.") if segmentation is None else ""

    def refresh(self) -> None:
        """Follow the nodes chosen now."""
        if self._comparisons is not None and self._followed == self._nodes():
            self._edited()
            return
        self._letGo()
        if self.waitsFor():
            self._fill([], "")
        elif self.bench.study.live:
            self._start()
        else:
            self._fill([], _("Press Compare now to see Dice and HD95."))

    def sceneOpened(self) -> None:
        """Show the scene's own choice."""
        self.ui.liveCheckBox.checked = self.bench.study.live

    def sceneCloses(self) -> None:
        """No observer stays at a node that goes."""
        self._letGo(wait=True)
        self.ui.overlayCheckBox.checked = False
        self._fill([], "")

    def cleanup(self) -> None:
        """As when the scene closes."""
        self.sceneCloses()

    # --- what the user does

    def recompute(self) -> None:
        """Compare from the start; the numbers come from the background."""
        self._letGo()
        if not self.waitsFor():
            self._start()

    def jumpToWorstPoint(self) -> None:
        """Centre the slice views on the contour point that is farthest from the other contour."""
        self._jump(lambda worst: worst.point)

    def jumpToWorstSlice(self) -> None:
        """Centre the slice views on what differs in the slice with the lowest Dice."""
        self._jump(lambda worst: worst.slice)

    def showDistances(self) -> None:
        """Make or update the surface that is coloured by its distance to the reference."""
        row = self._chosenRow()
        if row is None:
            self._say(_waitAMoment())
            return
        try:
            model = updateDistanceModel(self.bench.scene, row)
        except FusionError as error:
            self._say(str(error))
            return
        limit = model.GetDisplayNode().GetScalarRange()[1]
        text = _('"{name}": blue lies inside the reference, red outside; full color at {mm} mm.')
        self._say(text.format(name=model.GetName(), mm=f"{limit:.0f}"))

    def showTables(self) -> None:
        """Write segments, lesions and Dice by slice into the scene; from then on they are kept current."""
        if self._comparisons is None or self._written is None:
            return
        self._written.create(self._comparisons.rows())
        self._written.show()
        self._keepPolling()
        self._say(_("The tables and the plot are in the scene and follow the edits."))

    def _onLive(self, live: bool) -> None:
        self.bench.study.live = bool(live)
        self.bench.changed()

    def _onOverlay(self, shown: bool) -> None:
        self.ui.overlayLegend.visible = bool(shown)
        self._hideOverlay()
        if not shown or self._comparisons is None:
            return
        self._overlay = OverlaySwitch(self.bench.scene)
        try:
            self._overlay.show(*self._followed)
        except FusionError as error:
            self._say(str(error))
        self._updateOverlay()
        self._keepPolling()

    def _jump(self, where: Callable[[WorstPlaces], Ras | None]) -> None:
        row = self._chosenRow()
        worst = worstPlaces(row) if row is not None else None
        if worst is None:
            self._say(_waitAMoment())
            return
        point = where(worst)
        if point is not None:
            self._goTo(point)
        self._say(worst.sentence)

    def _goTo(self, place: Ras) -> None:
        centreSliceViews(self.bench.scene, place)

    # --- numbers that follow

    def _nodes(self) -> tuple[Any, Any]:
        """Segmentation and reference; a segmentation that is the reference is not compared with itself."""
        if not self.bench.sceneOpen:
            return None, None
        edited, reference = self.bench.segmentation(), self.bench.study.reference
        return edited if edited is not reference else None, reference

    def _start(self) -> None:
        self._followed = self._nodes()
        self._comparisons = LiveComparisons(self.bench.scene, self._edited)
        self._written = LiveNodes(self.bench.scene)
        try:
            self._comparisons.follow(*self._followed)
        except FusionError as error:
            self._letGo()
            self._fill([], str(error))
            return
        if self.ui.overlayCheckBox.checked:
            self._onOverlay(True)
        self._show()

    def _edited(self) -> None:
        if self._comparisons is None:
            return
        if self.bench.study.live:
            self._flushTimer.start()
        elif self.ui.comparisonTable.rowCount:
            self._show()

    def _flush(self) -> None:
        # Shown also when no number changed: a segment may have another name.
        if self._comparisons is not None:
            self._comparisons.flush()
            self._updateOverlay()
            self._show()

    def _poll(self) -> None:
        if self._comparisons is None:
            self._pollTimer.stop()
            return
        if not self._overlayDone:
            self._updateOverlay()
        if self._comparisons.poll(POLL_WAIT_S):
            self._show()
            return
        if self._written is not None and not self._written.complete:
            self._written.update(self._comparisons.rows())
        if not self._details.complete:
            self._showDetails()
        self._keepPolling()

    def _keepPolling(self) -> None:
        busy = self._comparisons is not None and self._comparisons.busy
        written = self._written is None or self._written.complete
        if not (busy or not written or not self._details.complete or not self._overlayDone):
            self._pollTimer.stop()
        elif not self._pollTimer.isActive():
            self._pollTimer.start()

    def _show(self) -> None:
        comparisons = self._comparisons
        if comparisons is None:
            return
        rows = comparisons.rows()
        self._fill(rows, self._sentence(rows))
        if self._written is not None and not comparisons.waiting:
            self._written.update(rows)
        self._showDetails()

    def _showDetails(self) -> None:
        if self._comparisons is None or self._outdated:
            self._details.clear()
            return
        rows = self._comparisons.rows()
        self._details.show(rows, self._table.chosen(rows))
        self._keepPolling()

    def _updateOverlay(self) -> None:
        self._overlayDone = self._overlay is None or self._overlay.update()
        if self._overlay is not None and self._overlay.sentence:
            self._say(self._overlay.sentence)
        if self._overlay is not None and not self._overlay.shown:
            # The user took it out of the scene.
            self.ui.overlayCheckBox.checked = False

    def _hideOverlay(self) -> None:
        if self._overlay is not None:
            self._overlay.hide()
        self._overlay, self._overlayDone = None, True

    def _sentence(self, rows: list[LiveRow]) -> str:
        if not rows:
            return self._comparisons.sentence if self._comparisons is not None else ""
        if self._outdated:
            return _("Edited since these numbers were computed (in brackets): press Compare now.")
        segmentation, reference = self._followed
        pair = _('"{segmentation}" against "{reference}".')
        parts = [pair.format(segmentation=segmentation.GetName(), reference=reference.GetName())]
        # Each sentence once, although several segments may have it.
        parts += dict.fromkeys(row.sentence for row in rows if row.sentence and row.state != "computing")
        parts += dict.fromkeys(f"{row.name}: {row.note}." for row in rows if row.note)
        return " ".join(parts)

    @property
    def _outdated(self) -> bool:
        return not self.bench.study.live and self._comparisons is not None and self._comparisons.waiting

    def _chosenRow(self) -> LiveRow | None:
        """The row selected in the table, otherwise the first; None without current numbers."""
        if self._comparisons is None or self._outdated:
            return None
        self._flush()
        return self._table.chosen(self._comparisons.rows())

    def _letGo(self, wait: bool = False) -> None:
        self._flushTimer.stop()
        self._pollTimer.stop()
        self._hideOverlay()
        if self._comparisons is not None:
            self._comparisons.close(wait)
        self._comparisons = None
        self._followed = (None, None)
        self._written = None
        self._details.clear()

    def _fill(self, rows: list[LiveRow], sentence: str) -> None:
        self._table.fill(rows, self._outdated)
        current = any(row.numbers is not None for row in rows) and not self._outdated
        for button in (self.ui.worstPointButton, self.ui.worstSliceButton, self.ui.distanceButton):
            button.enabled = current
        self.ui.tablesButton.enabled = bool(rows)
        self._say(sentence)

    def _say(self, sentence: str) -> None:
        self.ui.comparisonLabel.text = sentence


def _waitAMoment() -> str:
    return _("The numbers are being computed: wait a moment and try again.")
