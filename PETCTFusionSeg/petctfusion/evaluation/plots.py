"""The pictures of a report: Bland-Altman of the volumes, the histogram of Dice, Dice along the slices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from petctfusion.evaluation.case import Evaluation
from petctfusion.evaluation.drawing import BLUE, Axis, Chart, around
from petctfusion.evaluation.statistics import Summary, bland_altman

MOST_CURVES = 12
_FAINT = "#E8DCCB"
_LOGARITHMIC = 30.0  # largest over smallest volume from which on a linear axis crowds the small ones


def volume_agreement(evaluations: Sequence[Evaluation]) -> str:
    """Bland-Altman plot of the volumes in ml, prediction minus reference; "" without a patient."""
    pairs = [(e.comparison.volume_ml, e.comparison.reference_volume_ml) for e in evaluations]
    found = bland_altman(*zip(*pairs, strict=True)) if pairs else None
    if found is None:
        return ""
    smallest, largest = min(found.means), max(found.means)
    logarithmic = smallest > 0 and largest / smallest > _LOGARITHMIC
    levels = [v for v in (found.lower, found.upper) if v is not None]
    chart = Chart(
        "Volume: prediction minus reference (Bland-Altman)",
        around(found.means, logarithmic),
        around([*found.differences, 0.0, found.bias, *levels], room=0.12),
    )
    chart.axes(f"mean of both volumes (ml{', logarithmic' if logarithmic else ''})", "difference (ml)")
    chart.level(found.bias, f"mean {_signed(found.bias)} ml", dashed=False)
    for limit in levels:
        lower = limit == found.lower
        chart.level(limit, f"mean {'−' if lower else '+'} 1.96 SD: {_signed(limit)} ml", dashed=True, below=lower)
    for e, mean, difference in zip(evaluations, found.means, found.differences, strict=True):
        chart.dot(mean, difference, f"{e.patient}: {_signed(difference)} ml at {mean:.1f} ml")
    return chart.svg()


def dice_histogram(evaluations: Sequence[Evaluation], summary: Summary) -> str:
    """How many patients have which Dice, with mean and median; "" without a patient."""
    values = [e.comparison.dice for e in evaluations]
    if not values or summary.mean is None or summary.median is None:
        return ""
    bins = 20 if len(values) >= 40 else 10
    counts, edges = np.histogram(values, bins=bins, range=(0.0, 1.0))
    chart = Chart("Dice of the patients", Axis(0.0, 1.0), Axis(0.0, float(counts.max()) * 1.18))
    chart.axes("Dice", "patients")
    for count, low, high in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            chart.bar(low, high, count, f"{count} of Dice {low:.2f} to {high:.2f}")
    mean_first = summary.mean <= summary.median
    chart.upright(summary.mean, f"mean {summary.mean:.3f}", False, "end" if mean_first else "start")
    chart.upright(summary.median, f"median {summary.median:.3f}", True, "start" if mean_first else "end")
    return chart.svg()


def slice_curves(evaluations: Sequence[Evaluation]) -> list[str]:
    """Dice along the slices of the patients with the lowest Dice, at most `MOST_CURVES`, worst first."""
    drawn = [e for e in sorted(evaluations, key=lambda e: e.comparison.dice) if e.comparison.slices.occupied.size]
    return [_curve(e) for e in drawn[:MOST_CURVES]]


def _curve(evaluation: Evaluation) -> str:
    """The line is Dice; the surface behind it the reference's area, as a share of its largest."""
    curve = evaluation.comparison.slices
    where = np.arange(curve.occupied[0], curve.occupied[-1] + 1)
    position = curve.position_mm[where].tolist()
    low, high = min(position), max(position)
    room = max(0.03 * (high - low), 1.0)
    chart = Chart(
        f"{evaluation.patient}: Dice {evaluation.comparison.dice:.3f}",
        Axis(low - room, high + room),
        Axis(0.0, 1.0),
        width=400,
        height=210,
        left=54,
    )
    area = curve.reference_area_mm2[where]
    if area.max() > 0:
        chart.area(list(zip(position, (area / area.max()).tolist(), strict=True)), _FAINT)
    chart.axes("from the first slice (mm)", "Dice")
    for piece in _pieces(position, curve.dice[where].tolist()):
        chart.line(piece, BLUE)
    return chart.svg()


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def _pieces(x: Sequence[float], y: Sequence[float]) -> list[list[tuple[float, float]]]:
    """The runs of points whose `y` is a number: slices in which neither mask is have no Dice."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for point in zip(x, y, strict=True):
        if math.isnan(point[1]):
            pieces.append([])
        else:
            pieces[-1].append(point)
    return [piece for piece in pieces if piece]
