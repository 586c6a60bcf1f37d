"""The measures of a report: name, title, unit and where each comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from petctfusion.evaluation.case import Evaluation
from petctfusion.evaluation.statistics import Summary
from petctfusion.metrics import Lesion


@dataclass(frozen=True)
class Measure:
    """One number of a patient. `value` is None where it does not exist, infinite where there is no contour."""

    key: str
    title: str
    unit: str
    digits: int
    value: Callable[[Evaluation], float | None]

    def text(self, value: float | None) -> str:
        """The number for people; a dash where there is none."""
        if value is None:
            return "–"
        return "no contour" if value == float("inf") else f"{value:.{self.digits}f}"

    def statistic(self, summary: Summary, name: str) -> str:
        """The field `name` of a summary for people; a mean of whole numbers is none."""
        value = getattr(summary, name)
        whole = self.digits == 0 and name not in ("lowest", "highest")
        return f"{value:.1f}" if whole and value is not None else self.text(value)

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


def _of_comparison(name: str) -> Callable[[Evaluation], float | None]:
    def value(evaluation: Evaluation) -> float | None:
        found = getattr(evaluation.comparison, name)
        return None if found is None else float(found)

    return value


def _of_lesions(name: str) -> Callable[[Evaluation], float | None]:
    return lambda evaluation: float(getattr(evaluation.comparison.lesions, name))


def _highest(lesions: Iterable[Lesion]) -> float | None:
    return max((lesion.suv_max for lesion in lesions if lesion.suv_max is not None), default=None)


def _glycolysis(lesions: Iterable[Lesion]) -> float:
    return sum(lesion.tlg for lesion in lesions if lesion.tlg is not None)


MEASURES = (
    Measure("dice", "Dice", "", 3, _of_comparison("dice")),
    Measure("hd95_mm", "HD95", "mm", 1, _of_comparison("hd95_mm")),
    Measure("hd_mm", "HD", "mm", 1, _of_comparison("hd_mm")),
    Measure("assd_mm", "ASSD", "mm", 2, _of_comparison("assd_mm")),
    Measure("nsd", "NSD", "", 3, _of_comparison("nsd")),
    Measure("jaccard", "Jaccard", "", 3, _of_comparison("jaccard")),
    Measure("volume_ml", "Volume", "ml", 1, _of_comparison("volume_ml")),
    Measure("reference_volume_ml", "Reference", "ml", 1, _of_comparison("reference_volume_ml")),
    Measure("volume_difference_ml", "Difference", "ml", 1, _of_comparison("volume_difference_ml")),
    Measure("relative_volume_difference", "Rel. difference", "", 3, _of_comparison("relative_volume_difference")),
    Measure("centre_distance_mm", "Centre distance", "mm", 1, _of_comparison("centre_distance_mm")),
    Measure("fpv_ml", "FPV", "ml", 2, _of_comparison("fpv_ml")),
    Measure("fnv_ml", "FNV", "ml", 2, _of_comparison("fnv_ml")),
    Measure("lesion_tp", "Lesions TP", "", 0, _of_lesions("tp")),
    Measure("lesion_fp", "Lesions FP", "", 0, _of_lesions("fp")),
    Measure("lesion_fn", "Lesions FN", "", 0, _of_lesions("fn")),
    Measure("lesion_f1", "Lesion F1", "", 3, _of_lesions("f1")),
)
WITH_PET = (
    Measure("suv_max", "SUVmax", "", 1, lambda e: _highest(e.lesions)),
    Measure("reference_suv_max", "Ref. SUVmax", "", 1, lambda e: _highest(e.reference_lesions)),
    Measure("tlg", "TLG", "SUV ml", 0, lambda e: _glycolysis(e.lesions)),
    Measure("reference_tlg", "Ref. TLG", "SUV ml", 0, lambda e: _glycolysis(e.reference_lesions)),
)


def measures_of(evaluations: Iterable[Evaluation]) -> tuple[Measure, ...]:
    """The measures that these patients have: those of the uptake only with a PET."""
    return MEASURES + WITH_PET if any(e.pet is not None for e in evaluations) else MEASURES
