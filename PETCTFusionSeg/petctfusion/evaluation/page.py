"""A report as one HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from petctfusion.evaluation.case import Evaluation
from petctfusion.evaluation.html import definition_list, document, figures, row, section, table
from petctfusion.evaluation.measures import Measure
from petctfusion.evaluation.plots import MOST_CURVES, dice_histogram, slice_curves, volume_agreement
from petctfusion.evaluation.report import Remark, Report

_STATISTICS = (
    ("Mean", "mean"),
    ("95 % low", "low"),
    ("95 % high", "high"),
    ("SD", "sd"),
    ("Median", "median"),
    ("Min", "lowest"),
    ("Max", "highest"),
)


def html_page(report: Report) -> str:
    """The page as text."""
    parts = [
        f"<h1>Contours against their reference</h1><p>{escape(report.counts)}.</p>",
        f'<p class="quiet">petctfusion {escape(report.version)}, {escape(report.date)}</p>',
        f"<p><code>{escape(report.command)}</code></p>",
        _facts(report),
        _failures(report),
    ]
    if report.evaluations:
        parts += [
            section("All patients", _summary_table(report)),
            section("Pictures", _figures(report)),
            section("Patient by patient", _patient_table(report)),
            _remarks(report),
        ]
    parts.append(section("What the numbers mean", definition_list(report.all_definitions)))
    parts.append('<p class="quiet">For research; not a medical device.</p>')
    return document(f"Contours against their reference: {report.counts}", parts)


def _facts(report: Report) -> str:
    """The few numbers that are looked for first."""
    by_key = {measure.key: measure for measure in report.measures}
    facts = []
    for key in ("dice", "hd95_mm", "nsd"):
        measure, summary = by_key[key], report.summaries[key]
        if summary.mean is None:
            continue
        interval = ""
        if summary.low is not None:
            interval = f", 95 % {measure.text(summary.low)} to {measure.text(summary.high)}"
        without = f", {summary.infinite} without contour" if summary.infinite else ""
        unit = f" {measure.unit}" if measure.unit else ""
        facts.append((f"{measure.text(summary.mean)}{unit}", f"mean {measure.title}{interval}{without}"))
    if report.aggregated_dice is not None:
        facts.append((f"{report.aggregated_dice:.3f}", "aggregated Dice"))
    if report.lesions is not None:
        t = report.lesions
        facts.append((f"{t.f1:.3f}", f"lesion F1 of all together: {t.tp} found, {t.fn} missed, {t.fp} false"))
    if not facts:
        return ""
    boxes = "".join(f"<div><b>{escape(number)}</b><span>{escape(what)}</span></div>" for number, what in facts)
    return f'<div class="facts">{boxes}</div>'


def _failures(report: Report) -> str:
    if not report.failures:
        return ""
    reasons = _remark_table(report.reasons, "Why")
    return f'<section class="failed"><h2>Not evaluated ({len(report.failures)})</h2>{reasons}</section>'


def _summary_table(report: Report) -> str:
    rows = []
    for measure in report.measures:
        summary = report.summaries[measure.key]
        cells = [measure.statistic(summary, name) for _, name in _STATISTICS]
        counts = [str(summary.count), str(summary.infinite) if summary.infinite else ""]
        rows.append(row([measure.heading, *cells, *counts]))
    return table(["", *(title for title, _ in _STATISTICS), "patients", "no contour"], rows)


def _patient_table(report: Report) -> str:
    # Jaccard says nothing that Dice does not, and the page is only so wide; it is in the summary and the other formats.
    measures = [measure for measure in report.measures if measure.key != "jaccard"]
    rows = [_patient_row(evaluation, measures) for evaluation in report.evaluations]
    return table(["Patient", *(measure.heading for measure in measures)], rows)


def _patient_row(evaluation: Evaluation, measures: Sequence[Measure]) -> str:
    cells = [f"<td>{escape(evaluation.patient)}</td>"]
    for measure in measures:
        value = measure.value(evaluation)
        mark = ' class="none"' if value == float("inf") else ""
        cells.append(f"<td{mark}>{escape(measure.text(value))}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _figures(report: Report) -> str:
    evaluations = report.evaluations
    large = [volume_agreement(evaluations), dice_histogram(evaluations, report.summaries["dice"])]
    curves = slice_curves(evaluations)
    body = f'<div class="plots">{figures(large)}</div>'
    if curves:
        which = (
            f"the {MOST_CURVES} patients with the lowest Dice" if len(evaluations) > MOST_CURVES else "every patient"
        )
        body += (
            f"<p>Dice along the slices of {which}, worst first (line); behind it the area of the reference, as a share "
            f'of its largest slice.</p><div class="plots small">{figures(curves)}</div>'
        )
    return body


def _remarks(report: Report) -> str:
    said = [*report.warnings, *report.notes]
    return section("Remarks", _remark_table(said, "What was noticed", len(report.evaluations))) if said else ""


def _remark_table(remarks: Iterable[Remark], heading: str, everyone: int = 0) -> str:
    """Sentences with the patients of whom they were said; `everyone` is the number that means all of them."""
    rows = []
    for remark in remarks:
        who = "all patients" if len(remark.patients) == everyone > 1 else ", ".join(remark.patients)
        rows.append(f'<tr><td class="words">{escape(remark.text)}</td><td class="words">{escape(who)}</td></tr>')
    return f'<div class="words">{table([heading, "Patients"], rows)}</div>'
