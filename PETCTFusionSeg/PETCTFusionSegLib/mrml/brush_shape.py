"""Which voxels a round brush covers on its way: those whose centre lies in it. Arrays only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from petctfusion.volumes.geometry import Geometry

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Triple = tuple[float, float, float]
Box = tuple[slice, slice, slice]
# Distances that differ by less than this are the same, mm: rounding must not decide what lies in a brush.
_EPSILON_MM = 1e-6


def sweptVoxels(
    shape: Sequence[int], spacing_mm: Triple, path: Sequence[Triple], radius_mm: float, normal: Triple | None = None
) -> Mask:
    """What a sphere covers that goes from point to point of `path`: continuous indices (z, y, x).

    With a unit `normal` (z, y, x) only the slice of the first point, one voxel thick. The voxel under each point
    belongs to it however small the brush is.
    """
    offsets: list[Floats] = [
        np.arange(size, dtype=np.float64).reshape([-1 if axis == i else 1 for i in range(3)]) * step
        for axis, (size, step) in enumerate(zip(shape, spacing_mm, strict=True))
    ]
    points = np.asarray(path, dtype=np.float64) * np.asarray(spacing_mm)
    covered = np.zeros(tuple(shape), dtype=np.bool_)
    for start, end in zip(points[: max(1, len(points) - 1)], points[1:] if len(points) > 1 else points, strict=True):
        covered |= _squaredDistance(offsets, start, end) <= (radius_mm + _EPSILON_MM) ** 2
    for point in path:
        middle = tuple(round(value) for value in point)
        if all(0 <= index < size for index, size in zip(middle, shape, strict=True)):
            covered[middle] = True
    if normal is None:
        return covered
    half = sum(abs(part) * step for part, step in zip(normal, spacing_mm, strict=True)) / 2
    height = sum(part * (offset - place) for part, offset, place in zip(normal, offsets, points[0], strict=True))
    return covered & (height >= -half - _EPSILON_MM) & (height < half - _EPSILON_MM)


def sweptBox(
    shape: Sequence[int], spacing_mm: Triple, path: Sequence[Triple], radius_mm: float, normal: Triple | None = None
) -> Box | None:
    """The index ranges (z, y, x) of an array of `shape` that hold `sweptVoxels`; None when they miss it."""
    reach = np.full(3, radius_mm) / np.asarray(spacing_mm)
    if normal is not None:
        # A disc reaches only as far along an axis as it is turned towards it.
        across = np.abs(np.asarray(normal))
        reach = reach * np.sqrt(np.maximum(0.0, 1.0 - across**2)) + across
    low = np.maximum(np.floor(np.min(path, axis=0) - reach - 1), 0).astype(int)
    high = np.minimum(np.ceil(np.max(path, axis=0) + reach + 2), shape).astype(int)
    if (low >= high).any():
        return None
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return z, y, x


def alongAxes(grid: Geometry, directionRas: Triple) -> Triple:
    """A RAS direction as a unit vector along a grid's axes (z, y, x)."""
    x, y, z = grid.axes.T @ (np.asarray(directionRas) * (-1.0, -1.0, 1.0))
    length = float(np.linalg.norm([x, y, z]))
    return float(z / length), float(y / length), float(x / length)


def _squaredDistance(
    offsets: Sequence[NDArray[np.float64]], start: NDArray[np.float64], end: NDArray[np.float64]
) -> Mask:
    """Squared distances (mm) of all voxel centres from a line between two points (mm)."""
    way = end - start
    length = float(way @ way)
    relative = [offset - place for offset, place in zip(offsets, start, strict=True)]
    if length == 0:
        return relative[0] ** 2 + relative[1] ** 2 + relative[2] ** 2
    share = (relative[0] * way[0] + relative[1] * way[1] + relative[2] * way[2]) / length
    share = np.clip(share, 0.0, 1.0)
    return sum((part - share * step) ** 2 for part, step in zip(relative, way, strict=True))
