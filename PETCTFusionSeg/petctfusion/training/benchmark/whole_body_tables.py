"""The tables of the whole-body benchmark: means by method, and whose uptake was wrongly marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from petctfusion.metrics.matching import f1_score
from petctfusion.training.benchmark.whole_body import PLACES, BodyRow


@dataclass(frozen=True)
class BodySummary:
    """One method. Dice, F1, sensitivity, FPV and FNV are means over the bodies with lesions; None without any.

    `pooled_f1` counts all lesions of all bodies as one. `negative_fpv_ml` is the mean over the bodies without lesions,
    `clean_negatives` of which have nothing marked.
    """

    method: str
    bodies: int
    negatives: int
    lesions: int
    dice: float | None
    lesion_f1: float | None
    pooled_f1: float
    sensitivity: float | None
    fpv_ml: float | None
    fnv_ml: float | None
    negative_fpv_ml: float | None
    clean_negatives: int
    wrong_ml: dict[str, float]
    seconds: float


def summarise_bodies(rows: Sequence[BodyRow]) -> list[BodySummary]:
    """One line a method, in order of first appearance."""
    methods = dict.fromkeys(row.method for row in rows)
    return [_summary(method, [row for row in rows if row.method == method]) for method in methods]


def _summary(method: str, rows: list[BodyRow]) -> BodySummary:
    positive, negative = ([row for row in rows if row.is_negative == side] for side in (False, True))
    tp, fp, fn = (sum(getattr(row, name) for row in rows) for name in ("tp", "fp", "fn"))
    return BodySummary(
        method=method,
        bodies=len(rows),
        negatives=len(negative),
        lesions=tp + fn,
        dice=_mean(positive, lambda row: row.dice),
        lesion_f1=_mean(positive, lambda row: row.lesion_f1),
        pooled_f1=f1_score(tp, fp, fn),
        sensitivity=_mean(positive, lambda row: row.tp / (row.tp + row.fn)),
        fpv_ml=_mean(positive, lambda row: row.fpv_ml),
        fnv_ml=_mean(positive, lambda row: row.fnv_ml),
        negative_fpv_ml=_mean(negative, lambda row: row.fpv_ml),
        clean_negatives=sum(row.volume_ml == 0 for row in negative),
        wrong_ml={place: float(np.mean([row.wrong_ml[place] for row in rows])) for place in PLACES},
        seconds=float(np.mean([row.seconds for row in rows])),
    )


def summary_table(summaries: Sequence[BodySummary]) -> str:
    """Markdown: how the methods find lesions."""
    lines = [
        "| method | bodies | lesions | Dice | lesion F1 | pooled F1 | sensitivity | FPV (ml) | FNV (ml) "
        "| negatives: FPV (ml) | nothing marked | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for s in summaries:
        numbers = [_cell(s.dice, 3), _cell(s.lesion_f1, 3), _cell(s.pooled_f1, 3), _cell(s.sensitivity, 3)]
        numbers += [_cell(s.fpv_ml, 1), _cell(s.fnv_ml, 1), _cell(s.negative_fpv_ml, 1)]
        lines.append(
            f"| {s.method} | {s.bodies} | {s.lesions} | {' | '.join(numbers)} | {s.clean_negatives} of {s.negatives} "
            f"| {s.seconds:.1f} |"
        )
    return "\n".join(lines)


def organ_table(summaries: Sequence[BodySummary]) -> str:
    """Markdown: mean ml a body marked outside the lesions, by whose uptake it is."""
    lines = [
        "| wrongly marked (ml a body) | " + " | ".join(s.method for s in summaries) + " |",
        "|---|" + "---|" * len(summaries),
    ]
    cells = {place: [s.wrong_ml[place] for s in summaries] for place in PLACES}
    cells["all"] = [sum(s.wrong_ml.values()) for s in summaries]
    lines += [f"| {place} | {' | '.join(f'{ml:.2f}' for ml in row)} |" for place, row in cells.items()]
    return "\n".join(lines)


def body_table(rows: Sequence[BodyRow], method: str) -> str:
    """Markdown: every body of one method."""
    lines = [
        "| body | lesions | lesions (ml) | Dice | TP | FP | FN | FPV (ml) | FNV (ml) | most wrongly marked |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.method == method:
            place, ml = max(row.wrong_ml.items(), key=lambda item: item[1])
            overlap = "-" if row.is_negative else f"{row.dice:.3f}"
            lines.append(
                f"| {row.patient} | {row.tp + row.fn} | {row.reference_volume_ml:.1f} | {overlap} "
                f"| {row.tp} | {row.fp} | {row.fn} | {row.fpv_ml:.1f} | {row.fnv_ml:.1f} "
                f"| {f'{place} {ml:.1f}' if ml else '-'} |"
            )
    return "\n".join(lines)


def bodies_document(rows: Sequence[BodyRow], provenance: dict[str, Any]) -> dict[str, Any]:
    """Rows, means and where they came from, as plain values."""
    summary = [asdict(one) for one in summarise_bodies(rows)]
    return {**provenance, "simulated": True, "summary": summary, "rows": [row.to_json() for row in rows]}


def _mean(rows: list[BodyRow], value: Callable[[BodyRow], float]) -> float | None:
    return float(np.mean([value(row) for row in rows])) if rows else None


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
