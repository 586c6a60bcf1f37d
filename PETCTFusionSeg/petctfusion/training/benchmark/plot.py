"""The figure: Dice of every patient, one lane a method, both crops."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from petctfusion.evaluation.drawing import BLUE, GRID, INK, ORANGE, Axis, Chart
from petctfusion.training.benchmark.comparison import Line
from petctfusion.training.datasets.sts import CROPS, Crop

_LANE = 34
_COLOURS = {"as-is": BLUE, "re-cropped": ORANGE}
# As-is above the middle of the lane, re-cropped below: told apart without colour too.
_OFFSETS = {"as-is": -0.18, "re-cropped": 0.18}
_MEAN = 8  # half the height of the mark of a mean, in pixels
_LETTER = 7.2  # pixels, the widest of the fonts in use


def dice_figure(lines: Sequence[Line]) -> str:
    """SVG: a dot a patient (the mean over seeds), an upright bar for the mean; lines from top to bottom as given."""
    count = len(lines)
    left = int(24 + _LETTER * max(len(line.label) for line in lines))
    chart = Chart(
        "Dice of every patient; bars: means",
        Axis(0.0, 1.0),
        Axis(float(count), 0.0),
        width=left + 640,
        height=_LANE * count + 92,
        left=left,
        top=46,
    )
    _frame(chart, count)
    for lane, line in enumerate(lines):
        chart.text(left - 10, chart.at(0.0, lane + 0.5)[1] + 4, line.label, "end")
        for crop in CROPS:
            _crop(chart, line, crop, lane + 0.5 + _OFFSETS[crop])
    for place, crop in enumerate(CROPS):
        x = left + 8 + 130 * place
        chart.marks.append(f'<circle cx="{x}" cy="32" r="4" fill="{_COLOURS[crop]}"/>')
        chart.text(x + 9, 36, f"{crop} ({'above' if place == 0 else 'below'})")
    return chart.svg()


def _frame(chart: Chart, count: int) -> None:
    for value in chart.x.ticks(10):
        x, top = chart.at(value, 0.0)
        base = chart.at(value, float(count))[1]
        chart.marks.append(f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{base:.1f}" stroke="{GRID}"/>')
        chart.text(x, base + 17, f"{value:g}", "middle")
    for lane in range(count + 1):
        (x1, y), (x2, _) = chart.at(0.0, float(lane)), chart.at(1.0, float(lane))
        chart.marks.append(f'<line x1="{x1:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
    chart.text((chart.at(0.0, 0.0)[0] + chart.at(1.0, 0.0)[0]) / 2, chart.height - 8, "Dice", "middle", INK)


def _crop(chart: Chart, line: Line, crop: Crop, height: float) -> None:
    mean = line.summaries[crop].dice
    for patient, dice in line.dice(crop).items():
        chart.dot(dice, height, f"{line.label}, {patient}, {crop}: {dice:.3f}", _COLOURS[crop])
    x, y = chart.at(mean, height)
    chart.marks.append(
        f'<rect x="{x - 1.5:.1f}" y="{y - _MEAN}" width="3" height="{2 * _MEAN}" fill="{INK}">'
        f"<title>{escape(line.label)}, {crop}: mean {mean:.3f}</title></rect>"
    )
