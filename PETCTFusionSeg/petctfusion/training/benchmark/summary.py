"""The tables of `petctfusion benchmark sts`: means of every method, the patients of one, and what a card states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from petctfusion.evaluation import statistics
from petctfusion.models import MetricRow
from petctfusion.training.benchmark.files import write_json
from petctfusion.training.benchmark.row import Row
from petctfusion.training.datasets.sts import CROPS


@dataclass(frozen=True)
class Summary:
    """Means of a method over the rows of one crop.

    HD95 over the finite ones, `missing` says how many were not; None where there is none. `volume_error` is the mean of
    |volume - reference| / reference.
    """

    method: str
    crop: str
    patients: int
    dice: float
    dice_median: float
    dice_lowest: float
    hd95_mm: float | None
    missing: int
    nsd: float
    lesion_f1: float
    fpv_ml: float
    fnv_ml: float
    volume_error: float | None
    seconds: float


def summarise(rows: Sequence[Row]) -> list[Summary]:
    """One line per method and crop, in order of first appearance, as-is before re-cropped."""
    methods = dict.fromkeys(row.method for row in rows)
    groups = [(m, crop, [r for r in rows if (r.method, r.crop) == (m, crop)]) for crop in CROPS for m in methods]
    return [_summary(method, crop, chosen) for method, crop, chosen in groups if chosen]


def _summary(method: str, crop: str, rows: list[Row]) -> Summary:
    dices = [row.dice for row in rows]
    distance = statistics.summarise(row.hd95_mm for row in rows)
    return Summary(
        method=method,
        crop=crop,
        patients=len({row.patient for row in rows}),
        dice=fmean(dices),
        dice_median=median(dices),
        dice_lowest=min(dices),
        hd95_mm=distance.mean,
        missing=distance.infinite,
        nsd=fmean(row.nsd for row in rows),
        lesion_f1=fmean(row.lesion_f1 for row in rows),
        fpv_ml=fmean(row.fpv_ml for row in rows),
        fnv_ml=fmean(row.fnv_ml for row in rows),
        volume_error=statistics.summarise(row.volume_error for row in rows).mean,
        seconds=fmean(row.seconds for row in rows),
    )


def summary_table(summaries: Sequence[Summary]) -> str:
    """Markdown table of means."""
    lines = [
        "| crop | method | patients | mean Dice | median | lowest | mean HD95 (mm) | no contour |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {s.crop} | {s.method} | {s.patients} | {s.dice:.3f} | {s.dice_median:.3f} | {s.dice_lowest:.3f} "
        f"| {number(s.hd95_mm, 1)} | {s.missing} |"
        for s in summaries
    ]
    return "\n".join(lines)


def number(value: float | None, digits: int) -> str:
    """For people; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def patient_table(rows: list[Row], method: str) -> str:
    """Markdown table of every patient of one method, both crops side by side."""
    lines = [
        "| patient | GTV (ml) | Dice as is | HD95 as is (mm) | Dice re-cropped | HD95 re-cropped (mm) |",
        "|---|---|---|---|---|---|",
    ]
    chosen = {(row.patient, row.crop): row for row in rows if row.method == method}
    for patient in dict.fromkeys(row.patient for row in rows):
        whole, cut = chosen[patient, "as-is"], chosen[patient, "re-cropped"]
        lines.append(
            f"| {patient} | {whole.reference_volume_ml:.0f} | {whole.dice:.3f} | {whole.hd95_mm:.1f} "
            f"| {cut.dice:.3f} | {cut.hd95_mm:.1f} |"
        )
    return "\n".join(lines)


def card_rows(rows: list[Row], method: str, data: str) -> tuple[MetricRow, ...]:
    """The means of one method as a model card states them."""
    note = "whole pipeline, CT grid, reference CT_GTV"
    return tuple(
        MetricRow(data, s.crop, s.dice, s.hd95_mm, s.patients, note) for s in summarise(rows) if s.method == method
    )


def write_rows(rows: list[Row], path: Path, provenance: dict[str, Any]) -> None:
    """Rows, means and where they came from, as one small JSON file."""
    means = [asdict(summary) for summary in summarise(rows)]
    write_json({**provenance, "summary": means, "rows": [row.to_json() for row in rows]}, path)
