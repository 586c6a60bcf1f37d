"""The tables of a study: every row beside the first, patient by patient, with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from petctfusion.evaluation.paired import paired_bootstrap
from petctfusion.training.benchmark.ablation_runs import AblationRuns
from petctfusion.training.benchmark.comparison import Line
from petctfusion.training.benchmark.summary import number
from petctfusion.training.benchmark.table import Table, as_markdown, cost, patients, signed
from petctfusion.training.datasets.sts import CROPS, Crop

_EFFECTS = "row | what it is | crop | Dice | difference (95 %) | HD95 (mm) | difference (95 %) | seeds"
_PRETRAINING = (
    "encoders | seed | steps | CT error | PET error | CT to PET | PET to CT | chance | with another patient's PET "
    "| its chance"
)


def markdown(found: AblationRuns, learned: Sequence[dict[str, Any]]) -> str:
    """Effects, pre-trainings, Dice of every patient, cost; `learned`: what the pre-trainings of its rows wrote."""
    tables = [effects(found)]
    tables += [pretraining_table(learned)] if learned else []
    if found.lines and found.data is not None:
        tables += [patients(found.lines, found.data), cost(found.lines)]
    return "\n\n".join(as_markdown(table) for table in tables)


def effects(found: AblationRuns) -> Table:
    """Means in either crop, and the differences to the first row of the study."""
    first = next((line for line in found.lines if line.label == found.study.rows[0].name), None)
    rows = [_effect(line, crop, first) for crop in CROPS for line in found.lines]
    return Table(found.study.question, tuple(_EFFECTS.split(" | ")), tuple(rows), _notes(found), words=3)


def pretraining_table(learned: Sequence[dict[str, Any]]) -> Table:
    """What the encoders had learned before the contours came, on the tuning patients."""
    rows = []
    for one in learned:
        score = one["score"]
        shares = [score[name] for name in ("ahead", "back", "chance", "other_patient", "other_patient_chance")]
        cells = [number(value, 3) for value in (*score["reconstruction"], *shares)]
        rows.append((one["name"], str(one["seed"]), str(one["steps"]), *cells))
    asked = ", ".join(
        dict.fromkeys(f"{len(one['scored_on'])} patients, {one['score']['blocks']} blocks" for one in learned)
    )
    return Table(
        f"What the pre-training learned (tuning patients: {asked})",
        tuple(_PRETRAINING.split(" | ")),
        tuple(rows),
        (
            "Error: of hidden blocks over their contrast, 1 is as good as the mean of each. CT to PET: share of the "
            "blocks with content whose nearest PET block in the scan is their own; chance is 1 / N of the scan. With "
            "another patient's PET nothing but the place in the field of view can be right.",
        ),
    )


def learned_files(found: AblationRuns, results: Path, budget: str) -> list[Path]:
    """Where the pre-trainings of the finished rows are told of, those that are there."""
    seeds = {
        row.name: {run.seed for line in found.lines if line.label == row.name for run in line.runs}
        for row in found.study.rows
    }
    names = [
        f"{Path(row.pretraining).stem}-{budget}-seed{seed}.json"
        for row in found.study.rows
        if row.pretraining
        for seed in sorted(seeds[row.name], key=str)
    ]
    return [path for name in dict.fromkeys(names) if (path := results / "pretraining" / name).exists()]


def _effect(line: Line, crop: Crop, first: Line | None) -> tuple[str, ...]:
    summary = line.summaries[crop]
    without = f" ({summary.missing} without contour)" if summary.missing else ""
    dice, distance = "–", "–"
    if first is not None and first is not line:
        dice = _difference(_by_patient(line, crop, "dice"), _by_patient(first, crop, "dice"), 3)
        distance = _difference(_by_patient(line, crop, "hd95_mm"), _by_patient(first, crop, "hd95_mm"), 1)
    shown = number(summary.hd95_mm, 1) + without
    return (line.label, line.runs[0].title, crop, f"{summary.dice:.3f}", dice, shown, distance, line.seeds)


def _by_patient(line: Line, crop: Crop, measure: str) -> dict[str, float]:
    """The mean over the seeds."""
    chosen = [row for row in line.rows if row.crop == crop]
    names = dict.fromkeys(row.patient for row in chosen)
    return {name: fmean(getattr(row, measure) for row in chosen if row.patient == name) for name in names}


def _difference(ours: dict[str, float], theirs: dict[str, float], digits: int) -> str:
    both = [(ours[n], theirs[n]) for n in theirs if math.isfinite(ours[n]) and math.isfinite(theirs[n])]
    if len(both) < 2:
        return "–"
    first, second = zip(*both, strict=True)
    low, high = paired_bootstrap(first, second)
    fewer = "" if len(both) == len(theirs) else f", {len(both)} patients"
    mean = signed(fmean(a - b for a, b in both), digits)
    return f"{mean} ({signed(low, digits)} to {signed(high, digits)}{fewer})"


def _notes(found: AblationRuns) -> tuple[str, ...]:
    notes = []
    if found.data is not None:
        count = len(found.data.patients)
        notes.append(
            f"{count} {found.data.split} patients ({found.data.kind}). Differences to {found.study.rows[0].name}, "
            "patient by patient; in brackets 95 % of their mean when patients are drawn anew (paired bootstrap, 10,000 "
            f"draws), which of {count} patients is rather too narrow."
        )
        seeds = {line.seeds for line in found.lines}
        if all(len(line.runs) == 1 for line in found.lines):
            notes.append("One seed a row: what another seed would change is not measured, and not in the intervals.")
        elif len(seeds) > 1:
            notes.append("The rows do not have the same seeds.")
    notes += found.reused
    if found.missing:
        notes.append(f"Not run yet: {', '.join(found.missing)}.")
    return (*notes, *(f"Left out: {one.reason}" for one in found.left_out))
