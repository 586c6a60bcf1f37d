"""A mask that lives in a node, read where it lies: one segment, several joined, or a label map volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
import vtk

from petctfusion.errors import BadInputError
from petctfusion.metrics.changes import Box3, Index3, Placed, around
from petctfusion.metrics.masks import BoolArray
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.i18n import _

from .headless import importSlicer
from .labelmaps import placeOnGrid
from .rejected import contourIds
from .segmentations import referenceMask, segmentImage
from .transforms import (
    Matrix,
    arrayFromImage,
    geometryFromIjkToRas,
    ijkToRasOfGeometry,
    isSheared,
    linearToWorld,
    matrixToArray,
    worldGrid,
)
from .volumes import geometryOfVolumeNode, ijkToRasOfNode

# Grids coincide when no voxel of the mask is off by more than this share of a voxel.
_TOLERANCE = 0.01


@dataclass(frozen=True)
class RawMask:
    """Voxels as they lie in memory, and the matrix from their lattice's index (x, y, z) to world RAS in mm.

    The first voxel of `placed.values` has the lattice index `placed.first` (z, y, x).
    """

    placed: Placed
    ijkToWorld: Matrix

    def offset(self, lattice: Matrix) -> Index3 | None:
        """Where index 0 of this lattice lies in another one (z, y, x), when their voxels coincide; otherwise None."""
        relative = np.linalg.inv(lattice) @ self.ijkToWorld
        shift = relative[:3, 3]
        far = max(abs(f) + n for f, n in zip(self.placed.first, self.placed.values.shape, strict=True))
        if np.abs(relative[:3, :3] - np.eye(3)).max() * far > _TOLERANCE:
            return None
        if np.abs(shift - np.round(shift)).max() > _TOLERANCE:
            return None
        x, y, z = (int(value) for value in np.round(shift))
        return z, y, x

    def moved(self, offset: Index3) -> Placed:
        """The voxels with indices of the lattice that `offset` was asked for."""
        first = tuple(a + b for a, b in zip(self.placed.first, offset, strict=True))
        return Placed(self.placed.values, (first[0], first[1], first[2]), self.placed.label)

    def onGrid(self, grid: Geometry) -> BoolArray:
        """Resampled to a world grid, at equal volume. Touches no node, so it may run in any thread."""
        box = self.placed.tight()
        if box is None:
            return np.zeros(grid.shape, dtype=np.bool_)
        matrix = self.ijkToWorld.copy()
        matrix[:, 3] = matrix @ np.array([box[2].start, box[1].start, box[0].start, 1.0])
        return np.asarray(placeOnGrid(self.placed.on_box(box), matrix, _World(), grid) != 0)  # type: ignore[arg-type]


class _World:
    """Stands for a node without parent transforms."""

    def GetParentTransformNode(self) -> None:
        """World space has no parent."""


class Source:
    """Base of the two kinds of masks. `node` may leave the scene at any time: ask `gone` first."""

    def __init__(self, node: Any) -> None:
        self.node = node

    @property
    def gone(self) -> str:
        """A sentence when the mask is not there any more; empty otherwise."""
        scene = self.node.GetScene()
        if scene is None or not scene.IsNodePresent(self.node):
            return f'"{self.node.GetName()}" was removed from the scene.'
        return ""

    def fingerprint(self) -> tuple[Any, ...]:
        """Differs whenever voxels or place may have changed; costs nothing."""
        return (self._place(), *self._content())

    def raw(self) -> list[RawMask] | None:
        """The masks to be joined; None when a parent transform shears or bends them, so that `onGrid` is needed."""
        raise NotImplementedError

    def onGrid(self, grid: Geometry) -> BoolArray:
        """Sampled on a world grid through every parent transform."""
        raise NotImplementedError

    def lattice(self) -> tuple[Matrix, Box3 | None] | None:
        """Index to world RAS of the grid on which this is compared, and the field of view in its indices (z, y, x).

        The field is None where nothing says how far it reaches; None for a mask that has no grid yet.
        """
        raise NotImplementedError

    def _content(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def _place(self) -> tuple[Any, ...]:
        transform = self.node.GetParentTransformNode()
        if transform is None:
            return ()
        if transform.IsTransformToWorldLinear():
            return tuple(np.asarray(linearToWorld(self.node)).ravel())
        return (transform.GetID(), transform.GetTransformToWorldMTime())


class SegmentSource(Source):
    """One segment of a segmentation, or several joined (None: all there are)."""

    def __init__(self, node: Any, segmentIds: Sequence[str] | None = None) -> None:
        super().__init__(node)
        self._chosen = None if segmentIds is None else tuple(segmentIds)
        self._lastName = ", ".join(self._names())

    @property
    def segmentIds(self) -> tuple[str, ...]:
        """The segments that are joined, as far as they exist."""
        if self._chosen is None:
            return tuple(contourIds(self.node))
        there = self.node.GetSegmentation().GetSegmentIDs()
        return tuple(one for one in self._chosen if one in there)

    @property
    def title(self) -> str:
        """The name of the chosen segment, also after it was removed; empty for a whole segmentation."""
        names = self._names()
        if self._chosen is not None and len(names) == len(self._chosen):
            self._lastName = ", ".join(names)
        return self._lastName if self._chosen is not None else ""

    @property
    def gone(self) -> str:
        """A sentence when the node or a chosen segment is not there any more."""
        sentence = super().gone
        if not sentence and self._chosen is not None and len(self.segmentIds) < len(self._chosen):
            sentence = f'The segment "{self._lastName}" was removed from "{self.node.GetName()}".'
        return sentence

    def raw(self) -> list[RawMask] | None:
        """One mask a segment that has voxels."""
        self._requireLabelmaps()
        toWorld = linearToWorld(self.node)
        found = []
        for segmentId in self.segmentIds:
            labelmap = self._labelmap(segmentId)
            if labelmap is None:
                continue
            matrix = _imageToWorld(labelmap)
            if toWorld is None or isSheared(toWorld @ matrix):
                return None
            extent = labelmap.GetExtent()
            label = int(self.node.GetSegmentation().GetSegment(segmentId).GetLabelValue())
            placed = Placed(arrayFromImage(labelmap), (extent[4], extent[2], extent[0]), label)
            found.append(RawMask(placed, toWorld @ matrix))
        return found

    def onGrid(self, grid: Geometry) -> BoolArray:
        """Every chosen segment on the grid, joined."""
        joined = np.zeros(grid.shape, dtype=np.bool_)
        for segmentId in self.segmentIds:
            joined |= sitk.GetArrayFromImage(segmentImage(self.node, segmentId, grid.empty())) != 0
        return joined

    def lattice(self) -> tuple[Matrix, Box3 | None] | None:
        """The first label map's lattice; the field is that of the segmentation's reference geometry."""
        self._requireLabelmaps()
        labelmaps = [one for one in map(self._labelmap, self.segmentIds) if one is not None]
        field = self._referenceGeometry()
        image = labelmaps[0] if labelmaps else field
        if image is None:
            return None
        toWorld, matrix = linearToWorld(self.node), _imageToWorld(image)
        if toWorld is None or isSheared(toWorld @ matrix):
            return _onWorldGrid(worldGrid(self.node, *_withOrigin(field if field is not None else image)))
        box = None
        if field is not None:
            voxels = Placed(np.broadcast_to(np.False_, _shape(field)), _first(field))
            whole = RawMask(voxels, toWorld @ _imageToWorld(field))
            offset = whole.offset(toWorld @ matrix)
            box = whole.moved(offset).box if offset is not None else None
        return toWorld @ matrix, box

    def _labelmap(self, segmentId: str) -> Any:
        """The label map of a segment; None while it is empty."""
        labelmap = self.node.GetBinaryLabelmapInternalRepresentation(segmentId)
        if labelmap is None or labelmap.IsEmpty() or labelmap.GetPointData().GetScalars() is None:
            return None
        return labelmap

    def _referenceGeometry(self) -> Any:
        slicer = importSlicer()
        name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
        text = self.node.GetSegmentation().GetConversionParameter(name)
        image = slicer.vtkOrientedImageData()
        if not text or not slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False):
            return None
        return image if min(_shape(image)) > 0 else None

    def _requireLabelmaps(self) -> None:
        """A contour that came as a surface or as outlines (RTSTRUCT) gets voxels by Slicer's own conversion."""
        segmentation = self.node.GetSegmentation()
        name = importSlicer().vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
        if segmentation.GetNumberOfSegments() == 0 or segmentation.ContainsRepresentation(name):
            return
        if not self.node.CreateBinaryLabelmapRepresentation():
            raise BadInputError(
                _('The contour "{name}" could not be turned into voxels.').format(name=self.node.GetName()),
                _("Choose a reference volume for its geometry in the Segmentations module."),
            )

    def _names(self) -> list[str]:
        segmentation = self.node.GetSegmentation()
        return [str(segmentation.GetSegment(one).GetName()) for one in self.segmentIds]

    def _content(self) -> tuple[Any, ...]:
        parts: list[Any] = []
        for segmentId in self.segmentIds:
            segment = self.node.GetSegmentation().GetSegment(segmentId)
            labelmap = self.node.GetBinaryLabelmapInternalRepresentation(segmentId)
            scalars = labelmap.GetPointData().GetScalars() if labelmap is not None else None
            # Undo puts another label map in place, an edit of the array changes the times, a shared layer both.
            parts.append(
                (
                    segmentId,
                    segment.GetMTime(),
                    segment.GetLabelValue(),
                    labelmap.GetAddressAsString("") if labelmap is not None else "",
                    labelmap.GetMTime() if labelmap is not None else 0,
                    scalars.GetMTime() if scalars is not None else 0,
                )
            )
        return tuple(parts)


