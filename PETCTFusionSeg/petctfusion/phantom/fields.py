"""Smooth random fields that depend on the seed and the place, never on the grid they are read on."""

from __future__ import annotations

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

    def at(self, z: Array, y: Array, x: Array) -> Array:
        """Values at points in mm; the three arrays broadcast to one shape."""
        points = np.stack([np.broadcast_arrays(z, y, x)[i] for i in range(3)]) / self.pitch_mm
        flat = points.reshape(3, -1)
        values = ndimage.map_coordinates(self.lattice, flat, order=3, mode="grid-wrap", prefilter=False)
        return np.asarray(values, dtype=np.float32).reshape(points.shape[1:])

    def on(self, grid: Geometry, coarsening: int = 1) -> Array:
        """Values on an axis-aligned grid (z, y, x); with `coarsening` read on a coarser lattice and interpolated."""
        axes = axis_points(grid)
        step = max(1, min(coarsening, int(self.pitch_mm / max(grid.spacing))))
        coarse = [_coarse_axis(points, step) for points in axes]
        values = self.at(coarse[0][:, None, None], coarse[1][None, :, None], coarse[2][None, None, :])
        for axis, (points, nodes) in enumerate(zip(axes, coarse, strict=True)):
            values = _interpolate_axis(values, nodes, points, axis)
        return values


def axis_points(grid: Geometry) -> tuple[Array, Array, Array]:
    """Voxel centres in mm along z, y and x of an axis-aligned grid (identity direction)."""
    x, y, z = ((grid.origin[i] + grid.spacing[i] * np.arange(grid.size[i])).astype(np.float32) for i in range(3))
    return z, y, x


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
