"""Overlap and volume of two masks on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petctfusion.metrics.masks import as_mask, as_pair, as_spacing


def dice(a: NDArray[Any], b: NDArray[Any]) -> float:
    """2|A n B| / (|A| + |B|) (Dice, Ecology 26, 1945); both empty 1, one empty 0."""
    first, second = as_pair(a, b)
    total = int(np.count_nonzero(first)) + int(np.count_nonzero(second))
    return 2.0 * int(np.count_nonzero(first & second)) / total if total else 1.0


def jaccard(a: NDArray[Any], b: NDArray[Any]) -> float:
    """|A n B| / |A u B|; both empty 1, one empty 0."""
    first, second = as_pair(a, b)
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else 1.0


def volume_ml(mask: NDArray[Any], spacing: Sequence[float]) -> float:
    """Volume of `mask` in millilitres; `spacing` in mm, in array order (z, y, x)."""
    array = as_mask(mask)
    return int(np.count_nonzero(array)) * float(np.prod(as_spacing(spacing, array.ndim))) / 1000.0


def volume_difference_ml(a: NDArray[Any], b: NDArray[Any], spacing: Sequence[float]) -> float:
    """Volume of `a` minus volume of `b` in millilitres: positive when `a` is larger."""
    first, second = as_pair(a, b)
    return volume_ml(first, spacing) - volume_ml(second, spacing)
