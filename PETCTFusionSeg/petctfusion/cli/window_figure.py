"""The figure of `petctfusion models windows`: a chart per modality, a lane per window."""

from __future__ import annotations

from collections.abc import Sequence

from petctfusion.evaluation.drawing import BLUE, GRID, INK, ORANGE, Axis, Chart, around, stacked
from petctfusion.networks.window_shift import WindowShift

_LANE = 46
_THICK = 11
# Start above the middle of its lane, learned below: told apart without colour too.
_STARTED, _LEARNED = -0.17, 0.17


def window_figure(shifts: Sequence[WindowShift], name: str) -> str:
    """SVG: every window from its lower to its upper end, before and after."""
    kinds = dict.fromkeys(shift.modality for shift in shifts)
    charts = [_chart([shift for shift in shifts if shift.modality == kind], name) for kind in kinds]
    return stacked(f"Windows of {name} before and after training", charts)


def _chart(shifts: list[WindowShift], name: str) -> Chart:
    ends = [end for shift in shifts for window in (shift.start, shift.learned) for end in _ends(window)]
    count, first = len(shifts), shifts[0]
    chart = Chart(
        f"{name}, {first.modality}: windows at the start (orange, above) and learned (blue, below)",
        around(ends),
        Axis(float(count), 0.0),
        height=_LANE * count + 84,
        left=130,
    )
    base = chart.at(chart.x.low, float(count))[1]
    for value in chart.x.ticks(8):
        x = chart.at(value, 0.0)[0]
        chart.marks.append(f'<line x1="{x:.1f}" y1="{chart.top}" x2="{x:.1f}" y2="{base:.1f}" stroke="{GRID}"/>')
        chart.text(x, base + 17, f"{value:g}".replace("-", "−"), "middle")
    chart.text((chart.left + chart.width - chart.right) / 2, chart.height - 8, first.unit, "middle", INK)
    for lane, shift in enumerate(shifts):
        _bar(chart, shift.start, lane + 0.5 + _STARTED, ORANGE)
        _bar(chart, shift.learned, lane + 0.5 + _LEARNED, BLUE)
    return chart


def _bar(chart: Chart, window: tuple[float, float], height: float, colour: str) -> None:
    """From the lower to the upper end, a mark at the level; level and width before it."""
    low, high = _ends(window)
    (x1, y), (x2, _) = chart.at(low, height), chart.at(high, height)
    middle = chart.at(window[0], height)[0]
    chart.marks.append(
        f'<rect x="{x1:.1f}" y="{y - _THICK / 2:.1f}" width="{x2 - x1:.1f}" height="{_THICK}" fill="{colour}" '
        'fill-opacity="0.75"/>'
        f'<rect x="{middle - 1:.1f}" y="{y - _THICK / 2 - 2:.1f}" width="2" height="{_THICK + 4}" fill="{INK}"/>'
    )
    words = " / ".join(f"{value:.4g}".replace("-", "−") for value in window)
    chart.text(chart.left - 10, y + 4, words, "end", colour)


def _ends(window: tuple[float, float]) -> tuple[float, float]:
    level, width = window
    return level - width / 2, level + width / 2
