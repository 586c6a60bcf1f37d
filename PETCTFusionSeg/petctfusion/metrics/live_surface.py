"""Surface distances that follow an edit, for one definition of the surface.

The reference does not move. Distances from the prediction are looked up once for every piece of its surface that comes
or goes, and only their counts are kept. Distances from the reference are kept piece by piece; an edit can only change
those that are at least as long as the way to the edited box. All values are rounded squares (`nearest`), so a piece
that is exactly as far away as before the edit is recognised as such.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from petctfusion.metrics.agreement import MarkedMask, merged, near_amounts
from petctfusion.metrics.distances import AmountArray, DistanceCounts, SurfaceAgreement, counted
from petctfusion.metrics.lattice import Lattice
from petctfusion.metrics.masks import FloatArray, IndexArray
from petctfusion.metrics.nearest import NeighbourTable, RankArray, Targets

_SAMPLE = 32


@dataclass(frozen=True)
class SurfaceChange:
    """Pieces of the prediction's surface that an edit removed and added, each with its amount.

    A piece whose amount alone changed stands in both; `gone` and `come` are those that left or entered the set.
    """

    removed: IndexArray
    removed_amounts: AmountArray
    added: IndexArray
    added_amounts: AmountArray
    gone: IndexArray
    come: IndexArray


class LiveSurface:
    """Distances between the surface of a reference and that of a prediction that is being edited.

    `reference`: the reference's surface as a set to search, `amounts` how much surface each of its pieces is.
    """

    def __init__(self, reference: Targets, amounts: AmountArray, *, weighted: bool) -> None:
        self._reference = reference
        self._amounts = amounts
        self._weighted = weighted
        self._lattice: Lattice = reference.lattice
        self._table: NeighbourTable = reference.table
        places = self._lattice.coordinates(reference.index) * np.asarray(self._lattice.spacing_mm)
        self._positions = np.ascontiguousarray(places.T)

    def replace(self, prediction: MarkedMask, amounts: AmountArray) -> None:
        """Take over a whole new prediction; `amounts` how much surface each of its pieces is."""
        self._prediction = prediction.targets(self._reference.bit, self._table)
        ranks, squares = _distances(self._prediction.index, self._reference)
        far = ranks == self._table.far
        self._near = near_amounts(ranks, amounts, self._table)
        self._far = counted(squares[far], amounts[far])
        self._ranks, self._squares = _distances(self._reference.index, self._prediction)
        self._counts = near_amounts(self._ranks, self._amounts, self._table)

    def agreement(self) -> SurfaceAgreement:
        """The distances as they are now; a: prediction, b: reference."""
        far = self._ranks == self._table.far
        return SurfaceAgreement(
            merged(self._near, self._far, self._table),
            merged(self._counts, counted(self._squares[far], self._amounts[far]), self._table),
            weighted=self._weighted,
        )

    def farthest(self) -> tuple[int, float, bool] | None:
        """Lattice index of the piece farthest from the other surface, its distance in mm, whether it is predicted."""
        if not (self._reference.index.size and self._prediction.index.size):
            return None
        _, squares = _distances(self._prediction.index, self._reference)
        own, other = int(squares.argmax()), int(self._squares.argmax())
        if squares[own] >= self._squares[other]:
            return int(self._prediction.index[own]), math.sqrt(squares[own]), True
        return int(self._reference.index[other]), math.sqrt(self._squares[other]), False

    def edit(self, change: SurfaceChange) -> None:
        """Follow `change`, which is already marked in the prediction's flags."""
        self._count_prediction(change)
        if not (change.gone.size or change.come.size):
            return
        targets = self._prediction
        kept = targets.index[(targets.flags[targets.index] & targets.bit) != 0]
        self._prediction = Targets(
            self._lattice, self._table, targets.flags, targets.bit, np.concatenate([kept, change.come])
        )
        self._recount_reference(change)

    def _count_prediction(self, change: SurfaceChange) -> None:
        pieces = np.concatenate([change.removed, change.added])
        amounts = np.concatenate([-change.removed_amounts, change.added_amounts])
        ranks, squares = _distances(pieces, self._reference)
        self._near = self._near + near_amounts(ranks, amounts, self._table)
        far = ranks == self._table.far
        if far.any():
            both = counted(
                np.concatenate([self._far.squares_mm2, squares[far]]),
                np.concatenate([self._far.amounts, amounts[far]]),
            )
            left = both.amounts != 0
            self._far = DistanceCounts(both.squares_mm2[left], both.amounts[left])

    def _recount_reference(self, change: SurfaceChange) -> None:
        asked = self._within_reach(np.concatenate([change.gone, change.come]))
        pieces, amounts = self._reference.index[asked], self._amounts[asked]
        ranks = self._prediction.ranks(pieces)
        squares = self._table.lengths_or_inf[ranks]
        far = np.flatnonzero(ranks == self._table.far)
        if far.size:
            was_far = self._ranks[asked[far]] == self._table.far
            before = np.where(was_far, self._squares[asked[far]], -np.inf)
            squares[far] = self._far_after(pieces[far], before, change)
        self._counts = (
            self._counts
            - near_amounts(self._ranks[asked], amounts, self._table)
            + near_amounts(ranks, amounts, self._table)
        )
        self._ranks[asked], self._squares[asked] = ranks, squares

    def _within_reach(self, pieces: IndexArray) -> IndexArray:
        """Numbers of the reference's pieces at least as far from the prediction as from the box around `pieces`."""
        corners = self._lattice.coordinates(pieces) * np.asarray(self._lattice.spacing_mm)
        way = np.zeros(self._reference.index.size)
        for along, low, high in zip(self._positions, corners.min(axis=0), corners.max(axis=0), strict=True):
            outside = np.maximum(low - along, along - high)
            np.maximum(outside, 0.0, out=outside)
            way += outside * outside
        # The slack covers the rounding of both sides; asking too often costs time only.
        return np.flatnonzero(way * (1.0 - 1e-9) <= self._squares)

    def _far_after(self, pieces: IndexArray, before: FloatArray, change: SurfaceChange) -> FloatArray:
        """Squares of the reference's `pieces`, all now beyond the table; `before` is -inf where one was not."""
        come = self._only(change.come).far_mm2(pieces)
        gone = self._only(change.gone).far_mm2(pieces)
        after = np.minimum(before, come)
        again = np.flatnonzero((come >= before) & (gone <= before) | (before == -np.inf))
        if again.size:
            after[again] = self._nearest_of_all(pieces[again])
        return after

    def _nearest_of_all(self, pieces: IndexArray) -> FloatArray:
        """Distance to the whole prediction, searched in no more of it than a sample of it shows to be necessary."""
        index = self._prediction.index
        sample = self._only(index[::_SAMPLE]).far_mm2(pieces)
        if not np.isfinite(sample).all():
            return self._only(index).far_mm2(pieces)
        step = np.asarray(self._lattice.spacing_mm)
        margin = np.ceil(np.sqrt(sample.max()) / step).astype(np.intp) + 1
        points = self._lattice.coordinates(pieces)
        low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
        start, step_z = self._lattice.start, self._lattice.steps[0]
        # A slice more at either end: indices order by slice, and the corner lattice reaches into the one before.
        near = index[(index >= start + (low[0] - 1) * step_z) & (index < start + (high[0] + 2) * step_z)]
        places = self._lattice.coordinates(near)
        inside = np.all((places[:, 1:] >= low[1:]) & (places[:, 1:] <= high[1:]), axis=1)
        return self._only(near[inside]).far_mm2(pieces)

    def _only(self, index: IndexArray) -> Targets:
        targets = self._prediction
        return Targets(self._lattice, self._table, targets.flags, targets.bit, index)


def _distances(source: IndexArray, targets: Targets) -> tuple[RankArray, FloatArray]:
    """Per point the rank in the table of its distance to `targets`, and the square of the distance."""
    ranks = targets.ranks(source)
    squares = targets.table.lengths_or_inf[ranks]
    far = ranks == targets.table.far
    squares[far] = targets.far_mm2(source[far])
    return ranks, squares
