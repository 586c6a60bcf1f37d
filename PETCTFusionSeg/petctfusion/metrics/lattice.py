"""The grid that two masks share, padded and flattened, so that a neighbour is one addition away.

A voxel is one whole number: its index in the flattened, padded grid. What is kept of a mask is the sorted list of its
voxels and one byte per grid point that says what lies there. Pages of that byte array that nothing touches are never
given memory by the operating system, so a whole-body grid costs what its tumours cost.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petctfusion.metrics.masks import BoolArray, FloatArray, IndexArray

ByteArray = NDArray[np.uint8]

INSIDE, SURFACE, CELL = np.uint8(1), np.uint8(2), np.uint8(4)
_IN_ROW, _IN_PLANE = np.uint8(8), np.uint8(16)


@dataclass(frozen=True)
class Lattice:
    """A padded grid; `shape` is (z, y, x), `spacing_mm` likewise, `reach` how many voxels a neighbour may be away.

    Rows follow one another with `reach` + 1 empty voxels between them (slices likewise), which serve as the border of
    both neighbours: no sum of an index and an offset within reach meets a voxel that is not meant.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    reach: tuple[int, int, int]

    @property
    def padded(self) -> tuple[int, int, int]:
        """Shape with the padding behind rows and slices, and before and behind the stack."""
        z, y, x = (size + reach + 1 for size, reach in zip(self.shape, self.reach, strict=True))
        return z + self.reach[0] + 3, y, x

    @property
    def steps(self) -> tuple[int, int, int]:
        """What one voxel along z, y, x adds to an index."""
        _, y, x = self.padded
        return y * x, x, 1

    @property
    def start(self) -> int:
        """Index of the voxel (0, 0, 0)."""
        # Two slices more than an offset reaches: the corner lattice begins at -1, and a step back in y or x as well.
        return (self.reach[0] + 2) * self.steps[0]

    def empty(self) -> ByteArray:
        """One zero byte per point of the padded grid."""
        # Not np.zeros: numpy asks Linux for pages of 2 MB, and each that is touched is filled with zeros first. Marking
        # two masks with 50 lesions took 294 ms with them and takes 57 without.
        return np.frombuffer(mmap.mmap(-1, math.prod(self.padded)), dtype=np.uint8)

    def offsets(self, displacements: IndexArray) -> IndexArray:
        """Index differences of the displacements (N, 3) in voxels (z, y, x)."""
        return displacements @ np.asarray(self.steps, dtype=np.intp)

    def coordinates(self, index: IndexArray) -> IndexArray:
        """Array indices (N, 3) of `index`; the corner lattice's -1 along any axis is understood."""
        step_z, step_y, _ = self.steps
        z, rest = np.divmod(index - self.start + (step_z + step_y + 1), step_z)
        y, x = np.divmod(rest, step_y)
        return np.stack([z, y, x], axis=1) - 1

    def index(self, z: IndexArray, y: IndexArray, x: IndexArray) -> IndexArray:
        """Indices of the voxels at the array indices z, y, x."""
        step_z, step_y, _ = self.steps
        return z * step_z + y * step_y + x + self.start


@dataclass(frozen=True)
class Voxels:
    """The voxels of a mask on a lattice, in array order, and what counting them once has told."""

    index: IndexArray
    slice_of: IndexArray
    sums: tuple[int, int, int]
    """Sums of the array indices along z, y, x: whole numbers, from which the centre of mass follows."""


def occupied_slices(mask: BoolArray) -> IndexArray:
    """Numbers of the slices of a 3-D mask that hold anything."""
    return np.flatnonzero(mask.reshape(mask.shape[0], -1).any(axis=1))


def voxels_of(mask: BoolArray, occupied: IndexArray, lattice: Lattice, first_slice: int = 0) -> Voxels:
    """The true voxels of `mask`, whose slice `first_slice` is slice 0 of `lattice`; `occupied` as `occupied_slices`."""
    if not occupied.size:
        nothing = np.empty(0, dtype=np.intp)
        return Voxels(nothing, nothing, (0, 0, 0))
    low = int(occupied[0])
    _, height, width = mask.shape
    stacks = np.split(occupied, np.flatnonzero(np.diff(occupied) > 1) + 1)
    flat = np.concatenate([np.flatnonzero(mask[s[0] : s[-1] + 1]) + (int(s[0]) - low) * height * width for s in stacks])
    row = flat // width
    z = row // height
    step_z, step_y, _ = lattice.steps
    index = flat + row * (step_y - width)
    index += z * (step_z - height * step_y)
    index += lattice.start + (low - first_slice) * step_z
    sum_flat, sum_row, sum_z = int(flat.sum()), int(row.sum()), int(z.sum())
    sums = (sum_z + low * flat.size, sum_row - height * sum_z, sum_flat - width * sum_row)
    z += low
    return Voxels(index, z, sums)


def surface_of(index: IndexArray, flags: ByteArray, steps: Sequence[int]) -> BoolArray:
    """Which voxels of `index` have a neighbour one of `steps` away, either way, that is not INSIDE in `flags`."""
    enclosed = np.full(index.size, INSIDE)
    for step in steps:
        enclosed &= flags[index + step]
        enclosed &= flags[index - step]
    open_: BoolArray = enclosed == 0
    return open_


def shell_of(index: IndexArray, flags: ByteArray, steps: Sequence[int]) -> IndexArray:
    """The voxels of `index` that any of the 26 neighbours leaves open. Uses and leaves marks of its own in `flags`.

    A 3 x 3 x 3 erosion is one along x, then one along y, then one along z: each asks 2 neighbours instead of 26.
    """
    step_z, step_y, step_x = steps
    left, open_ = index, []
    for step, seen, mark in ((step_x, INSIDE, _IN_ROW), (step_y, _IN_ROW, _IN_PLANE), (step_z, _IN_PLANE, None)):
        closed = (flags[left + step] & flags[left - step] & seen) != 0
        open_.append(left[~closed])
        left = left[closed]
        if mark is not None:
            flags[left] |= mark
    return np.concatenate(open_)


def as_volume(mask: BoolArray) -> BoolArray:
    """A mask of one or two dimensions as one slice of a volume."""
    return mask.reshape((1,) * (3 - mask.ndim) + mask.shape)


def as_volume_spacing(spacing: FloatArray) -> tuple[float, float, float]:
    """The spacing that goes with `as_volume`."""
    z, y, x = (1.0,) * (3 - spacing.size) + tuple(float(value) for value in spacing)
    return z, y, x
