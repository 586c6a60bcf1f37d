"""Where a contour and its reference agree, as three segments over the slices: both, contour alone, reference alone.

Colours are of the Okabe-Ito set, which eyes that confuse red and green tell apart. The grid and the changed boxes are
those of the live comparison (`live_pair`): a stroke costs what its box costs, a large change is marked in a thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk

from petctfusion.metrics.background import BackgroundThread
from petctfusion.metrics.changes import Box3
from petctfusion.metrics.masks import BoolArray
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.i18n import _

from .headless import importSlicer
from .live import sourcesOf
from .live_pair import LivePair
from .live_tables import ROLE_ATTRIBUTE
from .transforms import ijkToRasOfGeometry, matrixFromArray

Marks = NDArray[np.uint8]
OVERLAY_ROLE = "AgreementOverlay"
BOTH, SEGMENTATION_ALONE, REFERENCE_ALONE = "both", "segmentationAlone", "referenceAlone"
"""Ids of the overlay's segments: true positive, false positive, false negative."""
COLOURS = {BOTH: (0, 158, 115), SEGMENTATION_ALONE: (230, 159, 0), REFERENCE_ALONE: (86, 180, 233)}
# A mark is a sum: 1 inside the segmentation and 2 inside the reference.
_VALUES = {SEGMENTATION_ALONE: 1, REFERENCE_ALONE: 2, BOTH: 3}
_NAMES = {
    BOTH: lambda: _("In both"),
    SEGMENTATION_ALONE: lambda: _("Only in the segmentation"),
    REFERENCE_ALONE: lambda: _("Only in the reference"),
}
_FILL, _OUTLINE = 0.55, 1.0


class AgreementOverlay:
    """Follows one segment against its reference: `show`, then `update` after edits and as long as it returns False."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._pair: LivePair | None = None
        self._thread: BackgroundThread | None = None
        self._marks: _Marks | None = None
        self._drawing: _Drawing | None = None

    @property
    def shown(self) -> bool:
        """True between `show` and `hide`."""
        return self._pair is not None

    @property
    def node(self) -> Any:
        """The overlay's segmentation node; None while nothing is drawn."""
        return self._drawing.node if self._drawing is not None else None

    @property
    def sentence(self) -> str:
        """Why nothing can be drawn; empty when there is no reason."""
        return self._pair.sentence if self._pair is not None and self._pair.state in ("gone", "failed") else ""

    def show(self, segmentationNode: Any, reference: Any, segmentId: str = "") -> None:
        """Mark a segment (all of them, joined, without an id) against a segmentation or a label map volume.

        As in the table, that is the reference's segment of the same name, otherwise all of it. Raises `BadInputError`
        when there is nothing that can be compared.
        """
        self.hide()
        sources = sourcesOf(segmentationNode, reference, segmentId)
        self._thread = BackgroundThread("overlay")
        self._pair = LivePair(*sources, self._thread, self._makeMarks)
        self.update()

    def update(self, wait_s: float = 0.01) -> bool:
        """Take up the edits since the last call; False while a large change is marked: call again a moment later.

        The thread that marks gets up to `wait_s`; it may get Python's lock at no other time.
        """
        pair = self._pair
        if pair is None:
            return True
        if self._drawing is not None and not self._scene.IsNodePresent(self._drawing.node):
            self.hide()
            return True
        pair.refresh()
        if pair.state == "computing" and (pair.follower is None or not pair.follower.wait(wait_s)):
            return False
        if pair.state == "current" and self._marks is not None:
            self._draw(pair.grid(), self._marks)
        else:
            self._erase()
        return True

    def hide(self) -> None:
        """Take the overlay out of the scene, and follow nothing any more."""
        if self._pair is not None:
            self._pair.close()
        if self._thread is not None:
            self._thread.close(wait=False)
        self._pair, self._thread, self._marks = None, None, None
        self._erase()

    def _makeMarks(self, reference: BoolArray, _spacing_mm: tuple[float, float, float]) -> _Marks:
        self._marks = _Marks(reference)
        return self._marks

    def _draw(self, grid: Geometry, marks: _Marks) -> None:
        whole, boxes = marks.takeChanges()
        if whole is not None:
            if self._drawing is None:
                self._drawing = _Drawing(self._scene)
            self._drawing.replace(grid, whole)
        if boxes and self._drawing is not None:
            self._drawing.change([(box, marks.of(box)) for box in boxes])

    def _erase(self) -> None:
        drawing, self._drawing = self._drawing, None
        for node in (drawing.node.GetDisplayNode(), drawing.node) if drawing is not None else ():
            if node is not None and self._scene.IsNodePresent(node):
                self._scene.RemoveNode(node)


