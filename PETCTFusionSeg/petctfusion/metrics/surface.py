"""Distances between the surfaces of two masks on one grid, one number at a time; `agreement` gives all at once.

A surface is the set of mask voxels with at least one of their 6 face neighbours outside the mask; what lies beyond the
image border counts as outside. Distances run between voxel centres with the true spacing. Percentiles interpolate
linearly. One mask empty: every distance is infinite; both empty: 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petctfusion.metrics.agreement import DEFAULT_TOLERANCE_MM, compare_masks
from petctfusion.metrics.distances import SurfaceAgreement
from petctfusion.metrics.masks import BoolArray, as_mask


def surface_voxels(mask: NDArray[Any]) -> BoolArray:
    """The voxels of `mask` with a face neighbour outside it; the image border counts as outside."""
    inside = as_mask(mask)
    padded = np.pad(inside, 1)
    enclosed = padded.copy()
    # The padding is outside, so what a roll brings round from the other side is outside as well.
    for axis in range(inside.ndim):
        for step in (-1, 1):
            enclosed &= np.roll(padded, step, axis)
    surface: BoolArray = inside & ~enclosed[tuple(slice(1, -1) for _ in inside.shape)]
    return surface


def surface_distances(a: NDArray[Any], b: NDArray[Any], spacing: Sequence[float]) -> SurfaceAgreement:
    """All distances between the surface voxels of `a` and `b`; `spacing` in mm, in array order (z, y, x)."""
    return compare_masks(a, b, spacing, surfels=False).voxel


def hd95_mm(a: NDArray[Any], b: NDArray[Any], spacing: Sequence[float]) -> float:
    """The larger directed 95th percentile of the surface distances, mm; one empty inf, both empty 0."""
    return surface_distances(a, b, spacing).hausdorff_mm(95.0)


def hd_mm(a: NDArray[Any], b: NDArray[Any], spacing: Sequence[float]) -> float:
    """Hausdorff distance, mm: the largest surface distance; one empty inf, both empty 0."""
    return surface_distances(a, b, spacing).hausdorff_mm(100.0)


def assd_mm(a: NDArray[Any], b: NDArray[Any], spacing: Sequence[float]) -> float:
    """Mean of the pooled surface distances, mm; one empty inf, both empty 0."""
    return surface_distances(a, b, spacing).mean_mm()


def nsd(
    a: NDArray[Any], b: NDArray[Any], spacing: Sequence[float], tolerance_mm: float = DEFAULT_TOLERANCE_MM
) -> float:
    """Part of both surfaces, by area (3-D) or by voxels, within `tolerance_mm` of the other; one empty 0, both 1."""
    return compare_masks(a, b, spacing, tolerance_mm=tolerance_mm).nsd
