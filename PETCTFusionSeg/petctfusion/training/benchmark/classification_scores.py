"""A classifier of two classes as numbers: confusion, accuracy, macro-F1, AUROC, and how sure they are. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from petctfusion.evaluation.statistics import RESAMPLES, SEED
from petctfusion.metrics.matching import f1_score

Interval = tuple[float, float]


@dataclass(frozen=True)
class Answer:
    """What is said of one lesion: its class, and a score that grows with class 1. `said` None: nothing was found."""

    truth: int
    said: int | None
    score: float


@dataclass(frozen=True)
class Scores:
    """`confusion[truth][said]`, `unanswered` by truth (they count as wrong), and 95 % bootstrap intervals.

    AUROC and macro-F1 are None where one class has no lesion.
    """

    lesions: int
    confusion: tuple[tuple[int, int], tuple[int, int]]
    unanswered: tuple[int, int]
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float | None
    auroc: float | None
    auroc_interval: Interval | None


def scores_of(answers: Sequence[Answer]) -> Scores:
    """Lesions are drawn with replacement for the intervals (percentiles), from one seed."""
    truth = np.array([one.truth for one in answers])
    score = np.array([one.score for one in answers])
    right = np.array([one.said == one.truth for one in answers], dtype=float)
    confusion = [[sum(a.truth == t and a.said == s for a in answers) for s in (0, 1)] for t in (0, 1)]
    missing = [sum(a.truth == t and a.said is None for a in answers) for t in (0, 1)]
    accuracy_interval = _interval(len(truth), lambda drawn: float(right[drawn].mean()))
    value = auroc(truth, score)
    return Scores(
        len(answers),
        ((confusion[0][0], confusion[0][1]), (confusion[1][0], confusion[1][1])),
        (missing[0], missing[1]),
        float(right.mean()),
        accuracy_interval or (float(right.mean()),) * 2,
        None if value is None else macro_f1(confusion, missing),
        value,
        None if value is None else _interval(len(truth), lambda drawn: auroc(truth[drawn], score[drawn])),
    )


def auroc(truth: NDArray[np.int_], score: NDArray[np.float64]) -> float | None:
    """Area under the ROC curve: how often a lesion of class 1 scores above one of class 0, ties half (Mann-Whitney)."""
    ones = int(truth.sum())
    zeros = len(truth) - ones
    if not ones or not zeros:
        return None
    ranks = stats.rankdata(score)
    return float((ranks[truth == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def macro_f1(confusion: Sequence[Sequence[int]], missing: Sequence[int]) -> float:
    """Mean of both classes' F1."""
    return float(np.mean([
        f1_score(confusion[c][c], confusion[1 - c][c], confusion[c][1 - c] + missing[c]) for c in (0, 1)
    ]))  # fmt: skip


@dataclass(frozen=True)
class Cut:
    """A rule: class 1 from a number on, or up to it (`sign` -1), chosen where its answers are best."""

    threshold: float
    sign: int

    @classmethod
    def best(cls, values: Sequence[float], truth: Sequence[int]) -> Cut:
        """The cut of highest accuracy; of equal ones the middle one."""
        order = np.unique(np.asarray(values, dtype=float))
        levels = [order[0] - 1.0, *((order[1:] + order[:-1]) / 2)]
        found = []
        for sign in (1, -1):
            for level in levels:
                said = (sign * np.asarray(values) >= sign * level).astype(int)
                found.append((float(np.mean(said == np.asarray(truth))), cls(float(level), sign)))
        most = max(accuracy for accuracy, _cut in found)
        best = [cut for accuracy, cut in found if accuracy == most]
        return best[len(best) // 2]

    def answer(self, value: float, truth: int) -> Answer:
        """What the rule says of a lesion with this value."""
        return Answer(truth, int(self.sign * value >= self.sign * self.threshold), self.sign * value)


def _interval(count: int, statistic: Callable[[NDArray[np.int_]], float | None]) -> Interval | None:
    random = np.random.default_rng(SEED)
    drawn = (statistic(random.integers(0, count, count)) for _ in range(RESAMPLES))
    values = [value for value in drawn if value is not None]
    if not values:
        return None
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)