class VolumeSource(Source):
    """A label map volume, every label joined."""

    @property
    def gone(self) -> str:
        """A sentence when the volume is not in the scene, or has lost its voxels."""
        sentence = super().gone
        if not sentence and self.node.GetImageData() is None:
            sentence = f'The volume "{self.node.GetName()}" holds no voxels.'
        return sentence

    def raw(self) -> list[RawMask] | None:
        """The whole volume."""
        geometryOfVolumeNode(self.node)
        toWorld = linearToWorld(self.node)
        matrix = ijkToRasOfNode(self.node)
        if toWorld is None or isSheared(toWorld @ matrix):
            return None
        return [RawMask(Placed(arrayFromImage(self.node.GetImageData())), toWorld @ matrix)]

    def onGrid(self, grid: Geometry) -> BoolArray:
        """All labels on the grid."""
        return np.asarray(sitk.GetArrayFromImage(referenceMask(self.node, grid.empty())) != 0)

    def lattice(self) -> tuple[Matrix, Box3 | None] | None:
        """The volume's own grid; its field is all of it."""
        return _onWorldGrid(geometryOfVolumeNode(self.node))

    def _content(self) -> tuple[Any, ...]:
        image = self.node.GetImageData()
        scalars = image.GetPointData().GetScalars() if image is not None else None
        return (
            image.GetAddressAsString("") if image is not None else "",
            image.GetMTime() if image is not None else 0,
            scalars.GetMTime() if scalars is not None else 0,
            tuple(ijkToRasOfNode(self.node).ravel()),
        )


