"""The brush in the user's hand: what the pointer does in a slice while a tool is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from petctfusion.errors import FusionError
from PETCTFusionSegLib.mrml.segment_grid import SegmentGrid
from PETCTFusionSegLib.mrml.suv_stamp import SuvStamp
from PETCTFusionSegLib.mrml.volumes import petUnitsOfNode
from PETCTFusionSegLib.mrml.window_presets import SUV_UNITS
from PETCTFusionSegLib.web.views.pointer import LEFT, PointerEvent

from .brush import BrushSettings, Stroke

if TYPE_CHECKING:
    from PETCTFusionSegLib.web.views.board import ViewBoard
    from PETCTFusionSegLib.web.views.slice_pane import SlicePane

LEAST_MM, MOST_MM = 1.0, 200.0
TOOLS = ("", "paint", "erase")
Tool = Literal["", "paint", "erase"]


class BrushTool:
    """Paints with the left button; everything with Shift, Ctrl or Alt and the other buttons belong to the view."""

    def __init__(
        self,
        board: ViewBoard,
        begin: Callable[[SlicePane], SegmentGrid],
        end: Callable[[int], None],
        fail: Callable[[FusionError], None],
    ) -> None:
        """`begin` gives what is drawn on; `end` gets the number of voxels that a stroke changed."""
        self._board, self._begin, self._end, self._fail = board, begin, end, fail
        self.settings = BrushSettings()
        self._tool: Tool = ""
        self._stroke: Stroke | None = None
        self._stamp = SuvStamp()
        board.tools.append(self._onPointer)

    @property
    def tool(self) -> Tool:
        """`paint`, `erase`, or empty while the mouse belongs to the views."""
        return self._tool

    @tool.setter
    def tool(self, tool: Tool) -> None:
        if tool not in TOOLS:
            raise ValueError(f"no tool: {tool!r}")
        self.release()
        self._tool = tool
        self._show()

    @property
    def diameterMm(self) -> float:
        """From 1 to 200."""
        return self.settings.diameterMm

    @diameterMm.setter
    def diameterMm(self, diameterMm: float) -> None:
        self.settings.diameterMm = min(max(diameterMm, LEAST_MM), MOST_MM)
        self._show()

    @property
    def drawing(self) -> bool:
        """True while a stroke goes on."""
        return self._stroke is not None

    def release(self) -> None:
        """Whatever button was pressed, it counts no more."""
        stroke, self._stroke = self._stroke, None
        if stroke is not None:
            self._end(stroke.changed)

    def _show(self) -> None:
        self._board.showBrush(self._tool, self.settings.diameterMm)

    def _onPointer(self, pane: SlicePane, event: PointerEvent) -> bool:
        if self._stroke is None and (not self._tool or event.button != LEFT or event.modified):
            return False
        try:
            if event.kind == "down" and self._stroke is None:
                segment = self._begin(pane)
                paints = self._tool == "paint"
                self._stroke = Stroke(segment, self.settings, paints, pane.normal(), _petOf(pane), self._stamp)
            if self._stroke is not None and event.kind in ("down", "move"):
                self._stroke.draw([pane.place(point) for point in event.points])
        except FusionError as error:
            # A stroke that fails ends, so that its sentence stays readable.
            self.release()
            self._fail(error)
        if event.kind == "up":
            self.release()
        return True


def _petOf(pane: SlicePane) -> Any:
    """The PET that a rule looks at: the uppermost volume in SUV, otherwise the uppermost one."""
    volumes = pane.volumes()[::-1]
    return next((node for node in volumes if petUnitsOfNode(node).units in SUV_UNITS), volumes[0] if volumes else None)
