"""Agreement slice by slice along the first array axis (axial), for reviewing a contour in radiotherapy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petctfusion.errors import BadInputError
from petctfusion.metrics.masks import as_pair, as_spacing
from petctfusion.metrics.path_length import added_path_length, added_path_length_mm

__all__ = [
    "ExtentError",
    "SliceCurve",
    "SliceGroup",
    "added_path_length",
    "added_path_length_mm",
    "slice_curve",
    "slice_curve_from_counts",
]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class SliceGroup:
    """Some slices of a reference; every number is None when there are none."""

    index: tuple[int, ...]
    pooled_dice: float | None
    """2 sum |P n R| / sum (|P| + |R|) over the slices ("micro")."""
    mean_dice: float | None
    """Mean of the slices' Dice ("macro")."""
    detected: float | None
    """Share of the slices in which prediction and reference share a pixel."""


@dataclass(frozen=True)
class ExtentError:
    """How much further than the reference the prediction reaches, mm; negative when it ends earlier."""

    inferior_mm: float
    superior_mm: float


@dataclass(frozen=True, eq=False)
class SliceCurve:
    """Pixels of both masks in every slice z = 0, 1, ... and what follows from them."""

    prediction: IntArray
    reference: IntArray
    both: IntArray
    spacing_mm: tuple[float, float, float]
    """Array order (z, y, x)."""
    first_slice_mm: float = 0.0
    """Position of slice 0 along the axis."""
    superior_last: bool = True
    """False when slice 0 is the most superior one."""

    @property
    def index(self) -> IntArray:
        """Numbers of all slices."""
        return np.arange(self.prediction.size)

    @property
    def position_mm(self) -> NDArray[np.float64]:
        """Position of the slices' centres along the axis, towards superior."""
        step = self.spacing_mm[0] if self.superior_last else -self.spacing_mm[0]
        return np.asarray(self.first_slice_mm + step * self.index, dtype=np.float64)

    @property
    def prediction_area_mm2(self) -> NDArray[np.float64]:
        """Area of the prediction in every slice."""
        return np.asarray(self.prediction * (self.spacing_mm[1] * self.spacing_mm[2]), dtype=np.float64)

    @property
    def reference_area_mm2(self) -> NDArray[np.float64]:
        """Area of the reference in every slice."""
        return np.asarray(self.reference * (self.spacing_mm[1] * self.spacing_mm[2]), dtype=np.float64)

    @property
    def occupied(self) -> IntArray:
        """Numbers of the slices in which either mask has a contour."""
        return np.flatnonzero(self.prediction + self.reference)

    @cached_property
    def dice(self) -> NDArray[np.float64]:
        """2|P n R| / (|P| + |R|) of every slice; NaN where both are empty, 0 where one is."""
        dice = np.full(self.prediction.size, np.nan)
        total = self.prediction + self.reference
        np.divide(2.0 * self.both, total, out=dice, where=total > 0)
        return dice

    @property
    def worst(self) -> int | None:
        """The slice with the lowest Dice; of those the one with most pixels in only one mask, then the first.

        None when both masks are empty.
        """
        where = self.occupied
        if not where.size:
            return None
        differing = (self.prediction + self.reference - 2 * self.both)[where]
        return int(where[np.lexsort((where, -differing, self.dice[where]))[0]])

    @property
    def extent_error(self) -> ExtentError | None:
        """From the outermost slices of both masks; None when one is empty."""
        p, r = np.flatnonzero(self.prediction), np.flatnonzero(self.reference)
        if not (p.size and r.size):
            return None
        low, high = float(r[0] - p[0]) * self.spacing_mm[0], float(p[-1] - r[-1]) * self.spacing_mm[0]
        return ExtentError(low, high) if self.superior_last else ExtentError(high, low)

    def peripheral(self, k: int = 2) -> SliceGroup:
        """The first and last `k` slices of the reference, where an IGTV is most often wrong.

        Of a reference with at most 2 `k` slices these are all. Slices without the reference are in neither group: the
        `extent_error` tells of them.
        """
        return self._group(self._split(k)[0])

    def central(self, k: int = 2) -> SliceGroup:
        """The slices of the reference between the peripheral ones."""
        return self._group(self._split(k)[1])

    def to_json(self) -> dict[str, Any]:
        """Plain values of the slices in which either mask has a contour."""
        where, extent = self.occupied, self.extent_error
        return {
            "index": where.tolist(),
            "position_mm": self.position_mm[where].tolist(),
            "dice": self.dice[where].tolist(),
            "prediction_area_mm2": self.prediction_area_mm2[where].tolist(),
            "reference_area_mm2": self.reference_area_mm2[where].tolist(),
            "worst": self.worst,
            "inferior_extent_error_mm": None if extent is None else extent.inferior_mm,
            "superior_extent_error_mm": None if extent is None else extent.superior_mm,
        }

    def _split(self, k: int) -> tuple[IntArray, IntArray]:
        if k < 1:
            raise BadInputError(f"{k} slices at either end are none.", "Give at least 1.")
        where = np.flatnonzero(self.reference)
        outer = np.zeros(where.size, dtype=np.bool_)
        outer[:k] = outer[-k:] = True
        return where[outer], where[~outer]

    def _group(self, where: IntArray) -> SliceGroup:
        if not where.size:
            return SliceGroup((), None, None, None)
        both = self.both[where]
        return SliceGroup(
            tuple(where.tolist()),
            2.0 * int(both.sum()) / int(self.prediction[where].sum() + self.reference[where].sum()),
            float(self.dice[where].mean()),
            int(np.count_nonzero(both)) / where.size,
        )


