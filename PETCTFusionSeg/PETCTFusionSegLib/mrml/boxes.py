"""Parts of volumes: what lies in a box is read, interpolated or cut out without touching the rest of the study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
import vtk
from numpy.typing import NDArray

from petctfusion.errors import BadInputError
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.labels import resample_labels
from PETCTFusionSegLib.i18n import _

from .transforms import Matrix, arrayFromImage, isSheared, linearToWorld, matrixToArray, worldIndexToNodeIndex
from .volumes import geometryOfVolumeNode, ijkToRasOfNode

if TYPE_CHECKING:
    from slicer import vtkMRMLMarkupsROINode, vtkMRMLVolumeNode

Box = tuple[slice, slice, slice]
"""Index ranges (z, y, x)."""
RAS_LPS_SIGNS = np.array([-1.0, -1.0, 1.0])
"""A RAS point times this is the LPS point, and back."""
_WHOLE_VOXELS = 1e-2


def subGrid(grid: Geometry, box: Box) -> Geometry:
    """The part of a grid inside index ranges (z, y, x) of it, which may reach beyond it."""
    first = np.array([[axis.start for axis in reversed(box)]], dtype=np.float64)
    size = tuple(axis.stop - axis.start for axis in reversed(box))
    x, y, z = (float(value) for value in grid.points(first)[0])
    return Geometry((size[0], size[1], size[2]), grid.spacing, (x, y, z), grid.direction)


def boxAround(grid: Geometry, points: Matrix, margin_mm: float = 0.0) -> Box | None:
    """The index ranges (z, y, x) of a grid that hold LPS points (N, 3) and `margin_mm`; None when they miss it."""
    index = grid.indices(points)
    margin = margin_mm / np.asarray(grid.spacing)
    low = np.maximum(np.floor(index.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(index.max(axis=0) + margin) + 1, grid.size).astype(int)
    if (low >= high).any():
        return None
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return z, y, x


def valuesOnGrid(node: vtkMRMLVolumeNode, grid: Geometry, outside: float = 0.0) -> NDArray[Any]:
    """A volume's values (z, y, x) on a small world grid, linear, through all of its parent transforms."""
    cutter = vtk.vtkImageReslice()
    cutter.SetInputData(node.GetImageData())
    cutter.SetResliceTransform(worldIndexToNodeIndex(grid, node, ijkToRasOfNode(node)))
    cutter.SetOutputOrigin(0, 0, 0)
    cutter.SetOutputSpacing(1, 1, 1)
    cutter.SetOutputExtent(0, grid.size[0] - 1, 0, grid.size[1] - 1, 0, grid.size[2] - 1)
    cutter.SetBackgroundLevel(outside)
    cutter.SetInterpolationModeToLinear()
    cutter.Update()
    return arrayFromImage(cutter.GetOutput()).copy()


def imageInBox(node: vtkMRMLVolumeNode, points: Matrix, margin_mm: float = 0.0, outside: float = 0.0) -> sitk.Image:
    """The part of a volume around LPS points (N, 3), in world space; a copy of its voxels where no transform bends.

    Raises `BadInputError` when the volume does not reach there.
    """
    grid = geometryOfVolumeNode(node)
    box = boxAround(grid, points, margin_mm)
    if box is None or min(axis.stop - axis.start for axis in box) < 2:
        sentence = _('"{name}" does not reach this place.').format(name=node.GetName())
        raise BadInputError(sentence, _("Choose a place inside CT and PET."))
    part = subGrid(grid, box)
    toWorld = linearToWorld(node)
    if toWorld is None or isSheared(toWorld @ ijkToRasOfNode(node)):
        return part.image(valuesOnGrid(node, part, outside))
    return part.image(np.ascontiguousarray(arrayFromImage(node.GetImageData())[box]))


def labelsOnGrid(labels: sitk.Image, grid: Geometry) -> NDArray[np.uint8]:
    """A label map (uint8, z, y, x) on a small grid: copied where the voxels coincide, otherwise resampled."""
    source = Geometry.of(labels)
    offset = source.indices(np.asarray([grid.origin]))[0]
    same = np.allclose(source.spacing, grid.spacing) and np.allclose(source.direction, grid.direction, atol=1e-5)
    if same and np.abs(offset - np.round(offset)).max() < _WHOLE_VOXELS:
        onGrid = sitk.Resample(
            labels,
            list(grid.size),
            sitk.Transform(),
            sitk.sitkNearestNeighbor,
            grid.origin,
            grid.spacing,
            grid.direction,
        )
        return sitk.GetArrayFromImage(onGrid).astype(np.uint8)
    return sitk.GetArrayFromImage(resample_labels(labels, grid)).astype(np.uint8)


@dataclass(frozen=True)
class OrientedBox:
    """A box as it lies in the world: its own frame to RAS, (4, 4), and half its size in that frame."""

    toRas: Matrix
    half: Matrix

    @classmethod
    def ofRoi(cls, roi: vtkMRMLMarkupsROINode) -> OrientedBox:
        """An ROI as it is now, rotation and parent transforms included. Raises `BadInputError` for an empty one."""
        half = np.abs(np.asarray(roi.GetSize(), dtype=np.float64)) / 2
        toRas = matrixToArray(roi.GetObjectToWorldMatrix())
        if roi.GetNumberOfControlPoints() == 0 or half.min() <= 0 or abs(np.linalg.det(toRas)) < 1e-9:
            sentence = _('The box "{name}" is empty.').format(name=roi.GetName())
            raise BadInputError(sentence, _("Draw it in a slice view first."))
        return cls(toRas, half)

    def corners(self) -> Matrix:
        """The eight corners in LPS mm, (8, 3)."""
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
        return np.asarray(((signs * self.half) @ self.toRas[:3, :3].T + self.toRas[:3, 3]) * RAS_LPS_SIGNS)

    def holds(self, grid: Geometry) -> NDArray[np.bool_]:
        """Which voxels (z, y, x) of a small world grid have their centre in the box."""
        inverse = np.linalg.inv(self.toRas)
        steps = inverse[:3, :3] @ np.diag(RAS_LPS_SIGNS) @ (grid.axes * np.asarray(grid.spacing))
        first = inverse[:3, :3] @ (np.asarray(grid.origin) * RAS_LPS_SIGNS) + inverse[:3, 3]
        x, y, z = (np.arange(size, dtype=np.float32) for size in grid.size)
        inside = np.ones(grid.shape, dtype=np.bool_)
        for (alongX, alongY, alongZ), start, half in zip(steps, first, self.half, strict=True):
            place = (alongZ * z)[:, None, None] + (alongY * y)[None, :, None] + (alongX * x + start)[None, None, :]
            inside &= np.abs(place) <= half
        return inside
