"""The live numbers as nodes of the scene: made once on request, from then on kept current."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .headless import importSlicer
from .live import LiveRow
from .live_plot import updateSlicePlot
from .live_tables import updateLesionTable, updateSegmentTable


class LiveNodes:
    """Tables of segments and lesions and the plot of Dice along the slices."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._nodes: tuple[Any, Any, Any] | None = None
        self.complete = True
        """False while lesions are being computed: call `update` again."""

    def create(self, rows: Sequence[LiveRow]) -> tuple[Any, Any, Any]:
        """Make the nodes, or find those of before, and fill them: segment table, lesion table, chart."""
        segments = updateSegmentTable(self._scene, rows)
        lesions, complete = updateLesionTable(self._scene, rows)
        self._nodes = (segments, lesions, updateSlicePlot(self._scene, rows))
        # Lesions of segments without current numbers come when the numbers do.
        self.complete = complete or all(row.numbers is None for row in rows)
        return self._nodes

    def update(self, rows: Sequence[LiveRow]) -> None:
        """Fill the nodes again; nothing when none were made, or the user removed one."""
        if self._nodes is None:
            return
        if any(not self._scene.IsNodePresent(node) for node in self._nodes):
            self._nodes, self.complete = None, True
            return
        self.create(rows)

    def show(self) -> None:
        """Bring table and plot into view, where there is a layout."""
        if self._nodes is None:
            return
        slicer = importSlicer()
        table, _, chart = self._nodes
        logic = slicer.app.applicationLogic()
        selection = logic.GetSelectionNode()
        if selection is not None:
            selection.SetActiveTableID(table.GetID())
            selection.SetActivePlotChartID(chart.GetID())
            logic.PropagateTableSelection()
            logic.PropagatePlotChartSelection()
        layouts = getattr(slicer.app, "layoutManager", None)
        if layouts is not None and layouts() is not None:
            layouts().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotTableView)
