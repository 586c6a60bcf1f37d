"""What a Compare section shows: Dice, HD95, NSD and volumes that follow the brush, and the ways to the worst place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.distance_model import updateDistanceModel
from PETCTFusionSegLib.mrml.live import LiveComparisons, LiveRow
from PETCTFusionSegLib.mrml.live_nodes import LiveNodes
from PETCTFusionSegLib.mrml.reference_segment import chosenReferenceSegment, referenceSegment, segmentChoices
from PETCTFusionSegLib.mrml.worst_place import Ras, WorstPlaces, centreSliceViews, worstPlaces

from .bench import Workbench
from .comparison_details import ComparisonDetails, Front
from .overlay_switch import OverlaySwitch
from .pace import Pace

# While numbers are computed in the background.
POLL_MS = 30


class Comparing:
    """Follows the segmentation in the editor and the study's reference; `shown` is called when anything has changed."""

    def __init__(self, bench: Workbench, shown: Callable[[], None], pace: Pace) -> None:
        self.bench = bench
        self.rows: list[LiveRow] = []
        """One a segment; without numbers while these are computed."""
        self.sentence = ""
        self.details = ComparisonDetails()
        self.overlayShown = False
        self.chosen = 0
        """The row that buttons and slices are about."""
        self._shown, self._wait_s = shown, pace.pollWait_s
        self._comparisons: LiveComparisons | None = None
        self._followed: tuple[Any, Any] = (None, None)
        self._meant = ""
        self._written: LiveNodes | None = None
        self._overlay: OverlaySwitch | None = None
        self._overlayDone = True
        self._flushTimer = bench.makeTimer(pace.pauseMs, True, self._flush)
        self._pollTimer = bench.makeTimer(POLL_MS, False, self._poll)

    # --- what is known

    def waitsFor(self) -> str:
        """A reference, and a segmentation that is not the reference."""
        segmentation, reference = self._nodes()
        if reference is None:
            return _("Choose a reference under Study to see Dice and HD95.")
        return _("There is no result to compare with the reference yet.") if segmentation is None else ""

    @property
    def outdated(self) -> bool:
        """True when edits were made that the numbers do not know, because nothing is followed live."""
        return not self.bench.study.live and self._comparisons is not None and self._comparisons.waiting

    @property
    def current(self) -> bool:
        """True when there are numbers and they are those of now."""
        return any(row.numbers is not None for row in self.rows) and not self.outdated

    @property
    def polling(self) -> bool:
        """True while something is being computed."""
        return self._pollTimer.isActive()

    def chosenRow(self) -> LiveRow | None:
        """The chosen row once all edits are taken up; None without numbers of now."""
        if self._comparisons is None or self.outdated:
            return None
        self._flush()
        return self.shownRow()

    def shownRow(self) -> LiveRow | None:
        """The chosen row as it was last shown; None when that has no numbers."""
        known = self.chosen < len(self.rows) and self.rows[self.chosen].numbers is not None
        return self.rows[self.chosen] if known and not self.outdated else None

    # --- the bench, the scene

    def refresh(self) -> None:
        """Follow the nodes chosen now."""
        if self._comparisons is not None and self._followed == self._nodes() and self._meant == self._segment():
            self._edited()
            return
        self._letGo()
        if self.waitsFor():
            self._fill([], "")
        elif self.bench.study.live:
            self._start()
        else:
            self._fill([], _("Press Compare now to see Dice and HD95."))

    def close(self) -> None:
        """No observer stays at a node that goes."""
        self._letGo(wait=True)
        self.overlayShown = False
        self._fill([], "")

    # --- what the user does

    def follow(self, live: bool) -> None:
        """Keep the numbers current by themselves, or only when asked."""
        self.bench.study.live = live
        self.bench.changed()

    def recompute(self) -> None:
        """Compare from the start; the numbers come from the background."""
        self._letGo()
        if not self.waitsFor():
            self._start()

    def choose(self, number: int) -> None:
        """Another row is meant by the buttons and the slices."""
        if number != self.chosen:
            self.chosen = number
            self._updateDetails()
            self._shown()

    def look(self, front: Front) -> None:
        """Other details are in front."""
        self.details.front = front
        self._updateDetails()
        self._shown()

    def jumpToWorstPoint(self) -> None:
        """Center the slice views on the contour point that is farthest from the other contour."""
        self._jump(lambda worst: worst.point)

    def jumpToWorstSlice(self) -> None:
        """Center the slice views on what differs in the slice with the lowest Dice."""
        self._jump(lambda worst: worst.slice)

    def goToLesion(self, line: int) -> None:
        """Center the slice views on a line of the lesions."""
        self._goTo(self.details.lesionPlace(line))

    def goToSlice(self, line: int) -> None:
        """Center the slice views on a line of the slices."""
        self._goTo(self.details.slicePlace(line))

    def showDistances(self) -> None:
        """Make or update the surface that is coloured by its distance to the reference."""
        row = self.chosenRow()
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

    def showOverlay(self, shown: bool) -> None:
        """Color where the two agree and where they do not."""
        self.overlayShown = shown
        self._hideOverlay()
        if shown and self._comparisons is not None:
            self._overlay = OverlaySwitch(self.bench.scene)
            try:
                self._overlay.show(*self._followed)
            except FusionError as error:
                self.sentence = str(error)
            self._updateOverlay()
            self._keepPolling()
        self._shown()

    # --- numbers that follow

    def _nodes(self) -> tuple[Any, Any]:
        """Segmentation and reference; a segmentation that is the reference is not compared with itself."""
        if not self.bench.sceneOpen:
            return None, None
        edited, reference = self.bench.segmentation(), self.bench.study.reference
        return edited if edited is not reference else None, reference

    def _segment(self) -> str:
        """What was chosen of the reference, also when it is gone: then its rows say so."""
        return chosenReferenceSegment(self._nodes()[1])

    def _start(self) -> None:
        self._followed, self._meant = self._nodes(), self._segment()
        self._comparisons = LiveComparisons(self.bench.scene, self._edited)
        self._written = LiveNodes(self.bench.scene)
        try:
            self._comparisons.follow(*self._followed)
        except FusionError as error:
            self._letGo()
            self._fill([], str(error))
            return
        if self.overlayShown:
            self.showOverlay(True)
        self._show()

    def _edited(self) -> None:
        if self._comparisons is None:
            return
        if self.bench.study.live:
            self._flushTimer.start()
        elif self.rows:
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
        if self._comparisons.poll(self._wait_s):
            self._show()
            return
        if self._written is not None and not self._written.complete:
            self._written.update(self._comparisons.rows())
        if not self.details.complete:
            self._updateDetails()
            if self.details.complete:
                self._shown()
        self._keepPolling()

    def _keepPolling(self) -> None:
        busy = self._comparisons is not None and self._comparisons.busy
        written = self._written is None or self._written.complete
        if not (busy or not written or not self.details.complete or not self._overlayDone):
            self._pollTimer.stop()
        elif not self._pollTimer.isActive():
            self._pollTimer.start()

    def _show(self) -> None:
        comparisons = self._comparisons
        if comparisons is None:
            return
        rows = comparisons.rows()
        if self._written is not None and not comparisons.waiting:
            self._written.update(rows)
        self._fill(rows, self._sentenceOf(rows))

    def _fill(self, rows: list[LiveRow], sentence: str) -> None:
        self.rows, self.sentence = rows, sentence
        self._updateDetails()
        self._shown()

    def _updateDetails(self) -> None:
        if self._comparisons is None or self.outdated:
            self.details.clear()
            return
        self.details.update(self.rows, self.shownRow())
        self._keepPolling()

    def _jump(self, where: Callable[[WorstPlaces], Ras | None]) -> None:
        row = self.chosenRow()
        worst = worstPlaces(row) if row is not None else None
        if worst is None:
            self._say(_waitAMoment())
            return
        self._goTo(where(worst))
        self._say(worst.sentence)

    def _goTo(self, place: Ras | None) -> None:
        if place is not None:
            centreSliceViews(self.bench.scene, place)

    def _updateOverlay(self) -> None:
        self._overlayDone = self._overlay is None or self._overlay.update(self._wait_s)
        if self._overlay is not None and self._overlay.sentence:
            self.sentence = self._overlay.sentence
        if self._overlay is not None and not self._overlay.shown:
            # The user took it out of the scene.
            self.overlayShown = False
            self._hideOverlay()

    def _hideOverlay(self) -> None:
        if self._overlay is not None:
            self._overlay.hide()
        self._overlay, self._overlayDone = None, True

    def _sentenceOf(self, rows: list[LiveRow]) -> str:
        if not rows:
            return self._comparisons.sentence if self._comparisons is not None else ""
        if self.outdated:
            return _("Edited since these numbers were computed (in brackets): press Compare now.")
        segmentation, reference = self._followed
        names = {"segmentation": segmentation.GetName(), "reference": reference.GetName()}
        segments, meant = segmentChoices(reference), referenceSegment(reference)
        if meant:
            pair = _('"{segmentation}" against "{segment}" of "{reference}".')
            parts = [pair.format(segment=segments[meant], **names)]
        else:
            parts = [_('"{segmentation}" against "{reference}".').format(**names)]
            if segments and any(row.referenceName == names["reference"] for row in rows):
                joined = _("All its {number} segments are joined; one of them can be chosen under Study.")
                parts.append(joined.format(number=len(segments)))
        # Each sentence once, although several segments may have it.
        parts += dict.fromkeys(row.sentence for row in rows if row.sentence and row.state != "computing")
        parts += dict.fromkeys(f"{row.name}: {row.note}." for row in rows if row.note)
        return " ".join(parts)

    def _letGo(self, wait: bool = False) -> None:
        self._flushTimer.stop()
        self._pollTimer.stop()
        self._hideOverlay()
        if self._comparisons is not None:
            self._comparisons.close(wait)
        self._comparisons = None
        self._followed = (None, None)
        self._written = None
        self.details.clear()

    def _say(self, sentence: str) -> None:
        self.sentence = sentence
        self._shown()


def _waitAMoment() -> str:
    return _("The numbers are being computed: wait a moment and try again.")
