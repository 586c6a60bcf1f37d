"""The Compare section: Dice, HD95, NSD and volumes that follow the brush, and the ways to the worst place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.desktop.bench import Workbench
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.distance_model import updateDistanceModel
from PETCTFusionSegLib.mrml.live import LiveComparisons, LiveRow
from PETCTFusionSegLib.mrml.live_nodes import LiveNodes
from PETCTFusionSegLib.mrml.live_tables import COMPUTING, distanceText
from PETCTFusionSegLib.mrml.worst_place import WorstPlaces, centreSliceViews, worstPlaces

# While numbers are computed in the background; each look gives the thread Python's lock for POLL_WAIT_S.
POLL_MS, POLL_WAIT_S = 30, 0.01
RECOMPUTE_WAIT_S = 60.0
COLUMNS = ("Segment", "Dice", "HD95 (mm)", "Volume (ml)", "Reference (ml)", "NSD")
NSD_COLUMN = COLUMNS.index("NSD")
DEFINITION = (
    "Dice = 2|A and B| / (|A| + |B|). HD95: surfaces are mask voxels with a 6-neighbour outside (the image border "
    "counts as outside); distances between voxel centres in mm; the larger of the two directed 95th percentiles. NSD: "
    "part of both surfaces (by area) within the tolerance named above. Compared in physical space on the "
    "reference's grid."
)
CHOOSE_REFERENCE = "Choose a reference to see Dice and HD95."
NO_RESULT = "There is no result yet."
PRESS_COMPARE = "Press Compare now to see Dice and HD95."
OUTDATED = "Edited since these numbers were computed (in brackets): press Compare now."
_WAIT_A_MOMENT = "The numbers are being computed: wait a moment and try again."


def cellTexts(row: LiveRow, outdated: bool = False) -> tuple[str, ...]:
    """The cells of a row, in the order of `COLUMNS`; numbers that are not current any more are in brackets."""
    found = row.numbers
    if found is None or row.volume_ml is None:
        return (row.name, COMPUTING if row.state in ("computing", "empty") else row.state, "", "", "", "")
    texts = (
        f"{found.dice:.3f}",
        distanceText(found.hd95_mm),
        f"{row.volume_ml:.1f}",
        f"{found.reference_volume_ml:.1f}",
        f"{found.nsd:.3f}",
    )
    return (row.name, *(f"({text})" if outdated else text for text in texts))


class CompareSection(Section):
    """Numbers against the reference, while the contour is edited."""

    name = "Compare"

    def __init__(self, bench: Workbench, ui: Any) -> None:
        super().__init__(bench, ui)
        self.table = ComparisonTable(ui, self._comparedNodes)
        ui.compareButton.connect("clicked()", self.table.recompute)
        ui.liveCheckBox.connect("toggled(bool)", self._onLive)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Compare")

    def waitsFor(self) -> str:
        """A reference, and a segmentation that is not the reference."""
        return "" if self.table.ready else self.table.missing()

    def refresh(self) -> None:
        """Follow the nodes chosen now."""
        self.table.live = self.bench.study.live
        self.table.follow()
        self.ui.compareButton.enabled = self.table.ready

    def sceneOpened(self) -> None:
        """Show the scene's own choice."""
        self.ui.liveCheckBox.checked = self.bench.study.live

    def sceneCloses(self) -> None:
        """No observer stays at a node that goes."""
        self.table.stop()

    def cleanup(self) -> None:
        """As when the scene closes."""
        self.table.stop()

    def _onLive(self, live: bool) -> None:
        self.bench.study.live = bool(live)
        self.bench.changed()

    def _comparedNodes(self) -> tuple[Any, Any, Any]:
        if not self.bench.sceneOpen:
            return None, None, None
        edited, reference = self.bench.segmentation(), self.bench.study.reference
        return edited if edited is not reference else None, reference, self.bench.study.ct


