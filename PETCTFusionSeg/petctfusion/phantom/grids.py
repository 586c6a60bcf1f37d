"""Axis-aligned grids (identity direction): made to fill a box, and cut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from petctfusion.volumes.geometry import Geometry

Slices = tuple[slice, slice, slice]
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def axis_aligned(low: NDArray[np.float64], high: NDArray[np.float64], spacing: tuple[float, float, float]) -> Geometry:
    """The grid of this spacing (x, y, z) whose voxels fill the box from `low` to `high` in LPS mm."""
    step = np.asarray(spacing)
    size = np.maximum(np.floor((high - low) / step + 1e-6).astype(int), 1)
    origin = low + (high - low - size * step) / 2 + step / 2
    return Geometry(
        (int(size[0]), int(size[1]), int(size[2])),
        (float(step[0]), float(step[1]), float(step[2])),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        _IDENTITY,
    )


def cut_out(grid: Geometry, window: tuple[slice, ...]) -> Geometry:
    """The part of an axis-aligned grid behind array slices (z, y, x)."""
    z, y, x = ((int(one.start), int(one.stop)) for one in window)
    origin = tuple(float(o + s * part[0]) for o, s, part in zip(grid.origin, grid.spacing, (x, y, z), strict=True))
    size = (x[1] - x[0], y[1] - y[0], z[1] - z[0])
    return Geometry(size, grid.spacing, (origin[0], origin[1], origin[2]), grid.direction)


def slices_over(grid: Geometry, other: Geometry) -> Slices | None:
    """Array slices (z, y, x) of `grid` that cover `other`, or None when they do not meet."""
    corners = grid.indices(other.corners())
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, grid.size)
    if np.any(high <= low):
        return None
    return slice(low[2], high[2]), slice(low[1], high[1]), slice(low[0], high[0])
