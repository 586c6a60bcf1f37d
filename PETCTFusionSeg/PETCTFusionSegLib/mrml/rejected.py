"""Lesions that the reader took out of a contour: they live in a segment "Rejected" beside it and can be taken back.

Whether a lesion is rejected is decided by where its voxels are, and by nothing else: so undo, redo and the Segment
Editor's own tools never contradict the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from vtkmodules.util.numpy_support import numpy_to_vtk

from petctfusion.errors import BadInputError
from petctfusion.metrics.changes import Box3, Placed
from petctfusion.metrics.masks import BoolArray
from PETCTFusionSegLib.i18n import _

from .headless import importSlicer
from .segmentations import ATTRIBUTE_PREFIX
from .terminology import segmentTag
from .transforms import Matrix, arrayFromImage, matrixToArray

REJECTED_TAG = ATTRIBUTE_PREFIX + "RejectedFrom"
_GREY = (0.55, 0.55, 0.55)


@dataclass(frozen=True)
class Place:
    """Voxels of a label map: `mask` in `box` (z, y, x) of the lattice `ijkToLocal` (RAS below parent transforms)."""

    box: Box3
    mask: BoolArray
    ijkToLocal: Matrix


def contourIds(node: Any) -> list[str]:
    """The segments that are contours, without those that hold rejected lesions."""
    segmentation = node.GetSegmentation()
    return [str(one) for one in segmentation.GetSegmentIDs() if not rejectedFrom(segmentation.GetSegment(one))]


def rejectedFrom(segment: Any) -> str:
    """Of a segment with rejected lesions the id of their contour; empty for a contour."""
    return segmentTag(segment, REJECTED_TAG)


def rejectedSegmentOf(node: Any, segmentId: str) -> str:
    """The segment that holds the rejected lesions of a contour; empty when there is none."""
    segmentation = node.GetSegmentation()
    found = (one for one in segmentation.GetSegmentIDs() if rejectedFrom(segmentation.GetSegment(one)) == segmentId)
    return str(next(found, ""))


def rejectLesion(node: Any, segmentId: str, place: Place) -> None:
    """Move a lesion's voxels from its contour to the segment of rejected ones, which is made when there is none."""
    moveVoxels(node, place, segmentId, rejectedSegmentOf(node, segmentId) or _addRejected(node, segmentId))


def takeBackLesion(node: Any, segmentId: str, place: Place) -> None:
    """Move a rejected lesion's voxels back to its contour `segmentId`."""
    moveVoxels(node, place, rejectedSegmentOf(node, segmentId), segmentId)


def moveVoxels(node: Any, place: Place, fromId: str, toId: str) -> None:
    """Move those voxels of `place` that are in one segment to another one; other segments keep theirs.

    Raises `BadInputError` when the segment's grid is not that of `place` any more.
    """
    segmentation = node.GetSegmentation()
    segment = segmentation.GetSegment(fromId)
    labelmap = node.GetBinaryLabelmapInternalRepresentation(fromId) if segment is not None else None
    if (
        labelmap is None
        or segmentation.GetSegment(toId) is None
        or not np.allclose(_matrix(labelmap), place.ijkToLocal)
    ):
        raise BadInputError(_("The lesion has changed."), _("Look at the list again."))
    extent = labelmap.GetExtent()
    values = Placed(arrayFromImage(labelmap), (extent[4], extent[2], extent[0]), int(segment.GetLabelValue()))
    moving = values.on_box(place.box) & place.mask
    if not moving.any():
        return
    logic = importSlicer().vtkSlicerSegmentationsModuleLogic
    # Taken out first: then the two can share a layer, and neither overwrites the other.
    outside = _labelmap(np.where(moving, 0, 255), place.box, labelmap)
    inside = _labelmap(moving, place.box, labelmap)
    done = logic.SetBinaryLabelmapToSegment(outside, node, fromId, logic.MODE_MERGE_MIN)
    if not (done and logic.SetBinaryLabelmapToSegment(inside, node, toId, logic.MODE_MERGE_MASK)):
        raise BadInputError(_("The lesion could not be moved."), _("Undo the last edit and try again."))


def _addRejected(node: Any, segmentId: str) -> str:
    segmentation = node.GetSegmentation()
    source = segmentation.GetSegment(segmentId).GetName()
    name = _("Rejected")
    if segmentation.GetSegmentIdBySegmentName(name):
        name = _("Rejected ({segment})").format(segment=source)
    added = str(segmentation.AddEmptySegment(segmentation.GenerateUniqueSegmentID(name), name, _GREY))
    segmentation.GetSegment(added).SetTag(REJECTED_TAG, segmentId)
    display = node.GetDisplayNode()
    if display is not None:
        display.SetSegmentVisibility3D(added, False)
        display.SetSegmentVisibility2DFill(added, False)
    return added


def _labelmap(values: Any, box: Box3, beside: Any) -> Any:
    """An image of `values` in a box of the lattice of another one."""
    labelmap = importSlicer().vtkOrientedImageData()
    matrix = vtk.vtkMatrix4x4()
    beside.GetImageToWorldMatrix(matrix)
    labelmap.SetImageToWorldMatrix(matrix)
    z, y, x = box
    labelmap.SetExtent(x.start, x.stop - 1, y.start, y.stop - 1, z.start, z.stop - 1)
    voxels = np.ascontiguousarray(values, dtype=np.uint8).ravel()
    labelmap.GetPointData().SetScalars(numpy_to_vtk(voxels, deep=True))
    return labelmap


def _matrix(labelmap: Any) -> Matrix:
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    return matrixToArray(matrix)
