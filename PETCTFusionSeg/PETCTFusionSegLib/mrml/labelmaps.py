"""Binary label maps of segments: voxels placed by extent, never by shape, and compared with the segment's own value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
import vtk
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk

from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.labels import resample_labels

from .headless import importSlicer
from .transforms import (
    Matrix,
    arrayFromImage,
    geometryFromIjkToRas,
    ijkToRasOfGeometry,
    isSheared,
    linearToWorld,
    matrixFromArray,
    matrixToArray,
    nodeIndexToWorldIndex,
    reslice,
    worldIndexToNodeIndex,
)

if TYPE_CHECKING:
    from slicer import vtkMRMLTransformableNode, vtkOrientedImageData, vtkSegment

Mask = NDArray[np.bool_]
# Zero voxels around a tight label map, so that smoothing and interpolation near its border see background.
_PADDING = 6


def boundingBox(mask: Mask) -> tuple[slice, slice, slice] | None:
    """The tight box (z, y, x) around the true voxels; None for an empty mask."""
    if not mask.any():
        return None
    ranges = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        hit = np.flatnonzero(mask.any(axis=others))
        ranges.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return ranges[0], ranges[1], ranges[2]


def orientedLabelmap(mask: Mask, ijkToRas: Matrix, first: tuple[int, int, int] = (0, 0, 0)) -> vtkOrientedImageData:
    """A label map of ones whose extent is the box around the true voxels of `mask` (z, y, x).

    `first` is the index (z, y, x) of the mask's first voxel.
    """
    labelmap = importSlicer().vtkOrientedImageData()
    labelmap.SetImageToWorldMatrix(matrixFromArray(ijkToRas))
    box = boundingBox(mask)
    if box is None:
        labelmap.SetExtent(0, -1, 0, -1, 0, -1)
        labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        return labelmap
    z, y, x = box
    k, j, i = first
    labelmap.SetExtent(i + x.start, i + x.stop - 1, j + y.start, j + y.stop - 1, k + z.start, k + z.stop - 1)
    voxels = np.ascontiguousarray(mask[box], dtype=np.uint8).ravel()
    labelmap.GetPointData().SetScalars(numpy_to_vtk(voxels, deep=True))
    return labelmap


def maskInFrame(
    mask: sitk.Image, frame: vtkMRMLTransformableNode, fallback: tuple[Matrix, tuple[int, int, int]]
) -> tuple[Mask, Matrix]:
    """A world mask as voxels (z, y, x) and index-to-RAS matrix in a node's own frame (below its parent transforms).

    Under transforms that keep the mask's grid orthogonal no voxel changes; otherwise the mask is sampled, nearest
    neighbour, on the `fallback` grid: matrix and size (x, y, z) in the node's frame.
    """
    voxels = sitk.GetArrayViewFromImage(mask) != 0
    grid = Geometry.of(mask)
    toWorld = linearToWorld(frame)
    if toWorld is not None:
        local = np.linalg.inv(toWorld) @ ijkToRasOfGeometry(grid)
        if not isSheared(local):
            return voxels, local
    ijkToRas, size = fallback
    chain = nodeIndexToWorldIndex(frame, ijkToRas, grid)
    sampled = reslice(voxels.astype(np.uint8), chain, (size[2], size[1], size[0]), False, 0)
    return sampled != 0, ijkToRas


def segmentVoxels(labelmap: vtkOrientedImageData | None, segment: vtkSegment) -> tuple[Mask, Matrix] | None:
    """The segment's voxels in a tight box, and the box's index-to-RAS matrix; None for an empty segment."""
    if labelmap is None:
        return None
    values = arrayFromImage(labelmap)
    if values.size == 0:
        return None
    mask = values == segment.GetLabelValue()
    box = boundingBox(mask)
    if box is None:
        return None
    imageToWorld = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(imageToWorld)
    matrix = matrixToArray(imageToWorld)
    extent = labelmap.GetExtent()
    first = np.array([extent[0] + box[2].start, extent[2] + box[1].start, extent[4] + box[0].start, 1.0])
    matrix[:, 3] = matrix @ first
    return np.ascontiguousarray(mask[box]), matrix


def placeOnGrid(mask: Mask, ijkToRas: Matrix, frame: vtkMRMLTransformableNode, grid: Geometry) -> NDArray[Any]:
    """A mask of a node's own frame on a world grid (uint8, z, y, x).

    Voxels that coincide with those of `grid` are copied; others are interpolated and cut at one half.
    """
    toWorld = linearToWorld(frame)
    if toWorld is None or isSheared(toWorld @ ijkToRas):
        padded, matrix = _padded(mask, ijkToRas)
        chain = worldIndexToNodeIndex(grid, frame, matrix)
        share = reslice(padded.astype(np.float32), chain, grid.shape, True, 0.0)
        return (share >= 0.5).astype(np.uint8)
    world = toWorld @ ijkToRas
    offset = _wholeOffset(world, grid)
    if offset is not None:
        return _pasted(mask, offset, grid.shape)
    padded, matrix = _padded(mask, world)
    source = geometryFromIjkToRas(matrix, (padded.shape[2], padded.shape[1], padded.shape[0]))
    result = resample_labels(source.image(padded.astype(np.uint8)), grid)
    return np.asarray(sitk.GetArrayFromImage(result))


def _wholeOffset(ijkToRas: Matrix, grid: Geometry, tolerance: float = 1e-3) -> tuple[int, int, int] | None:
    """The offset (x, y, z) of a grid within another one when their voxels coincide, otherwise None."""
    relative = np.linalg.inv(ijkToRasOfGeometry(grid)) @ ijkToRas
    offset = relative[:3, 3]
    if np.abs(relative[:3, :3] - np.eye(3)).max() > tolerance / max(grid.size):
        return None
    if np.abs(offset - np.round(offset)).max() > tolerance * 10:
        return None
    x, y, z = (int(value) for value in np.round(offset))
    return x, y, z


def _pasted(mask: Mask, offset: tuple[int, int, int], shape: tuple[int, int, int]) -> NDArray[Any]:
    """The mask at an offset (x, y, z) of an array of `shape` (z, y, x); what lies outside is left out."""
    result = np.zeros(shape, dtype=np.uint8)
    target, source = [], []
    for start, length, limit in zip(offset[::-1], mask.shape, shape, strict=True):
        low, high = max(0, start), min(limit, start + length)
        if low >= high:
            return result
        target.append(slice(low, high))
        source.append(slice(low - start, high - start))
    result[tuple(target)] = mask[tuple(source)]
    return result


def _padded(mask: Mask, ijkToRas: Matrix) -> tuple[Mask, Matrix]:
    matrix = ijkToRas.copy()
    matrix[:3, 3] -= ijkToRas[:3, :3] @ np.full(3, float(_PADDING))
    return np.pad(mask, _PADDING), matrix
