"""A report as a table for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
import math

from petctfusion.evaluation.case import Failure
from petctfusion.evaluation.report import Report
from petctfusion.evaluation.statistics import Summary

_STATISTICS = ("count", "infinite", "mean", "sd", "median", "lowest", "highest", "low", "high")
_ROWS = {
    "count": "count",
    "infinite": "no contour",
    "lowest": "min",
    "highest": "max",
    "low": "mean 95 % low",
    "high": "mean 95 % high",
}


def csv_text(report: Report) -> str:
    """One row per patient, evaluated or failed, then one per statistic; `row` says which.

    A distance without a contour is `inf`, what does not exist is empty.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    keys = [measure.key for measure in report.measures]
    writer.writerow(["row", "patient", *keys, "nsd_tolerance_mm", "resampled", "outside_ml", "message"])
    for outcome in report.outcomes:
        if isinstance(outcome, Failure):
            sentence = f"{outcome.message} {outcome.hint}".strip()
            writer.writerow(["failed", outcome.patient, *[""] * (len(keys) + 3), sentence])
            continue
        comparison = outcome.comparison
        writer.writerow(
            [
                "patient",
                outcome.patient,
                *(_number(measure.value(outcome)) for measure in report.measures),
                _number(comparison.nsd_tolerance_mm),
                str(comparison.resampled).lower(),
                _number(comparison.outside_ml),
                " ".join(outcome.warnings),
            ]
        )
    for name in _STATISTICS:
        writer.writerow([_ROWS.get(name, name), "", *(_of(report.summaries[key], name) for key in keys), *[""] * 4])
    if report.lesions is not None:
        whole = {"dice": report.aggregated_dice, **{f"lesion_{k}": v for k, v in report.lesions.to_json().items()}}
        writer.writerow(["all patients as one", "", *(_number(whole.get(key)) for key in keys), *[""] * 4])
    return stream.getvalue()


def _of(summary: Summary, name: str) -> str:
    return _number(getattr(summary, name))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    return "inf" if math.isinf(value) else repr(float(value))