class ComparisonTable:
    """The table, its buttons and the line below; follows the nodes chosen in the panel."""

    def __init__(self, ui: Any, nodes: Callable[[], tuple[Any, Any, Any]]) -> None:
        """`nodes` gives segmentation, reference and CT as chosen now, each a node or None."""
        import qt

        self._ui = ui
        self._table = ui.comparisonTable
        self._nodes = nodes
        self._comparisons: LiveComparisons | None = None
        self._followed: tuple[Any, Any] = (None, None)
        self._written: LiveNodes | None = None
        self.live = True
        self._flushTimer = _timer(qt, 0, True, self._flush)
        self._pollTimer = _timer(qt, POLL_MS, False, self._poll)
        self._table.setColumnCount(len(COLUMNS))
        self._table.setHorizontalHeaderLabels(list(COLUMNS))
        self._table.toolTip = DEFINITION
        self._table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        self._table.verticalHeader().setVisible(False)
        ui.worstPointButton.connect("clicked()", self.jumpToWorstPoint)
        ui.worstSliceButton.connect("clicked()", self.jumpToWorstSlice)
        ui.distanceButton.connect("clicked()", self.showDistances)
        ui.tablesButton.connect("clicked()", self.showTables)

    @property
    def ready(self) -> bool:
        """True when there is something to compare."""
        return all(node is not None for node in self._nodes()[:2])

    def follow(self) -> None:
        """Watch the nodes chosen now, and show their numbers as they come."""
        if self._comparisons is not None and self._followed == self._nodes()[:2]:
            self._edited()
            return
        self._letGo()
        if self.live:
            self._start()
        else:
            self._fill([], PRESS_COMPARE if self.ready else self.missing())

    def stop(self) -> None:
        """Let go of every node; used when the scene closes."""
        self._letGo(wait=True)
        self._fill([], "")

    def recompute(self) -> None:
        """Compare from the start, and wait for the numbers."""
        self._start()
        if self._comparisons is not None:
            self._comparisons.wait(RECOMPUTE_WAIT_S)
            self._poll()

    def jumpToWorstPoint(self) -> None:
        """Centre the slice views on the contour point that is farthest from the other contour."""
        self._jump(lambda worst: worst.point)

    def jumpToWorstSlice(self) -> None:
        """Centre the slice views on what differs in the slice with the lowest Dice."""
        self._jump(lambda worst: worst.slice)

    def showDistances(self) -> None:
        """Make or update the surface that is coloured by its distance to the reference."""
        import slicer

        row = self._chosenRow()
        if row is None:
            self._say(_WAIT_A_MOMENT)
            return
        try:
            model = updateDistanceModel(slicer.mrmlScene, row)
        except FusionError as error:
            self._say(str(error))
            return
        limit = model.GetDisplayNode().GetScalarRange()[1]
        self._say(f'"{model.GetName()}": blue lies inside the reference, red outside; full colour at {limit:.0f} mm.')

    def showTables(self) -> None:
        """Write segments, lesions and Dice by slice into the scene; from then on they are kept current."""
        if self._comparisons is None or self._written is None:
            return
        self._written.create(self._comparisons.rows())
        self._written.show()
        self._keepPolling()
        self._say("The tables and the plot are in the scene and follow the edits.")

    def _start(self) -> None:
        import slicer

        self._letGo()
        if not self.ready:
            self._fill([], self.missing())
            return
        self._followed = self._nodes()[:2]
        self._comparisons = LiveComparisons(slicer.mrmlScene, self._edited)
        self._written = LiveNodes(slicer.mrmlScene)
        try:
            self._comparisons.follow(*self._followed)
        except FusionError as error:
            self._letGo()
            self._fill([], str(error))
            return
        self._show()

    def missing(self) -> str:
        """What is not there yet."""
        return CHOOSE_REFERENCE if self._nodes()[1] is None else NO_RESULT

    def _edited(self) -> None:
        if self._comparisons is None:
            return
        if self.live:
            self._flushTimer.start()
        elif self._table.rowCount:
            self._show()

    def _flush(self) -> None:
        # Shown also when no number changed: a segment may have another name.
        if self._comparisons is not None:
            self._comparisons.flush()
            self._show()

    def _poll(self) -> None:
        if self._comparisons is None:
            self._pollTimer.stop()
            return
        if self._comparisons.poll(POLL_WAIT_S):
            self._show()
        elif self._written is not None and not self._written.complete:
            self._written.update(self._comparisons.rows())
        self._keepPolling()

    def _keepPolling(self) -> None:
        busy = self._comparisons is not None and self._comparisons.busy
        if busy or (self._written is not None and not self._written.complete):
            if not self._pollTimer.isActive():
                self._pollTimer.start()
        else:
            self._pollTimer.stop()

    def _show(self) -> None:
        comparisons = self._comparisons
        if comparisons is None:
            return
        rows = comparisons.rows()
        self._fill(rows, self._sentence(rows))
        if self._written is not None and not comparisons.waiting:
            self._written.update(rows)
        self._keepPolling()

    def _sentence(self, rows: list[LiveRow]) -> str:
        assert self._comparisons is not None
        if not rows:
            return self._comparisons.sentence or NO_RESULT
        if self._outdated:
            return OUTDATED
        segmentation, reference, _ct = self._nodes()
        parts = (
            []
            if segmentation is None or reference is None
            else [f'"{segmentation.GetName()}" against "{reference.GetName()}".']
        )
        # Each sentence once, although several segments may have it.
        parts += dict.fromkeys(row.sentence for row in rows if row.sentence and row.state != "computing")
        parts += dict.fromkeys(f"{row.name}: {row.note}." for row in rows if row.note)
        return " ".join(parts)

    @property
    def _outdated(self) -> bool:
        return not self.live and self._comparisons is not None and self._comparisons.waiting

    def _jump(self, where: Callable[[WorstPlaces], tuple[float, float, float] | None]) -> None:
        import slicer

        row = self._chosenRow()
        worst = worstPlaces(row) if row is not None else None
        if worst is None:
            self._say(_WAIT_A_MOMENT)
            return
        point = where(worst)
        if point is not None:
            centreSliceViews(slicer.mrmlScene, point)
        self._say(worst.sentence)

    def _chosenRow(self) -> LiveRow | None:
        """The row selected in the table, otherwise the first; None without current numbers."""
        if self._comparisons is None or self._outdated:
            return None
        self._flush()
        rows = self._comparisons.rows()
        chosen = max(self._table.currentRow(), 0)
        return rows[chosen] if chosen < len(rows) and rows[chosen].numbers is not None else None

    def _letGo(self, wait: bool = False) -> None:
        self._flushTimer.stop()
        self._pollTimer.stop()
        if self._comparisons is not None:
            self._comparisons.close(wait)
        self._comparisons = None
        self._followed = (None, None)
        self._written = None

    def _fill(self, rows: list[LiveRow], sentence: str) -> None:
        import qt

        self._table.setRowCount(len(rows))
        for line, row in enumerate(rows):
            for column, text in enumerate(cellTexts(row, self._outdated)):
                cell = qt.QTableWidgetItem(text)
                cell.setToolTip(DEFINITION)
                self._table.setItem(line, column, cell)
        # As a rule one: it follows from the spacing of the reference.
        tolerances = {f"{row.numbers.nsd_tolerance_mm:.1f}" for row in rows if row.numbers is not None}
        if tolerances:
            self._table.horizontalHeaderItem(NSD_COLUMN).setText(f"NSD ({', '.join(sorted(tolerances))} mm)")
        current = any(row.numbers is not None for row in rows) and not self._outdated
        for button in (self._ui.worstPointButton, self._ui.worstSliceButton, self._ui.distanceButton):
            button.enabled = current
        self._ui.tablesButton.enabled = bool(rows)
        self._say(sentence)

    def _say(self, sentence: str) -> None:
        self._ui.comparisonLabel.text = sentence


def _timer(qt: Any, interval_ms: int, once: bool, function: Callable[[], None]) -> Any:
    timer = qt.QTimer()
    timer.setSingleShot(once)
    timer.setInterval(interval_ms)
    timer.connect("timeout()", function)
    return timer
