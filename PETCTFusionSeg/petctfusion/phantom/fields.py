"""Smooth random fields that depend on the seed and the place, never on the grid they are read on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.volumes.geometry import Geometry

Array = NDArray[np.float32]


@dataclass(frozen=True)
class SmoothField:
    """Unit-variance Gaussian random field, periodic, with a correlation length in mm.

    Noise on a periodic lattice of `pitch_mm`, smoothed by one lattice step and scaled to variance one; read by cubic
    spline. Two grids that cover the same place read the same values.
    """

    lattice: Array
    pitch_mm: float

    @classmethod
    def draw(cls, generator: np.random.Generator, length_mm: float, nodes: int = 40) -> SmoothField:
        """A new field; `length_mm` is about the size of its blobs (full width)."""
        noise = generator.standard_normal((nodes, nodes, nodes)).astype(np.float32)
        smooth = ndimage.gaussian_filter(noise, 1.0, mode="wrap")
        smooth = (smooth - smooth.mean()) / smooth.std()
        return cls(ndimage.spline_filter(smooth, order=3, mode="grid-wrap").astype(np.float32), length_mm / 2.355)

    def on(self, grid: Geometry, coarsening: int = 1) -> Array:
        """Values on an axis-aligned grid (z, y, x); with `coarsening` read on a coarser lattice and interpolated."""
        axes = axis_points(grid)
        step = max(1, min(coarsening, int(self.pitch_mm / max(grid.spacing))))
        coarse = [_coarse_axis(points, step) for points in axes]
        values = self._on_axes(coarse)
        for axis, (points, nodes) in enumerate(zip(axes, coarse, strict=True)):
            values = _interpolate_axis(values, nodes, points, axis)
        return values

    def _on_axes(self, axes: Sequence[Array]) -> Array:
        """Values for every combination of points in mm along z, y and x; one axis after the other, as splines allow."""
        values = self.lattice
        for axis, points in enumerate(axes):
            weights = _spline_weights(points / np.float32(self.pitch_mm), self.lattice.shape[axis])
            values = np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
        return np.ascontiguousarray(values, dtype=np.float32)


def axis_points(grid: Geometry) -> tuple[Array, Array, Array]:
    """Voxel centres in mm along z, y and x of an axis-aligned grid (identity direction)."""
    x, y, z = ((grid.origin[i] + grid.spacing[i] * np.arange(grid.size[i])).astype(np.float32) for i in range(3))
    return z, y, x


def _spline_weights(place: Array, nodes: int) -> Array:
    """Weights (points, nodes) of a cubic B-spline on a periodic lattice at places in steps of the lattice."""
    low = np.floor(place).astype(np.intp)
    t = (place - low).astype(np.float32)
    shares = ((1 - t) ** 3 / 6, t**3 / 2 - t**2 + 2 / 3, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6)
    weights = np.zeros((len(place), nodes), dtype=np.float32)
    rows = np.arange(len(place))
    for shift, share in zip((-1, 0, 1, 2), shares, strict=True):
        np.add.at(weights, (rows, (low + shift) % nodes), share)
    return weights


def _coarse_axis(points: Array, step: int) -> Array:
    spacing = float(points[1] - points[0]) if len(points) > 1 else 1.0
    count = int(np.ceil((len(points) - 1) / step)) + 1
    return np.asarray(points[0] + spacing * step * np.arange(max(count, 2)), dtype=np.float32)


def _interpolate_axis(values: Array, nodes: Array, points: Array, axis: int) -> Array:
    """Linear interpolation from `nodes` to `points` along one axis."""
    place = np.clip((points - nodes[0]) / (nodes[1] - nodes[0]), 0, len(nodes) - 1)
    low = np.minimum(place.astype(int), len(nodes) - 2)
    weight = (place - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
    lower = np.take(values, low, axis=axis)
    upper = np.take(values, low + 1, axis=axis)
    upper -= lower
    upper *= weight
    upper += lower
    return np.asarray(upper, dtype=np.float32)
