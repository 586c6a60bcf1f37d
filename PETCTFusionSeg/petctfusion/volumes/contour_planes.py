"""Planar contours sorted into parallel planes, and which slices of a grid each plane stands for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_SAME_PLANE_MM = 0.1
_NEIGHBOUR = 1.5  # spacings of the planes; farther apart there is a gap
_THICKEST_MM = 10.0  # no slice of a CT or PET is thicker; planes farther apart are separate islands
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Plane:
    """The polygons (N, 2) of one plane, in the grid's two in-plane indices (lower axis first), and the slices it fills.

    `first` and `last` are indices along the normal; a plane between two slices of a coarse grid fills none.
    """

    polygons: tuple[FloatArray, ...]
    first: int
    last: int

    def moved(self, shift: FloatArray, axis: int) -> Plane:
        """The same plane after the grid's first voxel was moved by `shift` (x, y, z) voxels to the outside."""
        along = int(shift[axis])
        in_plane = np.delete(shift, axis)
        return Plane(tuple(p + in_plane for p in self.polygons), self.first + along, self.last + along)


def planes_of(contours: Sequence[FloatArray], axis: int, spacing_mm: float) -> list[Plane]:
    """Planes of `contours` (N, 3; continuous indices x, y, z), which are flat along `axis` with `spacing_mm` there.

    A plane reaches half way to its neighbours; where the next one is missing, half a plane distance; a single plane,
    half a voxel.
    """
    order = sorted(contours, key=lambda c: float(c[:, axis].mean()))
    groups: list[list[FloatArray]] = []
    for contour in order:
        position = float(contour[:, axis].mean())
        if groups and (position - float(groups[-1][0][:, axis].mean())) * spacing_mm <= _SAME_PLANE_MM:
            groups[-1].append(contour)
        else:
            groups.append([contour])
    positions = np.array([float(group[0][:, axis].mean()) for group in groups])
    below, above = _reach(positions, spacing_mm)
    return [
        Plane(
            tuple(np.delete(contour, axis, axis=1) for contour in group),
            # Half open, so that a slice half way between two planes belongs to one of them.
            math.ceil(low - _ROUNDING),
            math.ceil(high - _ROUNDING) - 1,
        )
        for group, low, high in zip(groups, below, above, strict=True)
    ]


def _reach(positions: FloatArray, spacing_mm: float) -> tuple[FloatArray, FloatArray]:
    """Where the slab of each plane begins and ends, in voxels like the sorted `positions`."""
    steps = np.diff(positions)
    close = np.sort(steps[steps * spacing_mm <= _THICKEST_MM])
    # The lower median: two planes drawn into one slice do not set the distance, nor do gaps between lesions.
    usual = float(close[(close.size - 1) // 2]) if close.size else 1.0
    half = np.where(steps <= _NEIGHBOUR * usual, steps, usual) / 2
    return positions - np.insert(half, 0, usual / 2), positions + np.append(half, usual / 2)
