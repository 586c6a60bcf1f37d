"""Implicit solids in body mm (x, y, z): each knows its box and a distance in mm that is negative inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Point = tuple[float, float, float]
Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


class Shape(Protocol):
    """What the canvas can paint."""

    @property
    def box(self) -> Box:
        """Bounds in mm as ((x, x), (y, y), (z, z))."""
        ...

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """About the distance to the surface in mm, negative inside."""
        ...


@dataclass(frozen=True)
class Ellipsoid:
    """Ellipsoid with radii along its own axes, turned by `tilt` degrees about x, then y, then z."""

    centre: Point
    radii: Point
    tilt: Point = (0.0, 0.0, 0.0)

    @property
    def box(self) -> Box:
        """Bounds in mm."""
        reach = np.sqrt(((self._axes * np.asarray(self.radii)) ** 2).sum(axis=1))
        low, high = np.asarray(self.centre) - reach, np.asarray(self.centre) + reach
        return (low[0], high[0]), (low[1], high[1]), (low[2], high[2])

    @property
    def _axes(self) -> NDArray[np.float64]:
        a, b, c = np.deg2rad(self.tilt)
        rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
        return np.asarray(rz @ ry @ rx)

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """First-order distance k0 (k0 - 1) / k1, exact at the surface."""
        axes = self._axes.astype(np.float32)
        dx, dy, dz = x - self.centre[0], y - self.centre[1], z - self.centre[2]
        k0 = np.zeros(np.broadcast(dx, dy, dz).shape, dtype=np.float32)
        k1 = np.zeros_like(k0)
        for i, radius in enumerate(self.radii):
            along = (axes[0, i] * dx + axes[1, i] * dy + axes[2, i] * dz) / np.float32(radius)
            k0 += along**2
            k1 += (along / np.float32(radius)) ** 2
        k0 = np.sqrt(k0)
        return np.asarray(k0 * (k0 - 1) / np.sqrt(np.maximum(k1, 1e-12)), dtype=np.float32)


@dataclass(frozen=True)
class Tube:
    """Rounded tube through points, its radius running linearly from one to the next."""

    points: Sequence[Point]
    radii: Sequence[float]

    @property
    def box(self) -> Box:
        """Bounds in mm."""
        points, radii = np.asarray(self.points), np.asarray(self.radii)[:, None]
        low, high = (points - radii).min(axis=0), (points + radii).max(axis=0)
        return (low[0], high[0]), (low[1], high[1]), (low[2], high[2])

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """Distance to the nearest segment less the radius there."""
        best: Array | None = None
        for i in range(len(self.points) - 1):
            piece = _segment_distance(x, y, z, self.points[i], self.points[i + 1], self.radii[i], self.radii[i + 1])
            best = piece if best is None else np.minimum(best, piece, out=best)
        assert best is not None
        return best


def _segment_distance(x: Array, y: Array, z: Array, start: Point, end: Point, r0: float, r1: float) -> Array:
    a = np.asarray(start, dtype=np.float32)
    d = np.asarray(end, dtype=np.float32) - a
    px, py, pz = x - a[0], y - a[1], z - a[2]
    t = np.clip((px * d[0] + py * d[1] + pz * d[2]) / max(float(d @ d), 1e-6), 0, 1)
    gap = np.sqrt((px - t * d[0]) ** 2 + (py - t * d[1]) ** 2 + (pz - t * d[2]) ** 2)
    return np.asarray(gap - (r0 + t * (r1 - r0)), dtype=np.float32)


@dataclass(frozen=True)
class Column:
    """A superellipse in every transverse plane whose half width, front and back run along z by a table."""

    z: Sequence[float]
    half_width: Sequence[float]
    front: Sequence[float]
    back: Sequence[float]
    centre_x: Sequence[float] | None = None
    power: float = 2.4

    @property
    def box(self) -> Box:
        """Bounds in mm."""
        centre = np.zeros(len(self.z)) if self.centre_x is None else np.asarray(self.centre_x)
        width = np.asarray(self.half_width)
        return (
            (float((centre - width).min()), float((centre + width).max())),
            (float(min(self.front)), float(max(self.back))),
            (float(min(self.z)), float(max(self.z))),
        )

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """Distance along the ray from the axis, and beyond the ends the height above them."""
        width = self._along(z, self.half_width)
        front, back = self._along(z, self.front), self._along(z, self.back)
        dx = x - self._along(z, self.centre_x) if self.centre_x is not None else x
        dy = y - (front + back) / 2
        depth = (back - front) / 2
        power = np.float32(self.power)
        ratio = ((np.abs(dx) / width) ** power + (np.abs(dy) / depth) ** power) ** (1 / power)
        radius = np.sqrt(dx**2 + dy**2)
        inner = np.where(radius > 1e-3, radius - radius / np.maximum(ratio, 1e-4), -np.minimum(width, depth))
        ends = np.maximum(min(self.z) - z, z - max(self.z))
        return np.asarray(np.maximum(inner, ends), dtype=np.float32)

    def _along(self, z: Array, values: Sequence[float]) -> Array:
        return np.interp(z, self.z, values).astype(np.float32)


def mirrored(points: Sequence[Point], side: int) -> list[Point]:
    """The points on the patient's left (`side` 1) or right (-1)."""
    return [(side * px, py, pz) for px, py, pz in points]


def smooth_minimum(a: Array, b: Array, width_mm: float) -> Array:
    """Union of two distances with a rounded seam (polynomial smooth minimum)."""
    blend = np.clip(width_mm - np.abs(a - b), 0, None) / width_mm
    return np.asarray(np.minimum(a, b) - blend**2 * (width_mm / 4), dtype=np.float32)
