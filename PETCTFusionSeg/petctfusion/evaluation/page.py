"""A report as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from petctfusion.evaluation.case import Evaluation
from petctfusion.evaluation.measures import Measure
from petctfusion.evaluation.plots import MOST_CURVES, dice_histogram, slice_curves, volume_agreement
from petctfusion.evaluation.report import Remark, Report

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: #222; background: #fff;
  margin: 0 auto; padding: 1.5rem 2rem 3rem; max-width: 84rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { margin: .3rem 0; } .quiet { color: #555; } code { font-size: .9em; overflow-wrap: anywhere; }
.facts { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; padding: 0; }
.facts div { border: 1px solid #ddd; border-radius: 6px; padding: .5rem .9rem; min-width: 9rem; }
.facts b { display: block; font-size: 1.35rem; font-weight: 600; } .facts span { color: #555; font-size: .85rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .84rem; }
th, td { padding: .22rem .42rem; text-align: right; border-bottom: 1px solid #e5e5e5; white-space: nowrap; }
th { font-weight: 600; border-bottom: 2px solid #999; vertical-align: bottom; white-space: normal; }
th:first-child, td:first-child { text-align: left; } td.words, .words th { text-align: left; white-space: normal; }
tbody tr:nth-child(even) { background: #fafafa; } .none { color: #B34700; }
.wide { overflow-x: auto; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1.2rem; }
.small { grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); }
figure { margin: 0; } svg { width: 100%; height: auto; font: 12px system-ui, "DejaVu Sans", sans-serif; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; margin: 0; }
dt { font-weight: 600; } dd { margin: 0; }
.failed { border-left: 4px solid #D55E00; padding-left: .9rem; }
@media print { @page { size: A4 landscape; margin: 12mm; } body { padding: 0; max-width: none; font-size: 11px; }
  table { font-size: 8.5px; } th, td { padding: .12rem .3rem; } .wide { overflow: visible; }
  figure, tr, .facts div { break-inside: avoid; } h2 { break-after: avoid; } thead { display: table-header-group; }
  .plots { grid-template-columns: 1fr 1fr; } .small { grid-template-columns: 1fr 1fr 1fr; } }
"""
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
            _section("All patients", _summary_table(report)),
            _section("Pictures", _figures(report)),
            _section("Patient by patient", _patient_table(report)),
            _remarks(report),
        ]
    parts.append(_section("What the numbers mean", _definitions(report)))
    parts.append('<p class="quiet">For research; not a medical device.</p>')
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Contours against their reference: {escape(report.counts)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{chr(10).join(part for part in parts if part)}\n</body></html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{body}</section>"


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
    table = _remark_table(report.reasons, "Why")
    return f'<section class="failed"><h2>Not evaluated ({len(report.failures)})</h2>{table}</section>'


def _summary_table(report: Report) -> str:
    rows = []
    for measure in report.measures:
        summary = report.summaries[measure.key]
        cells = [measure.statistic(summary, name) for _, name in _STATISTICS]
        counts = [str(summary.count), str(summary.infinite) if summary.infinite else ""]
        rows.append(_row([measure.heading, *cells, *counts]))
    return _table(["", *(title for title, _ in _STATISTICS), "patients", "no contour"], rows)


def _patient_table(report: Report) -> str:
    # Jaccard says nothing that Dice does not, and the page is only so wide; it is in the summary and the other formats.
    measures = [measure for measure in report.measures if measure.key != "jaccard"]
    rows = [_patient_row(evaluation, measures) for evaluation in report.evaluations]
    return _table(["Patient", *(measure.heading for measure in measures)], rows)


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
    body = f'<div class="plots">{_all_figures(large)}</div>'
    if curves:
        which = (
            f"the {MOST_CURVES} patients with the lowest Dice" if len(evaluations) > MOST_CURVES else "every patient"
        )
        body += (
            f"<p>Dice along the slices of {which}, worst first (line); behind it the area of the reference, as a share "
            f'of its largest slice.</p><div class="plots small">{_all_figures(curves)}</div>'
        )
    return body


def _all_figures(pictures: Iterable[str]) -> str:
    return "".join(f"<figure>{picture}</figure>" for picture in pictures if picture)


def _remarks(report: Report) -> str:
    said = [*report.warnings, *report.notes]
    return _section("Remarks", _remark_table(said, "What was noticed", len(report.evaluations))) if said else ""


def _remark_table(remarks: Iterable[Remark], heading: str, everyone: int = 0) -> str:
    """Sentences with the patients of whom they were said; `everyone` is the number that means all of them."""
    rows = []
    for remark in remarks:
        who = "all patients" if len(remark.patients) == everyone > 1 else ", ".join(remark.patients)
        rows.append(f'<tr><td class="words">{escape(remark.text)}</td><td class="words">{escape(who)}</td></tr>')
    return f'<div class="words">{_table([heading, "Patients"], rows)}</div>'


def _definitions(report: Report) -> str:
    items = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in report.all_definitions)
    return f"<dl>{items}</dl>"


def _table(headings: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _row(cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
