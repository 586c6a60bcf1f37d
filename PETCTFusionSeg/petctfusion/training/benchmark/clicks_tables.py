"""Table and figure of `petctfusion benchmark clicks`, from its lines alone."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from petctfusion.evaluation.drawing import BLUE, ORANGE, Axis, Chart, around, stacked
from petctfusion.training.benchmark.summary import number

# Okabe and Ito's, in an order that also falls in lightness.
_COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7")


def clicks_table(lines: Sequence[dict[str, Any]]) -> str:
    """Markdown: a line per crop, way and number of clicks."""
    table = [
        "| crop | way | clicks | patients | mean Dice | lowest | mean HD95 (mm) | no contour | s a click |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    table += [
        f"| {line['crop']} | {line['way']} | {line['clicks']} | {line['patients']} | {line['dice']:.3f} "
        f"| {line['lowest_dice']:.3f} | {number(line['hd95_mm'], 1)} | {line['no_contour']} "
        f"| {number(line['seconds'], 2)} |"
        for line in lines
    ]
    return "\n".join(table)


def clicks_figure(lines: Sequence[dict[str, Any]]) -> str:
    """SVG: mean Dice and mean HD95 over all crops against the number of clicks, a curve per way."""
    return stacked(
        "Dice and HD95 against clicks",
        [
            _chart(lines, "dice", "Mean Dice of both crops", ""),
            _chart(lines, "hd95_mm", "Mean HD95 of both crops", "mm"),
        ],
    )


def _chart(lines: Sequence[dict[str, Any]], key: str, title: str, unit: str) -> Chart:
    ways = list(dict.fromkeys(line["way"] for line in lines))
    curves = [_curve([line for line in lines if line["way"] == way], key) for way in ways]
    counts = sorted({line["clicks"] for line in lines})
    heights = [height for curve in curves for _, height in curve] or [0.0, 1.0]
    chart = Chart(title, Axis(-0.3, max(counts) + 0.3), around(heights), top=30 + 18 * len(ways))
    chart.axes("clicks", unit or "Dice", counts)
    for place, (way, curve) in enumerate(zip(ways, curves, strict=True)):
        colour = _COLOURS[place % len(_COLOURS)]
        chart.text(chart.left, 34 + 18 * place, f"— {way}", colour=colour)
        if curve:
            chart.line(curve, colour)
        for clicks, height in curve:
            chart.dot(clicks, height, f"{way}, {clicks:g} clicks: {height:.3f}", colour)
    return chart


def _curve(lines: Sequence[dict[str, Any]], key: str) -> list[tuple[float, float]]:
    counts = sorted({line["clicks"] for line in lines})
    groups = {n: [line[key] for line in lines if line["clicks"] == n and line[key] is not None] for n in counts}
    return [(float(n), fmean(values)) for n, values in groups.items() if values]
