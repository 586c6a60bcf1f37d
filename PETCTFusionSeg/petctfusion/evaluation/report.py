"""A cohort's numbers, and what has to be said with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from petctfusion.evaluation.case import Evaluation, Failure, Outcome, Settings
from petctfusion.evaluation.definitions import cohort_definitions, definitions
from petctfusion.evaluation.measures import Measure, measures_of
from petctfusion.evaluation.statistics import RESAMPLES, SEED, Summary, summarise
from petctfusion.metrics.aggregated import aggregated_dice, aggregated_f1


@dataclass(frozen=True)
class LesionTotals:
    """Lesions of all patients together (`metrics.aggregated_f1`)."""

    tp: int
    fp: int
    fn: int
    f1: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"tp": self.tp, "fp": self.fp, "fn": self.fn, "f1": self.f1}


@dataclass(frozen=True)
class Remark:
    """One sentence, and the patients of whom it was said."""

    text: str
    patients: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Every patient, evaluated or not, in order, with how, when and by what it was done."""

    outcomes: Sequence[Outcome]
    settings: Settings
    command: str
    version: str
    date: str
    """ISO 8601, with the offset from UTC."""

    @cached_property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """The patients with numbers."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Evaluation))

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """The patients without."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Failure))

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """What each patient's row holds."""
        return measures_of(self.evaluations)

    @cached_property
    def summaries(self) -> dict[str, Summary]:
        """Every measure over the evaluated patients."""
        return {m.key: summarise(m.value(evaluation) for evaluation in self.evaluations) for m in self.measures}

    @cached_property
    def aggregated_dice(self) -> float | None:
        """`metrics.aggregated_dice` in ml; None without a patient."""
        return aggregated_dice(e.overlap_ml for e in self.evaluations) if self.evaluations else None

    @cached_property
    def lesions(self) -> LesionTotals | None:
        """Sums over the patients; None without one."""
        found = [evaluation.comparison.lesions for evaluation in self.evaluations]
        if not found:
            return None
        return LesionTotals(
            sum(m.tp for m in found), sum(m.fp for m in found), sum(m.fn for m in found), aggregated_f1(found)
        )

    @cached_property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        """What each patient's numbers mean."""
        return definitions(self.settings, self.evaluations)

    @cached_property
    def all_definitions(self) -> tuple[tuple[str, str], ...]:
        """What these and the numbers over all patients mean."""
        return self.definitions + cohort_definitions()

    @property
    def reasons(self) -> list[Remark]:
        """Why patients were not evaluated, each sentence once."""
        return _remarks((f.patient, [f"{f.message} {f.hint}".strip()]) for f in self.failures)

    @property
    def warnings(self) -> list[Remark]:
        """What a reader of the numbers must know, each sentence once."""
        return _remarks((e.patient, e.warnings) for e in self.evaluations)

    @property
    def notes(self) -> list[Remark]:
        """How the masks were made, each sentence once."""
        resampled = ("The prediction was resampled to the reference's grid.",)
        return _remarks(
            (e.patient, (*(resampled if e.comparison.resampled else ()), *e.notes)) for e in self.evaluations
        )

    @property
    def counts(self) -> str:
        """How many were evaluated, and how many not."""
        total, failed = len(self.outcomes), len(self.failures)
        patients = f"{total} patient{'' if total == 1 else 's'}"
        return f"{patients}, all evaluated" if not failed else f"{patients}: {total - failed} evaluated, {failed} not"

    def to_json(self) -> dict[str, Any]:
        """The whole report as plain values; infinite distances are null, as in `Comparison.to_json`."""
        return {
            "petctfusion": self.version,
            "command": self.command,
            "date": self.date,
            "settings": self.settings.to_json(),
            "definitions": dict(self.all_definitions),
            "evaluated": len(self.evaluations),
            "failed": [failure.to_json() for failure in self.failures],
            "summary": {key: summary.to_json() for key, summary in self.summaries.items()},
            "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "unit": "patient", "interval": "percentile, 95 %"},
            "aggregated_dice": self.aggregated_dice,
            "lesions": None if self.lesions is None else self.lesions.to_json(),
            "patients": [evaluation.to_json() for evaluation in self.evaluations],
        }


def _remarks(said: Iterable[tuple[str, Sequence[str]]]) -> list[Remark]:
    patients: dict[str, list[str]] = {}
    for patient, sentences in said:
        for sentence in sentences:
            patients.setdefault(sentence, []).append(patient)
    return [Remark(text, tuple(names)) for text, names in patients.items()]
