"""Distances between the surfaces of two masks on one grid, in mm and exact in float64.

A surface is the set of mask voxels with at least one of their 6 face neighbours outside the mask; what lies beyond the
image border counts as outside. Distances run between voxel centres with the true spacing. Percentiles interpolate
linearly. One mask empty: every distance is infinite; both empty: 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from petctfusion.metrics.masks import BoolArray, as_mask, as_pair, as_spacing, bounding_box

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
_BLOCK = 1 << 22


@dataclass(frozen=True)
class SurfaceDistances:
    """Distance in mm of every surface voxel of each mask to the other's surface; both empty arrays when undefined."""

    a_to_b: FloatArray
    b_to_a: FloatArray
    a_empty: bool
    b_empty: bool

    def hausdorff_mm(self, percentile: float = 100.0) -> float:
        """The larger of the two directed percentiles (Huttenlocher et al., IEEE TPAMI 15(9), 1993)."""
        if self.a_empty or self.b_empty:
            return self._without_contour()
        return float(max(np.percentile(self.a_to_b, percentile), np.percentile(self.b_to_a, percentile)))

    def mean_mm(self) -> float:
        """Average symmetric surface distance: the mean of the pooled distances."""
        if self.a_empty or self.b_empty:
            return self._without_contour()
        return float((self.a_to_b.sum() + self.b_to_a.sum()) / (self.a_to_b.size + self.b_to_a.size))

    def _without_contour(self) -> float:
        return 0.0 if self.a_empty and self.b_empty else float("inf")


def surface_voxels(mask: NDArray[Any]) -> BoolArray:
    """The voxels of `mask` with a face neighbour outside it; the image border counts as outside."""
    array = as_mask(mask)
    surface: BoolArray = np.zeros(array.shape, dtype=np.bool_)
    surface[tuple(surface_index(array).T)] = True
    return surface


def surface_index(mask: BoolArray) -> IndexArray:
    """Array indices (N, ndim) of the surface voxels of `mask`, in array order."""
    # Only the mask's own voxels are asked about their neighbours: 14 ms instead of 110 ms for shifting the whole box
    # (50 lesions, 303 x 383 x 375). The padding is the outside beyond the border. In blocks, so that a mask that fills
    # a whole-body grid does not ask for gigabytes of indices.
    padded = np.pad(mask, 1)
    flat = padded.ravel()
    steps = np.cumprod((1, *padded.shape[:0:-1]))
    found = []
    for start in range(0, flat.size, _BLOCK):
        inside = np.flatnonzero(flat[start : start + _BLOCK]) + start
        enclosed = np.ones(inside.size, dtype=np.bool_)
        for step in steps:
            enclosed &= flat[inside + step]
            enclosed &= flat[inside - step]
        found.append(inside[~enclosed])
    return np.stack(np.unravel_index(np.concatenate(found), padded.shape), axis=1) - 1


def surface_distances(a: NDArray[Any], b: NDArray[Any], spacing: Sequence[float]) -> SurfaceDistances:
    """All distances between the surfaces of `a` and `b`; `spacing` in mm, in array order (z, y, x)."""
    first, second = as_pair(a, b)
    scale = as_spacing(spacing, first.ndim)
    nothing = np.empty(0, dtype=np.float64)
    a_empty, b_empty = not first.any(), not second.any()
    box = bounding_box(first, second)
    if a_empty or b_empty or box is None:
        return SurfaceDistances(nothing, nothing, a_empty, b_empty)
    # The box of both masks gives the same surfaces as the whole image: beyond it there is no mask voxel.
    a_surface, b_surface = surface_index(first[box]), surface_index(second[box])
    shape = first[box].shape
    return SurfaceDistances(
        _distances(a_surface, b_surface, shape, scale), _distances(b_surface, a_surface, shape, scale), a_empty, b_empty
    )


def hd95_mm(a: NDArray[Any], b: NDArray[Any], spacing: Sequence[float]) -> float:
    """The larger directed 95th percentile of the surface distances, mm; one empty inf, both empty 0."""
    return surface_distances(a, b, spacing).hausdorff_mm(95.0)


def hd_mm(a: NDArray[Any], b: NDArray[Any], spacing: Sequence[float]) -> float:
    """Hausdorff distance, mm: the largest surface distance; one empty inf, both empty 0."""
    return surface_distances(a, b, spacing).hausdorff_mm(100.0)


def assd_mm(a: NDArray[Any], b: NDArray[Any], spacing: Sequence[float]) -> float:
    """Mean of the pooled surface distances, mm; one empty inf, both empty 0."""
    return surface_distances(a, b, spacing).mean_mm()


def _distances(source: IndexArray, target: IndexArray, shape: tuple[int, ...], scale: FloatArray) -> FloatArray:
    """Distance of each surface voxel of `source` to the nearest of `target`; shared voxels are 0 without a search."""
    apart = ~np.isin(np.ravel_multi_index(tuple(source.T), shape), np.ravel_multi_index(tuple(target.T), shape))
    distances = np.zeros(len(source), dtype=np.float64)
    if apart.any():
        # Without balancing: medians of gridded points tie, and a sliding midpoint builds the tree several times faster.
        tree = cKDTree(target * scale, balanced_tree=False, compact_nodes=False)
        distances[apart] = tree.query(source[apart] * scale)[0]
    return distances
