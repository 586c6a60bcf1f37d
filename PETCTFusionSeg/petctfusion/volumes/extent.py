"""Grids that are parts of one lattice: one made large enough, and a mask placed on the larger one."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.volumes.geometry import Geometry

_ON_LATTICE = 1e-2  # voxels


def extended(grid: Geometry, low: NDArray[np.intp], high: NDArray[np.intp]) -> Geometry:
    """The smallest grid on the lattice of `grid` that holds it and the voxels from index `low` to `high` (x, y, z)."""
    first = np.minimum(0, low)
    last = np.maximum(np.asarray(grid.size) - 1, high)
    x, y, z = (float(v) for v in grid.points(first[None].astype(np.float64))[0])
    columns, rows, slices = (int(v) for v in last - first + 1)
    return Geometry((columns, rows, slices), grid.spacing, (x, y, z), grid.direction)


def offset_in(part: Geometry, whole: Geometry) -> NDArray[np.intp] | None:
    """Index (x, y, z) in `whole` of the first voxel of `part`; None unless `part` lies in it, voxel on voxel."""
    if not np.allclose(part.spacing, whole.spacing, rtol=1e-4) or not np.allclose(part.axes, whole.axes, atol=1e-4):
        return None
    place = whole.indices(np.array([part.origin]))[0]
    first: NDArray[np.intp] = np.round(place).astype(np.intp)
    if np.abs(place - first).max() > _ON_LATTICE:
        return None
    if np.any(first < 0) or np.any(first + np.asarray(part.size) > np.asarray(whole.size)):
        return None
    return first


def embedded(mask: NDArray[np.uint8], part: Geometry, whole: Geometry) -> sitk.Image | None:
    """`mask` (z, y, x) of the grid `part` on the grid `whole`, 0 around it; None where `offset_in` is."""
    first = offset_in(part, whole)
    if first is None:
        return None
    array = np.zeros(whole.shape, dtype=np.uint8)
    array[tuple(slice(a, a + n) for a, n in zip(first[::-1], part.shape, strict=True))] = mask
    return whole.image(array)
