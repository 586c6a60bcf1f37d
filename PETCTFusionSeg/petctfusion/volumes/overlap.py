"""How much of one field of view lies in another, in physical space."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.volumes.geometry import Geometry

_POINTS_PER_AXIS = 32
_MOST_VOXELS = 20_000


def share_inside(points: NDArray[np.float64], field: Geometry) -> float:
    """Share of LPS points (N, 3) that lie within the voxel edges of `field`."""
    index = field.indices(points)
    inside = np.all((index >= -0.5) & (index <= np.asarray(field.size) - 0.5), axis=1)
    return float(inside.mean())


def field_points(field: Geometry) -> NDArray[np.float64]:
    """LPS points (N, 3) spread evenly over a field of view."""
    places = (np.arange(_POINTS_PER_AXIS) + 0.5) / _POINTS_PER_AXIS
    axes = [places * count - 0.5 for count in field.size]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return field.points(grid)


def covered_share(first: Geometry, second: Geometry) -> float:
    """Share of the first field of view that lies in the second, from 32^3 points."""
    return share_inside(field_points(first), second)


def foreground_points(mask: sitk.Image) -> NDArray[np.float64]:
    """LPS points (N, 3) of voxels of `mask` that are not 0, at most 20,000 of them."""
    index = np.argwhere(sitk.GetArrayViewFromImage(mask) != 0)
    index = index[:: max(1, len(index) // _MOST_VOXELS)]
    return Geometry.of(mask).points(index[:, ::-1].astype(np.float64))
