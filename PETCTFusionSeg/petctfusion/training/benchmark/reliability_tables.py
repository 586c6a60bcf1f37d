"""The table and the figure of `petctfusion benchmark reliability`, from its JSON alone."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from petctfusion.evaluation.drawing import BLUE, ORANGE, Axis, Chart
from petctfusion.training.benchmark.summary import number


def reliability_table(found: Sequence[dict[str, Any]]) -> str:
    """Markdown: a line per model; ECE near the contours and everywhere, before and after; where the errors are."""
    near_mm = found[0]["near_mm"] if found else 0
    lines = [
        f"| model | temperature | ECE within {near_mm:g} mm: before | after | ECE everywhere: before | after "
        "| errors in the 5 % least sure: everywhere | within | within, one pass | within, members |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for model in found:
        near, whole = model["near"], model["everywhere"]
        shares = [_mean(model, key) for key in ("share", "share_near", "single_share_near", "members_share_near")]
        lines.append(
            f"| {model['model']} | {model['temperature']:.2f} | {near['ece']:.3f} | {near['ece_tempered']:.3f} "
            f"| {whole['ece']:.4f} | {whole['ece_tempered']:.4f} | "
            + " | ".join(number(share, 2) for share in shares)
            + " |"
        )
    return "\n".join(lines)


def study_table(model: dict[str, Any]) -> str:
    """Markdown: every patient and crop of one model."""
    lines = [
        "| patient | crop | ECE near | tempered | wrong (ml) | share everywhere | near | one pass | members |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    keys = ("share", "share_near", "single_share_near", "members_share_near")
    lines += [
        f"| {s['patient']} | {s['crop']} | {number(s['ece_near'], 3)} | {number(s['ece_near_tempered'], 3)} "
        f"| {s['error_ml']:.0f} | " + " | ".join(number(s[key], 2) for key in keys) + " |"
        for s in model["studies"]
    ]
    return "\n".join(lines)


def reliability_diagram(model: dict[str, Any]) -> str:
    """SVG: share of tumour against probability near the contours, before (orange) and after (blue) the temperature."""
    title = f"{model['model']}; blue: temperature {model['temperature']:.2f}"
    chart = Chart(title, Axis(0.0, 1.0), Axis(0.0, 1.0), width=480, height=360)
    chart.axes("probability", "share of tumour")
    chart.line([(0.0, 0.0), (1.0, 1.0)], "#AAAAAA")
    for key, colour in (("diagram", ORANGE), ("diagram_tempered", BLUE)):
        points = [(point["probability"], point["tumour"]) for point in model["near"][key]]
        chart.line(points, colour)
        for point in model["near"][key]:
            chart.dot(point["probability"], point["tumour"], f"{point['voxels']} voxels", colour)
    return chart.svg()


def _mean(model: dict[str, Any], key: str) -> float | None:
    values = [study[key] for study in model["studies"] if study[key] is not None]
    return fmean(values) if values else None
