"""The page's own editor: which segmentation and segment are drawn, the brush, and undo for whatever changes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import vtk

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.rejected import contourIds
from PETCTFusionSegLib.mrml.segment_grid import SegmentGrid
from PETCTFusionSegLib.mrml.segmentations import createSegmentation
from PETCTFusionSegLib.mrml.suv_brush import SuvRule
from PETCTFusionSegLib.mrml.terminology import NEOPLASM, loadTerminology, setTerminology
from PETCTFusionSegLib.mrml.volumes import geometryOfVolumeNode
from PETCTFusionSegLib.workbench.editor import editorNode

from .drawing.brush import gridOfSegment
from .drawing.history import History
from .drawing.pointer_tool import BrushTool, Tool

if TYPE_CHECKING:
    from .views.board import ViewBoard
    from .views.slice_pane import SlicePane

# Of the set of Okabe and Ito; the first is that of a network's result.
_COLORS = ((230, 159, 0), (0, 114, 178), (204, 121, 167), (240, 228, 66), (213, 94, 0))
_REST_S = 0.5


class WebEditor:
    """`workbench.editor.Editor`, and the tools of the page: `brush` and the list of segments."""

    def __init__(self, board: ViewBoard, changed: Callable[[], None], say: Callable[[str], None]) -> None:
        """`changed` is called when something else is edited, when a tool was changed by hand, and after every edit."""
        self._board, self._changed, self._say = board, changed, say
        self._scene: Any = None
        self._node: Any = None
        self._tag = 0
        self._last: Any = None
        self._history: History | None = None
        self._rest: asyncio.TimerHandle | None = None
        self.brush = BrushTool(board, self._beginStroke, self._endStroke, lambda error: say(str(error)))
        board.brushResized = self._onBrushResized
        board.drawing = lambda: self.brush.drawing

    # --- which segmentation

    def connectScene(self, scene: Any) -> None:
        """Find or make the editor's node in the scene; called again after a scene was closed."""
        self.letGo()
        self._scene = scene
        node = editorNode(scene)
        self._node = node
        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onModified)
        self._onModified()

    def letGo(self) -> None:
        """Forget the node; the scene is closing."""
        self.putAwayEffect()
        if self._rest is not None:
            self._rest.cancel()
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = self._last = self._history = self._rest = None

    def edit(self, segmentation: Any, sourceVolume: Any) -> None:
        """Draw in this segmentation, on this volume."""
        if self._node is None:
            return
        changing = self._node.StartModify()
        self._node.SetAndObserveSegmentationNode(segmentation)
        self._node.SetAndObserveSourceVolumeNode(sourceVolume)
        self._node.EndModify(changing)

    def segmentation(self) -> Any:
        """The segmentation that is edited, or None."""
        return self._node.GetSegmentationNode() if self._node is not None else None

    def selectedSegmentId(self) -> str:
        """The segment that is drawn: the one that was selected, otherwise the first contour; empty without any."""
        node = self.segmentation()
        if node is None:
            return ""
        chosen = str(self._node.GetSelectedSegmentID() or "")
        there = contourIds(node)
        return chosen if chosen in node.GetSegmentation().GetSegmentIDs() else next(iter(there), "")

    def selectSegment(self, segmentId: str) -> None:
        """Draw in this segment from now on."""
        if self._node is not None:
            self._node.SetSelectedSegmentID(segmentId)
            self._changed()

    def addSegment(self, name: str) -> str:
        """A new empty segment, selected; where no segmentation is edited, in a new one. Raises `BadInputError`."""
        node = self.segmentation() or self._newSegmentation()
        self.saveStateForUndo()
        segmentation = node.GetSegmentation()
        red, green, blue = _COLORS[segmentation.GetNumberOfSegments() % len(_COLORS)]
        identifier = str(
            segmentation.AddEmptySegment(
                segmentation.GenerateUniqueSegmentID(name), name, (red / 255, green / 255, blue / 255)
            )
        )
        setTerminology(segmentation.GetSegment(identifier), loadTerminology(), NEOPLASM)
        self.selectSegment(identifier)
        return identifier

    # --- tools

    @property
    def tool(self) -> Tool:
        """`paint`, `erase`, or empty."""
        return self.brush.tool

    @tool.setter
    def tool(self, tool: Tool) -> None:
        self.brush.tool = tool

    @property
    def brushDiameterMm(self) -> float:
        """From 1 to 200 mm."""
        return self.brush.diameterMm

    @brushDiameterMm.setter
    def brushDiameterMm(self, diameterMm: float) -> None:
        self.brush.diameterMm = diameterMm

    @property
    def sphere(self) -> bool:
        """True paints a sphere, False a disc in the slice."""
        return self.brush.settings.sphere

    @sphere.setter
    def sphere(self, sphere: bool) -> None:
        self.brush.settings.sphere = sphere

    @property
    def rule(self) -> SuvRule | None:
        """What a voxel's PET value has to be to be painted; None paints every voxel of the brush."""
        return self.brush.settings.rule

    @rule.setter
    def rule(self, rule: SuvRule | None) -> None:
        self.brush.settings.rule = rule

    def working(self) -> bool:
        """True while a tool is active: the user is drawing."""
        return bool(self.brush.tool)

    def putAwayEffect(self) -> None:
        """No tool is active any more, so that a click into a view is nobody else's."""
        self.brush.tool = ""

    def _onBrushResized(self, diameterMm: float) -> None:
        self.brush.diameterMm = diameterMm
        self._changed()

    # --- undo

    @property
    def canUndo(self) -> bool:
        """True when there is something to take back."""
        return self._history is not None and self._history.canUndo

    @property
    def canRedo(self) -> bool:
        """True when something was taken back."""
        return self._history is not None and self._history.canRedo

    def saveStateForUndo(self) -> None:
        """Call before the segmentation is changed: `undo` comes back to now."""
        if self._history is not None:
            self._history.save()

    def undo(self) -> None:
        """Take back the last change, with whichever tool it was made."""
        self.brush.release()
        if self._history is not None and self._history.undo():
            self._changed()

    def redo(self) -> None:
        """Do again what `undo` took back."""
        self.brush.release()
        if self._history is not None and self._history.redo():
            self._changed()

    # --- strokes

    def _beginStroke(self, pane: SlicePane) -> SegmentGrid:
        if self.segmentation() is None and self._node is not None and self._node.GetSourceVolumeNode() is None:
            self._node.SetAndObserveSourceVolumeNode(next(iter(pane.volumes()), None))
        segment = self.selectedSegmentId() or self.addSegment(_("Tumor"))
        grid = gridOfSegment(self.segmentation(), segment)
        self.saveStateForUndo()
        return grid

    def _endStroke(self, changed: int) -> None:
        if not changed and self._history is not None:
            self._history.dropSaved()
        self._lookLater()
        self._changed()

    def _lookLater(self) -> None:
        """Read the new state when the hand rests, so that the next stroke begins at once."""
        if self._rest is not None:
            self._rest.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._rest = loop.call_later(_REST_S, self._look)

    def _look(self) -> None:
        if self._history is not None and not self.brush.drawing:
            self._history.look()

    def _newSegmentation(self) -> Any:
        volume = self._node.GetSourceVolumeNode() if self._node is not None else None
        if volume is None:
            raise BadInputError(_("There is nothing to draw on."), _("Open a CT first."))
        empty = geometryOfVolumeNode(volume).empty()
        node = createSegmentation(self._scene, empty, [], volume, _("Segmentation"), {})
        self.edit(node, volume)
        return node

    def _onModified(self, *_event: Any) -> None:
        current = self.segmentation()
        if current is not self._last:
            self.brush.release()
            self._last = current
            self._history = History(current) if current is not None else None
            self._changed()
