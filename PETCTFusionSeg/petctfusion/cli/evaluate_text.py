"""What `petctfusion evaluate` says on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from petctfusion.evaluation import Evaluation, Report
from petctfusion.evaluation.measures import Measure, measures_of

_WIDTH = 110
_IN_TABLE = ("dice", "hd95_mm", "assd_mm", "nsd", "volume_ml", "reference_volume_ml", "fpv_ml", "fnv_ml", "lesion_f1")


def pair_lines(evaluation: Evaluation, definitions: Iterable[tuple[str, str]]) -> list[str]:
    """Every number of one pair, the lesions, and what it all means."""
    comparison = evaluation.comparison
    lines = [f"{measure.title:<20} {_with_unit(measure, evaluation)}" for measure in measures_of([evaluation])]
    lines.append(f"{'NSD tolerance':<20} {comparison.nsd_tolerance_mm:g} mm")
    for row in comparison.lesions.rows:
        what = {"tp": "found", "fn": "missed", "fp": "false"}[row.kind]
        volumes = f"{row.volume_ml:.2f} ml of {row.reference_volume_ml:.2f} ml"
        lines.append(f"  lesion {what:<7} {volumes:<24} Dice {row.dice:.3f}")
    grid = "resampled to the reference's grid" if comparison.resampled else "on the reference's grid"
    return [*lines, f"The prediction was {grid}.", *evaluation.notes, "", *_explained(definitions)]


def cohort_lines(report: Report) -> list[str]:
    """A row per patient, the statistics, the failures, and what it all means."""
    measures = [measure for measure in report.measures if measure.key in _IN_TABLE]
    lines = [f"{report.counts}.", ""]
    if report.evaluations:
        rows = [[e.patient, *(m.text(m.value(e)) for m in measures)] for e in report.evaluations]
        head = ["patient", *(measure.heading for measure in measures)]
        lines += [*_columns(head, [*rows, [], *_statistics(report, measures)]), "", *_whole(report), ""]
    if report.failures:
        lines.append("Not evaluated:")
        lines += [f"  {', '.join(reason.patients)}: {reason.text}" for reason in report.reasons]
        lines.append("")
    return [*lines, *_explained(report.all_definitions)]


def listed(patients: Sequence[str], most: int = 4) -> str:
    """The first few names, and how many there are."""
    rest = f" ... {len(patients)} patients" if len(patients) > most else ""
    return ", ".join(patients[:most]) + rest


def _statistics(report: Report, measures: Sequence[Measure]) -> list[list[str]]:
    rows = []
    for title, name in (
        ("mean", "mean"),
        ("95 % low", "low"),
        ("95 % high", "high"),
        ("SD", "sd"),
        ("median", "median"),
        ("min", "lowest"),
        ("max", "highest"),
    ):
        rows.append([title, *(m.statistic(report.summaries[m.key], name) for m in measures)])
    infinite = [report.summaries[measure.key].infinite for measure in measures]
    return [*rows, ["no contour", *(str(n) if n else "" for n in infinite)]] if any(infinite) else rows


def _whole(report: Report) -> list[str]:
    totals = report.lesions
    if report.aggregated_dice is None or totals is None:
        return []
    return [
        f"Aggregated Dice {report.aggregated_dice:.3f}; lesions of all patients: {totals.tp} found, "
        f"{totals.fn} missed, {totals.fp} false, F1 {totals.f1:.3f}"
    ]


def _with_unit(measure: Measure, evaluation: Evaluation) -> str:
    value = measure.value(evaluation)
    text = measure.text(value)
    return f"{text} {measure.unit}" if measure.unit and value is not None and value != float("inf") else text


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as they must be: the first to the left, numbers to the right. An empty row is a line."""
    table = [head, *rows]
    widths = [max(len(row[i]) for row in table if row) for i in range(len(head))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = []
    for row in table:
        cells = [
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join(cells).rstrip() if row else rule)
    return lines


def _explained(definitions: Iterable[tuple[str, str]]) -> list[str]:
    return [
        line for term, text in definitions for line in textwrap.wrap(f"{term}: {text}", _WIDTH, subsequent_indent="  ")
    ]
