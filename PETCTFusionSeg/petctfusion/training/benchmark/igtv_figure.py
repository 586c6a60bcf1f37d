"""The figure of the IGTV experiment: Dice along the IGTV, coverage and conformity against the tumour's motion."""

from __future__ import annotations

from collections.abc import Sequence

from petctfusion.evaluation.drawing import Axis, Chart, stacked
from petctfusion.training.benchmark.igtv_tables import (
    MOTIONS_MM,
    POSITIONS,
    IgtvLine,
    Value,
    conformity,
    coverage,
)

# Okabe and Ito's set, in the order of the rows.
_COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_LEGEND_ROW = 16


def igtv_figure(lines: Sequence[IgtvLine], anatomy: str) -> str:
    """SVG of three charts, one colour a row of the table; simulated, and it says so."""
    motion = Axis(0.0, max(row.motion_mm for line in lines for row in line.rows) + 1.0)
    legend = 4 + _LEGEND_ROW * len(lines)
    title = f"Simulated, {anatomy}: Dice by slice position"
    along = Chart(title, Axis(0.0, 1.0), Axis(0.0, 1.0), height=300 + legend, top=30 + legend)
    _legend(along, lines)
    along.axes("place in the IGTV, 0 lower end, 1 upper end", "Dice")
    for line, colour in zip(lines, _COLOURS, strict=False):
        places = [(k + 0.5) / POSITIONS for k in range(POSITIONS)]
        points = [(x, dice) for x, dice in zip(places, line.at_positions(), strict=True) if dice is not None]
        _curve(along, points, line.title, colour)
    charts = [along]
    shares: tuple[tuple[Value, str], ...] = (
        (coverage, "Coverage: share of the IGTV in the contour"),
        (conformity, "Conformity: share of the contour in the IGTV"),
    )
    for value, title in shares:
        chart = Chart(title, motion, Axis(0.0, 1.0), height=300)
        chart.axes("motion of the tumour (mm); lines: means of three ranges", "share")
        for line, colour in zip(lines, _COLOURS, strict=False):
            _against_motion(chart, line, value, colour)
        charts.append(chart)
    return stacked(f"IGTV experiment on simulated data, {anatomy}", charts)


def _legend(chart: Chart, lines: Sequence[IgtvLine]) -> None:
    for place, (line, colour) in enumerate(zip(lines, _COLOURS, strict=False)):
        y = 32 + _LEGEND_ROW * place
        chart.marks.append(f'<line x1="68" y1="{y - 4}" x2="92" y2="{y - 4}" stroke="{colour}" stroke-width="3"/>')
        chart.text(98, y, line.title)


def _curve(chart: Chart, points: Sequence[tuple[float, float]], name: str, colour: str) -> None:
    if points:
        chart.line(points, colour)
    for x, y in points:
        chart.dot(x, y, f"{name}: {y:.3f}", colour)


def _against_motion(chart: Chart, line: IgtvLine, value: Value, colour: str) -> None:
    points = []
    for low, high in MOTIONS_MM:
        part = line.moving(low, high)
        mean = part.mean(value)
        if mean is not None:
            points.append((sum(row.motion_mm for row in part.rows) / len(part.rows), mean))
    _curve(chart, points, line.title, colour)
