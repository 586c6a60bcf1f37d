"""Two sets of surface distances, counted, and every number that is read from them.

Both directions are kept as sorted distinct squared distances with the amount of surface at each, in whole units. What
is computed from that does not depend on how or in which order the distances were found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from petctfusion.errors import BadInputError
from petctfusion.metrics.masks import FloatArray

AmountArray = NDArray[np.int64]


@dataclass(frozen=True)
class DistanceCounts:
    """Distinct rounded squared distances, mm2, ascending, and how many units of surface lie at each."""

    squares_mm2: FloatArray
    amounts: AmountArray

    @cached_property
    def distances_mm(self) -> FloatArray:
        """The distinct distances, ascending."""
        roots: FloatArray = np.sqrt(self.squares_mm2)
        return roots

    @property
    def each_mm(self) -> FloatArray:
        """Every single distance, ascending; for surface voxels, whose amounts are numbers of voxels."""
        return np.repeat(self.distances_mm, self.amounts)

    @cached_property
    def total(self) -> int:
        """All units of surface."""
        return int(self.amounts.sum())

    @cached_property
    def _upto(self) -> AmountArray:
        return np.cumsum(self.amounts)

    def ranked_mm(self, percentile: float) -> float:
        """Percentile of equally weighted distances, with linear interpolation between ranks (numpy's default)."""
        place = percentile / 100.0 * (self.total - 1)
        low = math.floor(place)
        below, above = (
            float(self.distances_mm[np.searchsorted(self._upto, rank, side="right")])
            for rank in (low, min(low + 1, self.total - 1))
        )
        return below + (above - below) * (place - low)

    def weighted_mm(self, percentile: float) -> float:
        """The smallest distance within which at least `percentile` % of the surface lies."""
        at = np.searchsorted(self._upto / self.total, percentile / 100.0)
        return float(self.distances_mm[min(int(at), self.distances_mm.size - 1)])

    def within(self, tolerance_mm: float) -> int:
        """Units of surface at most `tolerance_mm` away."""
        # A tolerance that is a distance on the grid counts as reached although the squares carry 36 bits.
        count = int(np.searchsorted(self.distances_mm, tolerance_mm * (1.0 + 1e-10), side="right"))
        return int(self._upto[count - 1]) if count else 0

    def sum_mm(self) -> float:
        """Sum over the surface of amount times distance."""
        return float(np.sum(self.amounts * self.distances_mm))


@dataclass(frozen=True)
class SurfaceAgreement:
    """Distances between two surfaces by one definition; `weighted`: amounts are areas, otherwise numbers of voxels.

    One surface missing: distances are infinite and NSD is 0; both missing: 0 and 1.
    """

    a_to_b: DistanceCounts
    b_to_a: DistanceCounts
    weighted: bool

    def directed_mm(self, percentile: float = 95.0) -> tuple[float, float]:
        """The percentile of the distances from a to b and of those from b to a, mm."""
        _check_percentile(percentile)
        if self._missing:
            return self._without_contour, self._without_contour
        return self._percentile(self.a_to_b, percentile), self._percentile(self.b_to_a, percentile)

    def hausdorff_mm(self, percentile: float = 100.0) -> float:
        """The larger of the two directed percentiles (Huttenlocher et al., IEEE TPAMI 15(9), 1993)."""
        return max(self.directed_mm(percentile))

    def mean_directed_mm(self, percentile: float = 95.0) -> float:
        """The mean of the two directed percentiles, as plastimatch prints it."""
        return sum(self.directed_mm(percentile)) / 2.0

    def pooled_mm(self, percentile: float = 95.0) -> float:
        """The percentile of the distances of both directions together, as MedPy prints it."""
        _check_percentile(percentile)
        return self._without_contour if self._missing else self._percentile(self._pooled, percentile)

    def mean_mm(self) -> float:
        """Average symmetric surface distance: the mean of the pooled distances."""
        if self._missing:
            return self._without_contour
        return (self.a_to_b.sum_mm() + self.b_to_a.sum_mm()) / (self.a_to_b.total + self.b_to_a.total)

    def directed_means_mm(self) -> tuple[float, float]:
        """The mean distance from a to b, and from b to a."""
        if self._missing:
            return self._without_contour, self._without_contour
        return self.a_to_b.sum_mm() / self.a_to_b.total, self.b_to_a.sum_mm() / self.b_to_a.total

    def nsd(self, tolerance_mm: float) -> float:
        """Normalised surface Dice: the part of both surfaces at most `tolerance_mm` from the other (Nikolov, 2021)."""
        if not tolerance_mm >= 0:
            raise BadInputError(f"A tolerance of {tolerance_mm} mm is not a distance.", "Give 0 or more millimetres.")
        if self._missing:
            return 1.0 if self._both_missing else 0.0
        near = self.a_to_b.within(tolerance_mm) + self.b_to_a.within(tolerance_mm)
        return near / (self.a_to_b.total + self.b_to_a.total)

    @property
    def _missing(self) -> bool:
        return not (self.a_to_b.total and self.b_to_a.total)

    @property
    def _both_missing(self) -> bool:
        return not (self.a_to_b.total or self.b_to_a.total)

    @property
    def _without_contour(self) -> float:
        return 0.0 if self._both_missing else math.inf

    @cached_property
    def _pooled(self) -> DistanceCounts:
        squares = np.concatenate([self.a_to_b.squares_mm2, self.b_to_a.squares_mm2])
        return counted(squares, np.concatenate([self.a_to_b.amounts, self.b_to_a.amounts]))

    def _percentile(self, counts: DistanceCounts, percentile: float) -> float:
        return counts.weighted_mm(percentile) if self.weighted else counts.ranked_mm(percentile)


def counted(squares_mm2: FloatArray, amounts: AmountArray) -> DistanceCounts:
    """Distances in any order, with their amounts, as `DistanceCounts`."""
    distinct, place = np.unique(squares_mm2, return_inverse=True)
    # bincount adds in float64, exact below 2^53.
    return DistanceCounts(distinct, np.bincount(place, amounts, minlength=distinct.size).astype(np.int64))


def _check_percentile(percentile: float) -> None:
    if not 0.0 <= percentile <= 100.0:
        raise BadInputError(f"There is no {percentile}th percentile.", "Give a number from 0 to 100.")
