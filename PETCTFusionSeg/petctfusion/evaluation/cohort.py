"""Many patients at once, in processes: one that fails, or even dies, costs its own row and no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from petctfusion.errors import OutOfMemoryError
from petctfusion.evaluation.case import Failure, Outcome, Settings, outcome_of
from petctfusion.evaluation.pairs import Pair
from petctfusion.parallel import outcomes

Report = Callable[[int, int], None]


def evaluate_cohort(pairs: Sequence[Pair], settings: Settings, jobs: int, report: Report) -> list[Outcome]:
    """The outcome of every pair, in order; `report(done, total)` is called after each. See `parallel.outcomes`."""
    return outcomes(partial(outcome_of, settings=settings), pairs, jobs, _died, report)


def _died(pair: Pair) -> Failure:
    return Failure(
        pair.patient,
        "The process that evaluated it was ended from outside, or crashed.",
        "If memory is short, evaluate fewer at a time: --jobs 1.",
        OutOfMemoryError.kind,
    )
