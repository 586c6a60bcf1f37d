"""Finished rows of the IGTV experiment as files, one a training and seed, and put together for tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from petctfusion.errors import BadInputError
from petctfusion.training.benchmark.files import write_json
from petctfusion.training.benchmark.igtv_run import IgtvRow

FORMAT = 1


@dataclass(frozen=True)
class IgtvResult:
    """One training, or a rule without one (`seed` None), on the test phantoms.

    `training`: recipe, steps and seconds, weights, and what it began with, as plain values. `cohorts`: the cards of the
    cohorts. `origin`: command, commit, machine.
    """

    name: str
    title: str
    seed: int | None
    cohorts: tuple[dict[str, Any], ...]
    origin: dict[str, Any]
    training: dict[str, Any]
    rows: tuple[IgtvRow, ...]

    @property
    def file_name(self) -> str:
        """The same for the same training."""
        return result_name(self.name, self.seed)

    @property
    def measured_on(self) -> tuple[tuple[str, str], ...]:
        """Anatomy and name of every phantom."""
        return tuple((row.anatomy, row.patient) for row in self.rows)


def result_name(name: str, seed: int | None) -> str:
    """Of the file."""
    return f"{name}.json" if seed is None else f"{name}-seed{seed}.json"


def write_result(result: IgtvResult, folder: Path) -> Path:
    """Whole or not at all. Raises `OutputError`."""
    path = folder / result.file_name
    values = {**asdict(result), "rows": [row.to_json() for row in result.rows]}
    write_json({"format": FORMAT, "simulated": True, **values}, path)
    return path


def read_results(folder: Path, order: Sequence[str]) -> tuple[list[IgtvResult], list[str]]:
    """All that are of one cohort, in this order and by seed; and a sentence on each that was left out.

    Raises `BadInputError` for a file that is damaged, or where there is none.
    """
    found = [_read(path) for path in sorted(folder.glob("*.json"))]
    if not found:
        raise BadInputError(f"{folder} holds no result.", "Run petctfusion benchmark igtv without --table first.")
    most = Counter(result.measured_on for result in found).most_common(1)[0][0]
    kept = [result for result in found if result.measured_on == most]
    left = [f"{one.file_name} was measured on other phantoms than most." for one in found if one.measured_on != most]
    place = {name: number for number, name in enumerate(order)}
    return sorted(kept, key=lambda one: (place.get(one.name, len(place)), one.seed or 0)), left


def _read(path: Path) -> IgtvResult:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError("it is of another version")
        own = {f.name: values[f.name] for f in fields(IgtvResult)}
        own["rows"] = tuple(IgtvRow.from_json(row) for row in values["rows"])
        own["cohorts"] = tuple(values["cohorts"])
        return IgtvResult(**own)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{path} is no result of this benchmark ({error}).", "Delete it and run again.") from error
