"""One JSON a training of `benchmark classification`, and the table from these alone. No torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from petctfusion.errors import BadInputError
from petctfusion.training.benchmark.classification_scores import Answer, Cut, Interval, Scores, scores_of
from petctfusion.training.benchmark.files import write_json

FORMAT = 1
FEATURE_NAMES = ("volume", "SUVmean", "SUVmax", "SUV SD", "core/rim")


@dataclass(frozen=True)
class Line:
    """One line of the table: a network, a rule or the majority, on the test lesions."""

    title: str
    scores: Scores
    mean_dice: float | None = None


def write_result(path: Path, values: dict[str, Any]) -> None:
    """Whole or not at all. Raises `OutputError`."""
    write_json({"format": FORMAT, "simulated": True, **values}, path)


def read_results(folder: Path) -> list[dict[str, Any]]:
    """By file name. Raises `BadInputError` for a damaged file, or where there is none."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values["format"] != FORMAT or not values["rows"]:
                raise ValueError("it is of another version")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInputError(f"{path} is no result of this benchmark ({error}).", "Delete it, run again.") from error
        found.append(values)
    if not found:
        raise BadInputError(f"{folder} holds no result.", "Run petctfusion benchmark classification without --table.")
    return found


def lines_of(results: Sequence[dict[str, Any]]) -> list[Line]:
    """Every network, then the rules, whose cuts are chosen on the tuning lesions, then the larger class.

    Raises `BadInputError` when the results are of different lesions.
    """
    if len({_measured_on(one) for one in results}) > 1:
        raise BadInputError("The results are of different lesions.", "Measure all on one cohort: --again.")
    lines = [Line(one["title"], scores_of(_said(_rows(one, "test"))), _dice(one)) for one in results]
    tune, test = _rows(results[0], "tune"), _rows(results[0], "test")
    for name in FEATURE_NAMES:
        cut = Cut.best([row["features"][name] for row in tune], [row["lesion_class"] for row in tune])
        answers = [cut.answer(row["features"][name], row["lesion_class"]) for row in test]
        side = "from" if cut.sign > 0 else "up to"
        lines.append(Line(f"rule: rim {side} {name} {cut.threshold:.3g}", scores_of(answers)))
    larger = int(2 * sum(row["lesion_class"] for row in tune) > len(tune))
    lines.append(Line("always the larger class", scores_of([Answer(row["lesion_class"], larger, 0.0) for row in test])))
    return lines


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """The table; the confusion matrix as solid said solid / rim, rim said solid / rim."""
    lines = [
        "| way | lesions | solid: said solid / rim | rim: said solid / rim | none found | accuracy (95 %) | macro-F1 "
        "| AUROC (95 %) | mean Dice |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines_of(results):
        s = line.scores
        (aa, ab), (ba, bb) = s.confusion
        cells = [
            line.title, str(s.lesions), f"{aa} / {ab}", f"{ba} / {bb}", str(sum(s.unanswered)),
            f"{s.accuracy:.3f} {_text(s.accuracy_interval)}", "–" if s.macro_f1 is None else f"{s.macro_f1:.3f}",
            "–" if s.auroc is None else f"{s.auroc:.3f} {_text(s.auroc_interval)}",
            "–" if line.mean_dice is None else f"{line.mean_dice:.3f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _said(rows: list[dict[str, Any]]) -> list[Answer]:
    return [
        Answer(row["lesion_class"], None, 0.5) if row["probability"] is None
        else Answer(row["lesion_class"], int(row["probability"] >= 0.5), row["probability"])
        for row in rows
    ]  # fmt: skip


def _rows(result: dict[str, Any], split: str) -> list[dict[str, Any]]:
    return [row for row in result["rows"] if row["split"] == split]


def _dice(result: dict[str, Any]) -> float:
    return fmean(row["dice"] for row in _rows(result, "test"))


def _measured_on(result: dict[str, Any]) -> tuple[Any, ...]:
    return tuple((row["patient"], row["split"], row["features"]["volume"]) for row in result["rows"])


def _text(interval: Interval | None) -> str:
    return "" if interval is None else f"({interval[0]:.3f} to {interval[1]:.3f})"
