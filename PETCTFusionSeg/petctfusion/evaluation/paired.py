"""Two measurements of the same patients: the signed-rank test, many of them at once, and the difference itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from petctfusion.evaluation.statistics import SEED, bootstrap_interval

# 2^14 sign patterns are counted in a moment; beyond, the normal approximation is close.
_MOST_COUNTED = 14
_RESAMPLES = 10_000


def signed_rank_p(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test (Biometrics Bulletin 1, 1945); equal pairs are left out.

    Up to 14 patients all sign patterns are counted, which is exact with ties too; 1 where no pair differs.
    """
    from scipy.stats import rankdata, wilcoxon

    # Rounded, so that equal differences are ties: 0.8 - 0.7 and 0.9 - 0.8 differ in the last bit.
    difference = np.round(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64), 12)
    difference = difference[difference != 0]
    if not difference.size:
        return 1.0
    if difference.size > _MOST_COUNTED:
        return float(wilcoxon(difference).pvalue)
    ranks = rankdata(np.abs(difference))
    patterns = (np.arange(2**difference.size)[:, None] >> np.arange(difference.size)) & 1
    # Signed ranks add up to 0 on average; half ranks are exact in binary.
    sums = np.abs((2 * patterns - 1) @ ranks)
    return float(np.mean(sums >= abs(np.sign(difference) @ ranks)))


def paired_bootstrap(
    first: Sequence[float], second: Sequence[float], resamples: int = _RESAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """95 % interval of the mean of `first` minus `second`, by drawing patients; equal seeds give equal intervals.

    Both values of a patient are drawn together. Raises `ValueError` where the two are not as long, or nobody is there.
    """
    if len(first) != len(second) or not len(first):
        raise ValueError(f"paired values of the same patients are needed, got {len(first)} and {len(second)}")
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return bootstrap_interval(differences, resamples, seed)


def smallest_signed_rank_p(patients: int) -> float:
    """The p that so many patients can reach at best: all differences of one sign."""
    return min(1.0, 2.0 ** (1 - patients))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979), in the given order.

    The k-th smallest of m is multiplied by m - k + 1, and none may be below a smaller one's.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = highest
    return corrected