class _Marks:
    """What a follower feeds instead of a comparison: it keeps the masks, and notes where a mark has changed."""

    def __init__(self, reference: BoolArray) -> None:
        self._reference = reference
        self._mask: BoolArray = np.zeros(reference.shape, dtype=np.bool_)
        self._whole: Marks | None = None
        self._boxes: list[Box3] = []

    @property
    def prediction(self) -> BoolArray:
        """The segmentation's mask as it is now."""
        return self._mask

    def replace(self, prediction: BoolArray) -> None:
        """A whole new mask; mostly in the background thread, where the marks of all voxels cost no one's time."""
        self._mask = np.array(prediction, dtype=np.bool_)
        self._boxes = []
        self._whole = self.of((slice(None), slice(None), slice(None)))

    def update(self, box: Box3, values: BoolArray) -> None:
        """A stroke."""
        self._mask[box] = values
        self._boxes.append(box)

    def agreement(self) -> None:
        """Numbers are for others to compute."""

    def worst(self) -> None:
        """As `agreement`."""

    def of(self, box: Box3) -> Marks:
        """The marks of a box."""
        return self._mask[box].view(np.uint8) + 2 * self._reference[box].view(np.uint8)

    def takeChanges(self) -> tuple[Marks | None, list[Box3]]:
        """Since the last call: all marks, if they are new, and the boxes that changed after that."""
        changes = self._whole, self._boxes
        self._whole, self._boxes = None, []
        return changes


class _Drawing:
    """The segmentation node: three segments in one label map that is changed in place."""

    def __init__(self, scene: Any) -> None:
        slicer = importSlicer()
        self._labelmap = slicer.vtkOrientedImageData()
        self._marks: Marks = np.zeros((0, 0, 0), dtype=np.uint8)
        node = slicer.vtkMRMLSegmentationNode()
        node.SetName(_("Agreement with the reference"))
        # The user's contour is another one: nobody can choose this one in an editor, and no file gets it.
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetAttribute(ROLE_ATTRIBUTE, OVERLAY_ROLE)
        self.node = scene.AddNode(node)

    def replace(self, grid: Geometry, marks: Marks) -> None:
        """Draw all marks (z, y, x) of a world grid; the array is kept and written into by `change`."""
        first = self.node.GetSegmentation().GetNumberOfSegments() == 0
        z, y, x = marks.shape
        self._labelmap.SetExtent(0, x - 1, 0, y - 1, 0, z - 1)
        self._labelmap.SetImageToWorldMatrix(matrixFromArray(ijkToRasOfGeometry(grid)))
        self._labelmap.GetPointData().SetScalars(numpy_to_vtk(marks.ravel(), deep=False))
        self._marks = marks
        if first:
            self._addSegments()
        self._labelmap.Modified()

    def change(self, parts: list[tuple[Box3, Marks]]) -> None:
        """Write the marks of some boxes."""
        for box, marks in parts:
            self._marks[box] = marks
        self._labelmap.GetPointData().GetScalars().Modified()
        self._labelmap.Modified()

    def _addSegments(self) -> None:
        slicer = importSlicer()
        representation = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
        self.node.SetSourceRepresentationToBinaryLabelmap()
        for identifier, value in _VALUES.items():
            segment = slicer.vtkSegment()
            segment.SetName(_NAMES[identifier]())
            segment.SetColor(*(part / 255 for part in COLOURS[identifier]))
            segment.SetLabelValue(value)
            segment.AddRepresentation(representation, self._labelmap)
            self.node.GetSegmentation().AddSegment(segment, identifier)
        self.node.CreateDefaultDisplayNodes()
        display = self.node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetPreferredDisplayRepresentationName2D(representation)
        display.SetVisibility3D(False)
        display.SetOpacity2DFill(_FILL)
        display.SetOpacity2DOutline(_OUTLINE)
