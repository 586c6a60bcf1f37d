"""Where a node's voxels really are: parent transforms, matrices, and resampling through transforms that bend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from petctfusion.volumes.geometry import Geometry

if TYPE_CHECKING:
    from slicer import vtkMRMLTransformableNode, vtkMRMLTransformNode

Matrix = NDArray[np.float64]
RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# Cosine between two axes above which a grid counts as sheared: 1e-4 moves a voxel 300 mm away by 0.03 mm.
_SHEAR_COSINE = 1e-4


def matrixToArray(matrix: vtk.vtkMatrix4x4) -> Matrix:
    """A vtkMatrix4x4 as (4, 4) float64."""
    return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])


def matrixFromArray(array: NDArray[Any]) -> vtk.vtkMatrix4x4:
    """A (4, 4) array as vtkMatrix4x4."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy([float(value) for value in np.asarray(array).ravel()])
    return matrix


def linearToWorld(node: vtkMRMLTransformableNode) -> Matrix | None:
    """Node to world (RAS, mm) through all parent transforms, nested ones included; None when one of them bends."""
    transform: vtkMRMLTransformNode | None = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        return None
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return matrixToArray(matrix)


def ijkToRasOfGeometry(grid: Geometry) -> Matrix:
    """Index (x, y, z) to RAS mm of a grid that is described in LPS."""
    matrix = np.eye(4)
    matrix[:3, :3] = grid.axes * np.asarray(grid.spacing)
    matrix[:3, 3] = grid.origin
    return np.asarray(RAS_LPS @ matrix)


def isSheared(ijkToRas: Matrix) -> bool:
    """True when the index axes are not orthogonal, so that no direction matrix describes them."""
    columns = ijkToRas[:3, :3] / np.linalg.norm(ijkToRas[:3, :3], axis=0)
    return bool(np.abs(columns.T @ columns - np.eye(3)).max() > _SHEAR_COSINE)


def geometryFromIjkToRas(ijkToRas: Matrix, size: tuple[int, int, int]) -> Geometry:
    """The LPS grid of an index-to-RAS matrix (4, 4) whose axes are orthogonal."""
    lps = RAS_LPS @ ijkToRas
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    direction = lps[:3, :3] / spacing
    return Geometry(size, _triple(spacing), _triple(lps[:3, 3]), tuple(float(value) for value in direction.ravel()))


def worldGrid(node: vtkMRMLTransformableNode, ijkToRas: Matrix, size: tuple[int, int, int]) -> Geometry:
    """An orthogonal world grid that covers a node's voxels after transforms that shear or bend.

    Axes are the nearest orthogonal ones to the transformed axes, spacings the shortest transformed voxel edges along
    them at the centre of the volume, the box holds a 9 x 9 x 9 lattice of transformed points.
    """
    steps = [np.linspace(-0.5, count - 0.5, 9) for count in size]
    lattice = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    points = toWorld(node, ijkToRas, lattice)
    centre = (np.asarray(size) - 1) / 2
    probes = toWorld(node, ijkToRas, centre + np.vstack([np.zeros(3), np.eye(3)]))
    edges = (probes[1:] - probes[0]).T
    left, _, right = np.linalg.svd(edges / np.linalg.norm(edges, axis=0))
    axes = left @ right
    spacing = np.linalg.norm(edges, axis=0)
    along = points @ axes
    low, high = along.min(axis=0), along.max(axis=0)
    counts = np.maximum(1, np.ceil((high - low) / spacing - 1e-6)).astype(int)
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing
    matrix[:3, 3] = axes @ ((low + high) / 2 - (counts - 1) / 2 * spacing)
    return geometryFromIjkToRas(matrix, (int(counts[0]), int(counts[1]), int(counts[2])))


def toWorld(node: vtkMRMLTransformableNode, ijkToRas: Matrix, indices: Matrix) -> Matrix:
    """World RAS points (N, 3) in mm of continuous voxel indices (N, 3), through every parent transform."""
    local = indices @ ijkToRas[:3, :3].T + ijkToRas[:3, 3]
    linear = linearToWorld(node)
    if linear is not None:
        return np.asarray(local @ linear[:3, :3].T + linear[:3, 3])
    bend = vtk.vtkGeneralTransform()
    node.GetParentTransformNode().GetTransformToWorld(bend)
    return np.array([bend.TransformPoint(point) for point in local])


def reslice(
    values: NDArray[Any],
    indexToIndex: vtk.vtkAbstractTransform,
    shape: tuple[int, int, int],
    linear: bool,
    outside: float,
) -> NDArray[Any]:
    """Values (z, y, x) on another grid of `shape` (z, y, x); the transform takes its indices to ours."""
    slicer = vtk.vtkImageReslice()
    slicer.SetInputData(imageFromArray(values))
    slicer.SetResliceTransform(indexToIndex)
    slicer.SetOutputOrigin(0, 0, 0)
    slicer.SetOutputSpacing(1, 1, 1)
    slicer.SetOutputExtent(0, shape[2] - 1, 0, shape[1] - 1, 0, shape[0] - 1)
    slicer.SetBackgroundLevel(outside)
    if linear:
        slicer.SetInterpolationModeToLinear()
    else:
        slicer.SetInterpolationModeToNearestNeighbor()
    slicer.Update()
    return arrayFromImage(slicer.GetOutput()).copy()


def worldIndexToNodeIndex(grid: Geometry, node: vtkMRMLTransformableNode, ijkToRas: Matrix) -> vtk.vtkGeneralTransform:
    """World grid index to node voxel index, through the inverse of every parent transform."""
    chain = vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(matrixFromArray(ijkToRasOfGeometry(grid)))
    parent = node.GetParentTransformNode()
    if parent is not None:
        fromWorld = vtk.vtkGeneralTransform()
        parent.GetTransformFromWorld(fromWorld)
        chain.Concatenate(fromWorld)
    chain.Concatenate(matrixFromArray(np.linalg.inv(ijkToRas)))
    return chain


def nodeIndexToWorldIndex(node: vtkMRMLTransformableNode, ijkToRas: Matrix, grid: Geometry) -> vtk.vtkGeneralTransform:
    """Node voxel index to world grid index, through every parent transform."""
    chain = vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(matrixFromArray(ijkToRas))
    parent = node.GetParentTransformNode()
    if parent is not None:
        forward = vtk.vtkGeneralTransform()
        parent.GetTransformToWorld(forward)
        chain.Concatenate(forward)
    chain.Concatenate(matrixFromArray(np.linalg.inv(ijkToRasOfGeometry(grid))))
    return chain


def imageFromArray(values: NDArray[Any]) -> vtk.vtkImageData:
    """A vtkImageData in index space (origin 0, spacing 1) that owns a copy of `values` (z, y, x)."""
    image = vtk.vtkImageData()
    image.SetDimensions(values.shape[2], values.shape[1], values.shape[0])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(values).ravel(), deep=True))
    return image


def arrayFromImage(image: vtk.vtkImageData) -> NDArray[Any]:
    """The voxels (z, y, x) of a one-component image, as a view into its memory."""
    scalars = image.GetPointData().GetScalars()
    if scalars is None:
        return np.zeros((0, 0, 0), dtype=np.uint8)
    dimensions = image.GetDimensions()
    return np.asarray(vtk_to_numpy(scalars).reshape(dimensions[2], dimensions[1], dimensions[0]))


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
