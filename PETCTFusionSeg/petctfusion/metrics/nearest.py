"""The nearest point of a set on the lattice: by a table of neighbours when it is close, by a k-d tree when it is far.

Squared distances are rounded to 36 significant bits (7e-12 of the value). Displacements of one length along other axes
(3-4-0 and 5-0-0, z against x) then have one value, whatever the order of the sums that gave it, and every way of
finding the nearest point gives the same number: a live comparison can be equal to a full one to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from petctfusion.metrics.lattice import ByteArray, Lattice
from petctfusion.metrics.masks import FloatArray, IndexArray

RankArray = NDArray[np.int32]

# The table's cost is one look-up per neighbour and point still searching; 320 neighbours (10 mm at 2 x 2 x 3 mm) are
# about what a tree query costs.
_TABLE_SIZE = 320
# Voxels: grids are padded by what the table reaches, and very flat voxels would ask for hundreds.
_TABLE_REACH = 12
# Below this many points the calls cost more than the look-ups: 0.2 ms instead of 1.2 ms for 200 points.
_FEW = 1000
# Larger leaves than scipy's 16: 21 instead of 27 ms to build and query 80,000 points.
_LEAF = 48
_SPLIT = float(2**17 + 1)


def rounded(squares: FloatArray) -> FloatArray:
    """`squares` to 36 significant bits (Veltkamp's splitting of a float64)."""
    scaled = squares * _SPLIT
    return scaled - (scaled - squares)


def squared_mm2(displacements: IndexArray, spacing_mm: tuple[float, float, float]) -> FloatArray:
    """Squared lengths (N,), not yet rounded, of displacements (N, 3) in voxels (z, y, x)."""
    z, y, x = (displacements[:, axis].astype(np.float64) * spacing_mm[axis] for axis in range(3))
    return z * z + y * y + x * x


@dataclass(frozen=True)
class NeighbourTable:
    """Displacements (N, 3) ordered by length; `starts[r]` is where those of the r-th length `lengths_mm2[r]` begin."""

    displacements: IndexArray
    starts: IndexArray
    lengths_mm2: FloatArray

    @property
    def reach(self) -> tuple[int, int, int]:
        """Largest displacement along each axis, voxels."""
        z, y, x = (int(value) for value in np.abs(self.displacements).max(axis=0))
        return z, y, x

    @property
    def far(self) -> int:
        """The rank that says: farther than the table."""
        return self.lengths_mm2.size

    @cached_property
    def lengths_or_inf(self) -> FloatArray:
        """Rounded squared length by rank, infinite at the rank `far`."""
        return np.append(self.lengths_mm2, np.inf)

    @cached_property
    def rank_of(self) -> RankArray:
        """The rank of every displacement."""
        return np.repeat(np.arange(self.far, dtype=np.int32), np.diff(self.starts))


@lru_cache(maxsize=8)
def neighbour_table(spacing_mm: tuple[float, float, float], axes: tuple[bool, bool, bool]) -> NeighbourTable:
    """The nearest displacements on a grid of `spacing_mm`, along `axes` only."""
    spacing = np.asarray(spacing_mm)
    moving = int(np.count_nonzero(axes))
    voxel = float(np.prod(spacing[list(axes)]))
    ball = {1: 2.0, 2: np.pi, 3: 4.0 / 3.0 * np.pi}[moving]
    radius = (_TABLE_SIZE * voxel / ball) ** (1.0 / moving)
    radius = min(radius, _TABLE_REACH * float(spacing[list(axes)].min()))
    reach = [int(radius // spacing[axis]) + 1 if axes[axis] else 0 for axis in range(3)]
    grid = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), axis=-1).reshape(-1, 3)
    squares = rounded(squared_mm2(grid, spacing_mm))
    order = np.argsort(squares, kind="stable")
    order = order[squares[order] <= radius**2]
    lengths, starts = np.unique(squares[order], return_index=True)
    return NeighbourTable(grid[order], np.append(starts, order.size), lengths)


@dataclass(frozen=True)
class Targets:
    """The set that is searched: marked by `bit` in `flags`, and listed in `index`."""

    lattice: Lattice
    table: NeighbourTable
    flags: ByteArray
    bit: np.uint8
    index: IndexArray

    @cached_property
    def _offsets(self) -> IndexArray:
        return self.lattice.offsets(self.table.displacements)

    @cached_property
    def _points(self) -> IndexArray:
        return self.lattice.coordinates(self.index)

    @cached_property
    def _tree(self) -> cKDTree:
        # Without balancing: medians of gridded points tie, and a sliding midpoint builds the tree several times faster.
        positions = self._points * np.asarray(self.lattice.spacing_mm)
        return cKDTree(positions, leafsize=_LEAF, balanced_tree=False, compact_nodes=False)

    def ranks(self, source: IndexArray) -> RankArray:
        """Per point of `source` the rank of its distance in the table, `table.far` where the table does not reach."""
        ranks = np.full(source.size, self.table.far, dtype=np.int32)
        if not self.index.size:
            return ranks
        waiting, points = np.arange(source.size), source
        for rank in range(self.table.far):
            if points.size <= _FEW:
                ranks[waiting] = self._ranks_of_few(points, int(self.table.starts[rank]))
                break
            found = np.zeros(points.size, dtype=np.uint8)
            for offset in self._offsets[self.table.starts[rank] : self.table.starts[rank + 1]]:
                found |= self.flags[points + offset]
            hit = (found & self.bit) != 0
            if hit.any():
                ranks[waiting[hit]] = rank
                miss = ~hit
                waiting, points = waiting[miss], points[miss]
        return ranks

    def _ranks_of_few(self, points: IndexArray, start: int) -> RankArray:
        """The same for few points: all neighbours at once from the table's entry `start` on, not one call for each."""
        if not points.size:
            return np.empty(0, dtype=np.int32)
        hit = (self.flags[points[:, None] + self._offsets[start:]] & self.bit) != 0
        first = hit.argmax(axis=1)
        found = hit[np.arange(points.size), first]
        return np.where(found, self.table.rank_of[start + first], self.table.far).astype(np.int32)

    def far_mm2(self, source: IndexArray) -> FloatArray:
        """Rounded squared distance of every point of `source`, by the tree; infinite when the set is empty."""
        if not source.size:
            return np.empty(0)
        if not self.index.size:
            return np.full(source.size, np.inf)
        spacing = self.lattice.spacing_mm
        points = self.lattice.coordinates(source)
        positions = points * np.asarray(spacing)
        nearest, found = self._tree.query(positions)
        squares = squared_mm2(points - self._points[found], spacing)
        for at in np.flatnonzero(self._unsure(squares)):
            # The tree works on rounded positions, and may prefer one of two equally near points: ask for both.
            rivals = self._tree.query_ball_point(positions[at], nearest[at] * (1.0 + 1e-10))
            squares[at] = squared_mm2(points[at] - self._points[rivals], spacing).min()
        return rounded(squares)

    def _unsure(self, squares: FloatArray) -> NDArray[np.bool_]:
        """Where the tree's rounding could have changed the 36 bits that are kept."""
        extent = max(size * step for size, step in zip(self.lattice.padded, self.lattice.spacing_mm, strict=True))
        error = 16.0 * 2.0**-53 * extent / np.sqrt(np.maximum(squares, 1e-300))
        unsure: NDArray[np.bool_] = rounded(squares * (1.0 - error)) != rounded(squares)
        return unsure
