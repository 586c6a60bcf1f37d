"""Lines of the table out of runs, and paired tests between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean

from petctfusion.errors import BadInputError
from petctfusion.evaluation.paired import holm, signed_rank_p
from petctfusion.training.benchmark.row import Row
from petctfusion.training.benchmark.run import Run
from petctfusion.training.benchmark.runs import Runs
from petctfusion.training.benchmark.summary import Summary, summarise
from petctfusion.training.datasets.sts import CROPS, Crop
from petctfusion.training.settings import did_you_mean

REFERENCE = "early_unet"


@dataclass(frozen=True)
class Line:
    """One method under one budget: all its runs (seeds)."""

    method: str
    label: str
    """The method, with its budget where it was run under several."""
    runs: tuple[Run, ...]
    rows: tuple[Row, ...]
    """Of all runs; their `method` is the label."""

    @property
    def trained(self) -> bool:
        """Whether it was learned from data; rules and the ellipsoid were not."""
        return self.runs[0].facts.parameters is not None

    @property
    def seeds(self) -> str:
        """The seeds of its runs, "–" where there is none."""
        return ", ".join(str(run.seed) for run in self.runs if run.seed is not None) or "–"

    @cached_property
    def summaries(self) -> dict[str, Summary]:
        """By crop, over the rows of all runs."""
        return {summary.crop: summary for summary in summarise(self.rows)}

    def dice(self, crop: Crop) -> dict[str, float]:
        """Dice of every patient, the mean over the runs."""
        chosen = [row for row in self.rows if row.crop == crop]
        patients = dict.fromkeys(row.patient for row in chosen)
        return {patient: fmean(row.dice for row in chosen if row.patient == patient) for patient in patients}

    @property
    def fall(self) -> float:
        """Mean Dice as it is minus re-cropped."""
        return self.summaries["as-is"].dice - self.summaries["re-cropped"].dice

    @property
    def mean_dice(self) -> float:
        """Over both crops."""
        return fmean(self.summaries[crop].dice for crop in CROPS)


@dataclass(frozen=True)
class Test:
    """A line against another on the Dice of the same patients; `difference` is the mean, `p_holm` within the family."""

    label: str
    crop: Crop
    difference: float
    better: int
    """Patients of whom `label` has the higher Dice."""
    p: float
    p_holm: float


@dataclass(frozen=True)
class Family:
    """`against` compared with every other line, in both crops; corrected together."""

    against: str
    tests: tuple[Test, ...]


@dataclass(frozen=True)
class Comparison:
    """All that tables and page show."""

    runs: Runs
    lines: tuple[Line, ...]
    families: tuple[Family, ...]


def comparison_of(runs: Runs, reference: str | None = None) -> Comparison:
    """The lines of `runs`, and all others against the reference and against the best trained line.

    `reference` (None: early_unet, if it was run) is a line's label. The best is the one of the highest mean Dice over
    both crops. Raises `BadInputError` for a reference that was not run.
    """
    lines = lines_of(runs.runs)
    against = []
    if reference is not None or any(line.method == REFERENCE for line in lines):
        against.append(find_line(lines, reference or REFERENCE))
    best = next((line for line in lines if line.trained), None)
    if best is not None and best not in against:
        against.append(best)
    families = tuple(compare_with(line, lines) for line in against) if len(lines) > 1 else ()
    return Comparison(runs, tuple(lines), families)


def lines_of(runs: Sequence[Run]) -> list[Line]:
    """One line per method and budget, best mean Dice over both crops first."""
    grouped: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        for method in run.methods:
            grouped.setdefault((method, run.budget), []).append(run)
    several = {method for method, _ in grouped if sum(other == method for other, _ in grouped) > 1}
    lines = []
    for (method, budget), members in grouped.items():
        label = f"{method} ({budget})" if method in several else method
        rows = tuple(replace(row, method=label) for run in members for row in run.rows if row.method == method)
        lines.append(Line(method, label, tuple(members), rows))
    return sorted(lines, key=lambda line: -line.mean_dice)


def find_line(lines: Sequence[Line], name: str) -> Line:
    """The line of a label or, of several budgets, the first under that method. Raises `BadInputError`."""
    for line in lines:
        if name in (line.label, line.method):
            return line
    raise BadInputError(f"There is no run of {name!r} to compare with.", did_you_mean(name, [x.label for x in lines]))


def compare_with(against: Line, lines: Sequence[Line]) -> Family:
    """Every other line minus `against`: signed-rank tests on Dice, Holm over all of them."""
    found: list[Test] = []
    for crop in CROPS:
        base = against.dice(crop)
        for line in lines:
            if line.label == against.label:
                continue
            dice = line.dice(crop)
            pairs = [(dice[patient], base[patient]) for patient in base]
            p = signed_rank_p(*zip(*pairs, strict=True))
            better = sum(a > b for a, b in pairs)
            found.append(Test(line.label, crop, fmean(a - b for a, b in pairs), better, p, p))
    corrected = holm([test.p for test in found])
    return Family(against.label, tuple(replace(t, p_holm=p) for t, p in zip(found, corrected, strict=True)))