def slice_curve(
    prediction: NDArray[Any],
    reference: NDArray[Any],
    spacing_mm: Sequence[float],
    *,
    first_slice_mm: float = 0.0,
    superior_last: bool = True,
) -> SliceCurve:
    """The curve of two masks (z, y, x) on one grid; `spacing_mm` in array order.

    Raises `BadInputError` on shapes that differ, arrays that are not 3-D, NaN and a spacing that is not positive.
    """
    a, b = as_pair(prediction, reference)
    if a.ndim != 3:
        raise BadInputError(f"A mask with {a.ndim} dimensions has no slices.", "Give masks of shape (z, y, x).")
    first, second = ([int(np.count_nonzero(plane)) for plane in mask] for mask in (a, b))
    both = [int(np.count_nonzero(p & r)) if n and m else 0 for p, r, n, m in zip(a, b, first, second, strict=True)]
    return slice_curve_from_counts(
        first, second, both, spacing_mm, first_slice_mm=first_slice_mm, superior_last=superior_last
    )


def slice_curve_from_counts(
    prediction: Sequence[int] | IntArray,
    reference: Sequence[int] | IntArray,
    both: Sequence[int] | IntArray,
    spacing_mm: Sequence[float],
    *,
    first_slice_mm: float = 0.0,
    superior_last: bool = True,
) -> SliceCurve:
    """The curve from the pixels of prediction, reference and their intersection in every slice, counted elsewhere.

    The counts are copied. Raises `BadInputError` on counts that no two masks have and a spacing that is not positive.
    """
    p, r, shared = (np.array(counts, dtype=np.int64) for counts in (prediction, reference, both))
    if p.ndim != 1 or not p.shape == r.shape == shared.shape:
        raise BadInputError(
            f"Counts of {p.shape}, {r.shape} and {shared.shape} slices do not describe two masks on one grid.",
            "Give three lists with one number per slice.",
        )
    if np.any(shared < 0) or np.any(shared > np.minimum(p, r)):
        z = int(np.flatnonzero((shared < 0) | (shared > np.minimum(p, r)))[0])
        raise BadInputError(
            f"In slice {z} masks of {p[z]} and {r[z]} pixels cannot share {shared[z]}.", "Count the slices anew."
        )
    sz, sy, sx = (float(v) for v in as_spacing(spacing_mm, 3))
    return SliceCurve(p, r, shared, (sz, sy, sx), float(first_slice_mm), superior_last)
