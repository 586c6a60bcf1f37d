"""A segment seen on the grid of the network's result: a few voxels are read and written without touching the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk

from petctfusion.errors import BadInputError
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.i18n import _

from .headless import importSlicer
from .labelmaps import Mask, orientedLabelmap
from .transforms import Matrix, arrayFromImage, ijkToRasOfGeometry, linearToWorld, matrixToArray
from .volumes import ijkToRasOfNode

if TYPE_CHECKING:
    from slicer import vtkMRMLSegmentationNode, vtkSegment

Box = tuple[slice, slice, slice]
Indices = NDArray[Any]
_WHOLE_VOXEL = 0.02
# Room around a brush that left the segment's label map, so that the next strokes stay in it.
_ROOM = 24


class SegmentGrid:
    """One segment of a node whose voxels coincide with those of a grid; indices are (z, y, x) of that grid.

    The grid is bound to the node's own frame when this is made, so it follows every later parent transform. Raises
    `BadInputError` when the voxels do not coincide.
    """

    def __init__(self, node: vtkMRMLSegmentationNode, segmentId: str, grid: Geometry) -> None:
        """`grid` lies in world space, where the node is now."""
        self.node = node
        self.segmentId = segmentId
        self.grid = grid
        self.ijkToRas = _inFrame(node, grid)
        self.check()

    def check(self) -> None:
        """Raise `BadInputError` when the segment is gone, or its voxels do not lie on the grid any more."""
        self._offset()

    @property
    def exists(self) -> bool:
        """False once the segment was removed."""
        return self.node.GetSegmentation().GetSegment(self.segmentId) is not None

    @property
    def volumeMl(self) -> float:
        """The segment's volume in ml, voxels outside the grid included."""
        labelmap, _first = self._offset()
        if labelmap is None:
            return 0.0
        inside = np.count_nonzero(arrayFromImage(labelmap) == self._segment().GetLabelValue())
        return float(inside * self.grid.voxel_ml)

    def values(self, indices: Indices) -> Mask:
        """Which of the voxels (3, N) are in the segment, (N,)."""
        labelmap, offset = self._offset()
        array = arrayFromImage(labelmap) if labelmap is not None else np.zeros((0, 0, 0), np.uint8)
        found = np.zeros(indices.shape[1], dtype=bool)
        local = indices - np.array(offset, dtype=indices.dtype)[:, None]
        covered = _within(local, array.shape)
        if covered.any():
            z, y, x = (axis[covered].astype(np.int64) for axis in local)
            flat = (z * array.shape[1] + y) * array.shape[2] + x
            found[covered] = array.ravel()[flat] == self._segment().GetLabelValue()
        return found

    def box(self, box: Box) -> Mask:
        """The segment's voxels in a box of the grid."""
        extent = tuple(part.stop - part.start for part in box)
        places = np.indices(extent, dtype=np.int32).reshape(3, -1)
        return self.values(places + np.array([[part.start] for part in box], dtype=np.int32)).reshape(extent)

    def change(self, indices: Indices, inside: Mask) -> None:
        """Put the voxels (3, N) into the segment or take them out; all others, of other segments too, stay."""
        if not indices.shape[1]:
            return
        segmentation = self.node.GetSegmentation()
        segmentation.SeparateSegmentLabelmap(self.segmentId)
        mask, first = self._roomFor(indices[:, inside])
        local = indices - np.array(first)[:, None]
        covered = _within(local, mask.shape)
        mask[tuple(local[:, covered])] = inside[covered]
        if mask.any():
            self._write(mask, first)
        else:
            segmentation.ClearSegment(self.segmentId)

    def paint(self, box: Box, mask: Mask, inside: bool) -> int:
        """Put the voxels where `mask` (z, y, x, on a box of the grid) is true into the segment or take them out.

        Gives how many have changed. Written in place: costs what the box costs, however large the segment is.
        """
        segmentation = self.node.GetSegmentation()
        segmentation.SeparateSegmentLabelmap(self.segmentId)
        labelmap, offset = self._offset()
        if labelmap is None:
            if inside and mask.any():
                self._write(mask, tuple(part.start for part in box))
            return int(np.count_nonzero(mask)) if inside else 0
        if inside:
            offset = self._reach(labelmap, offset, box)
        array = arrayFromImage(labelmap)
        low = [max(part.start - first, 0) for part, first in zip(box, offset, strict=True)]
        high = [min(part.stop - first, size) for part, first, size in zip(box, offset, array.shape, strict=True)]
        part = array[tuple(slice(a, max(a, b)) for a, b in zip(low, high, strict=True))]
        cut = zip(low, part.shape, box, offset, strict=True)
        wanted = mask[tuple(slice(a + first - b.start, a + first - b.start + size) for a, size, b, first in cut)]
        label = self._segment().GetLabelValue()
        changed = wanted & ((part == label) != inside)
        part[changed] = label if inside else 0
        number = int(np.count_nonzero(changed))
        if number:
            labelmap.GetPointData().GetScalars().Modified()
            labelmap.Modified()
        return number

    def indexOf(self, pointRas: tuple[float, float, float]) -> tuple[int, int, int]:
        """The voxel (z, y, x) at a world point (RAS, mm). Raises `BadInputError` outside the grid."""
        local = [0.0, 0.0, 0.0]
        self.node.TransformPointFromWorld(pointRas, local)
        x, y, z = (int(v) for v in np.rint((np.linalg.inv(self.ijkToRas) @ [*local, 1.0])[:3]))
        if not all(0 <= i < size for i, size in zip((z, y, x), self.grid.shape, strict=True)):
            raise BadInputError(_("The click lies outside the CT."), _("Click inside the image."))
        return z, y, x

    def _segment(self) -> vtkSegment:
        segment = self.node.GetSegmentation().GetSegment(self.segmentId)
        if segment is None:
            raise BadInputError(_("The segment was removed."), _("Undo that, or press Apply again."))
        return segment

    def _offset(self) -> tuple[Any, tuple[int, int, int]]:
        """The segment's label map (None when it is empty) and the index (z, y, x) of its first voxel."""
        self._segment()
        labelmap = self.node.GetBinaryLabelmapInternalRepresentation(self.segmentId)
        if labelmap is None or arrayFromImage(labelmap).size == 0:
            return None, (0, 0, 0)
        relative = np.linalg.inv(self.ijkToRas) @ _matrixOf(labelmap)
        first = relative @ np.array([*labelmap.GetExtent()[0::2], 1.0])
        whole = np.rint(first[:3])
        turned = np.abs(relative[:3, :3] - np.eye(3)).max() * max(self.grid.size)
        if max(turned, np.abs(first[:3] - whole).max()) > _WHOLE_VOXEL:
            raise BadInputError(
                _("The segmentation's voxels do not lie on those of the result."),
                _("Keep the segmentation's geometry as the CT has it, or press Apply again."),
            )
        x, y, z = (int(v) for v in whole)
        return labelmap, (z, y, x)

    def _roomFor(self, added: Indices) -> tuple[Mask, tuple[int, ...]]:
        """A copy of the segment that is large enough for more voxels, and the index of its first one."""
        labelmap, offset = self._offset()
        old = np.zeros((0, 0, 0), bool)
        if labelmap is not None:
            old = arrayFromImage(labelmap) == self._segment().GetLabelValue()
        corners = [np.array(offset), np.array(offset) + old.shape] if old.size else []
        if added.shape[1]:
            corners += [added.min(axis=1), added.max(axis=1) + 1]
        if not corners:
            return old, offset
        first, end = np.min(corners, axis=0), np.max(corners, axis=0)
        mask = np.zeros(end - first, dtype=bool)
        start = np.array(offset) - first
        if old.size:
            mask[tuple(slice(a, a + size) for a, size in zip(start, old.shape, strict=True))] = old
        return mask, tuple(int(v) for v in first)

    def _reach(self, labelmap: Any, offset: tuple[int, int, int], box: Box) -> tuple[int, int, int]:
        """Let a label map hold a box and some room within the grid; gives the index of its first voxel then."""
        old = arrayFromImage(labelmap)
        end = [first + size for first, size in zip(offset, old.shape, strict=True)]
        if all(a <= part.start and part.stop <= b for a, b, part in zip(offset, end, box, strict=True)):
            return offset
        first = [min(a, max(part.start - _ROOM, 0)) for a, part in zip(offset, box, strict=True)]
        grid = self.grid.shape
        stop = [max(b, min(part.stop + _ROOM, size)) for b, part, size in zip(end, box, grid, strict=True)]
        values = np.zeros([b - a for a, b in zip(first, stop, strict=True)], dtype=old.dtype)
        values[tuple(slice(a - b, a - b + size) for a, b, size in zip(offset, first, old.shape, strict=True))] = old
        grown = importSlicer().vtkOrientedImageData()
        grown.ShallowCopy(labelmap)
        start = [a + b - c for a, b, c in zip(labelmap.GetExtent()[4::-2], first, offset, strict=True)]
        ends = [a + size - 1 for a, size in zip(start, values.shape, strict=True)]
        grown.SetExtent(start[2], ends[2], start[1], ends[1], start[0], ends[0])
        grown.GetPointData().SetScalars(numpy_to_vtk(values.ravel(), deep=True))
        labelmap.ShallowCopy(grown)
        # Slice views look at the extent again for a changed segment only.
        self._segment().Modified()
        return first[0], first[1], first[2]

    def _write(self, mask: Mask, first: tuple[int, ...]) -> None:
        """The segment becomes this mask, whose first voxel has an index (z, y, x) of the grid."""
        labelmap, offset = self._offset()
        matrix, shift = self.ijkToRas, (0, 0, 0)
        if labelmap is not None:
            # Indices of the segment's own label map, whose geometry stays as it is.
            matrix, start = _matrixOf(labelmap), labelmap.GetExtent()[4::-2]
            shift = (start[0] - offset[0], start[1] - offset[1], start[2] - offset[2])
        z, y, x = (int(a + b) for a, b in zip(first, shift, strict=True))
        logic = importSlicer().vtkSlicerSegmentationsModuleLogic
        written = orientedLabelmap(mask, matrix, (z, y, x))
        if not logic.SetBinaryLabelmapToSegment(written, self.node, self.segmentId, logic.MODE_REPLACE):
            raise BadInputError(_("The segment could not be written."), _("Undo the last edit and try again."))


def _within(indices: Indices, shape: tuple[int, ...]) -> Mask:
    """Which of the indices (3, N) lie in an array of this shape."""
    within = np.ones(indices.shape[1], dtype=bool)
    for axis, size in zip(indices, shape, strict=True):
        within &= (axis >= 0) & (axis < size)
    return within


def _inFrame(node: vtkMRMLSegmentationNode, grid: Geometry) -> Matrix:
    """Index to the node's own RAS: that of the volume it was made for, otherwise from where both are in the world."""
    volume = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    if volume is not None and volume.GetImageData() is not None:
        together = volume.GetTransformNodeID() == node.GetTransformNodeID()
        if together and volume.GetImageData().GetDimensions() == grid.size:
            return ijkToRasOfNode(volume)
    toWorld = linearToWorld(node)
    if toWorld is None:
        raise BadInputError(
            _("The segmentation lies below a transform that bends."), _("Take it away for threshold and clicks.")
        )
    return np.asarray(np.linalg.inv(toWorld) @ ijkToRasOfGeometry(grid))


def _matrixOf(labelmap: Any) -> Matrix:
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    return matrixToArray(matrix)