def joined(masks: Sequence[RawMask], lattice: Matrix) -> Placed | None:
    """Several masks on one lattice as one; None when one of them lies on another grid."""
    offsets = [mask.offset(lattice) for mask in masks]
    placed = [mask.moved(offset) for mask, offset in zip(masks, offsets, strict=True) if offset is not None]
    if len(placed) < len(masks):
        return None
    if len(placed) == 1:
        return placed[0]
    box = around(*(one.box for one in placed if one.values.size))
    if box is None:
        return Placed(np.zeros((0, 0, 0), dtype=np.bool_))
    values = np.zeros(tuple(s.stop - s.start for s in box), dtype=np.bool_)
    for one in placed:
        part = tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(one.box, box, strict=True))
        values[part] |= one.mask()
    return Placed(values, (box[0].start, box[1].start, box[2].start))


def _onWorldGrid(grid: Geometry) -> tuple[Matrix, Box3]:
    z, y, x = grid.shape
    return ijkToRasOfGeometry(grid), (slice(0, z), slice(0, y), slice(0, x))


def gridOf(lattice: Matrix, box: Box3) -> Geometry:
    """The world grid (LPS) of a box of a lattice."""
    matrix = lattice.copy()
    matrix[:, 3] = matrix @ np.array([box[2].start, box[1].start, box[0].start, 1.0])
    size = tuple(s.stop - s.start for s in reversed(box))
    return geometryFromIjkToRas(matrix, (size[0], size[1], size[2]))


def _imageToWorld(image: Any) -> Matrix:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return matrixToArray(matrix)


def _shape(image: Any) -> tuple[int, int, int]:
    x, y, z = image.GetDimensions()
    return z, y, x


def _first(image: Any) -> Index3:
    extent = image.GetExtent()
    return extent[4], extent[2], extent[0]


def _withOrigin(image: Any) -> tuple[Matrix, tuple[int, int, int]]:
    """Matrix and size (x, y, z) of an image whose extent need not start at 0."""
    matrix, (z, y, x) = _imageToWorld(image), _first(image)
    matrix[:, 3] = matrix @ np.array([x, y, z, 1.0])
    return matrix, image.GetDimensions()
