"""Numbers of a cohort: mean, spread, and an interval from resampling patients."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000
SEED = 20240
LIMITS_OF_AGREEMENT = 1.96
_BLOCK = 200


@dataclass(frozen=True)
class Summary:
    """One measure over patients. Infinite values (no contour) are counted in `infinite` and in nothing else.

    `sd` has n - 1 below the line; `low` and `high` bound the mean with 95 % (`bootstrap_interval`). What cannot be
    computed from so few values is None.
    """

    count: int
    infinite: int
    mean: float | None
    sd: float | None
    median: float | None
    lowest: float | None
    highest: float | None
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain values under the names of the fields."""
        return asdict(self)


def summarise(values: Iterable[float | None]) -> Summary:
    """The summary of one value per patient; None (not measured) is left out, infinity is counted."""
    given = [value for value in values if value is not None and not math.isnan(value)]
    finite = np.array([value for value in given if math.isfinite(value)], dtype=np.float64)
    infinite = len(given) - finite.size
    if not finite.size:
        return Summary(0, infinite, None, None, None, None, None, None, None)
    interval = bootstrap_interval(finite) if finite.size > 1 else (None, None)
    return Summary(
        int(finite.size),
        infinite,
        float(finite.mean()),
        float(finite.std(ddof=1)) if finite.size > 1 else None,
        float(np.median(finite)),
        float(finite.min()),
        float(finite.max()),
        *interval,
    )


def bootstrap_interval(
    values: np.ndarray[Any, np.dtype[np.float64]], resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the mean when patients are drawn with replacement, as many as there are.

    The percentile interval of Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 13. The generator
    starts from `seed`, so that the same patients give the same interval.
    """
    random = np.random.default_rng(seed)
    # In blocks: 2,000 draws of a thousand patients at once would need 32 MB.
    blocks = [min(_BLOCK, resamples - done) for done in range(0, resamples, _BLOCK)]
    means = [values[random.integers(0, values.size, (rows, values.size))].mean(axis=1) for rows in blocks]
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return float(low), float(high)


@dataclass(frozen=True)
class BlandAltman:
    """Agreement of two measurements: the mean difference and mean +- 1.96 SD (Bland and Altman, Lancet 327, 1986)."""

    means: tuple[float, ...]
    differences: tuple[float, ...]
    bias: float
    lower: float | None
    upper: float | None


def bland_altman(first: Iterable[float], second: Iterable[float]) -> BlandAltman | None:
    """`first` minus `second` against their mean, patient by patient; None without a patient, no limits with one."""
    pairs = np.array(list(zip(first, second, strict=True)), dtype=np.float64).reshape(-1, 2)
    if not len(pairs):
        return None
    difference = pairs[:, 0] - pairs[:, 1]
    bias = float(difference.mean())
    spread = LIMITS_OF_AGREEMENT * float(difference.std(ddof=1)) if len(pairs) > 1 else None
    return BlandAltman(
        tuple(pairs.mean(axis=1).tolist()),
        tuple(difference.tolist()),
        bias,
        None if spread is None else bias - spread,
        None if spread is None else bias + spread,
    )
