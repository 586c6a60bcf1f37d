"""One finished run of the benchmark: what was measured, and all that is needed to measure it again, as one JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from petctfusion.errors import BadInputError
from petctfusion.training.benchmark.files import write_json
from petctfusion.training.benchmark.row import Row
from petctfusion.training.benchmark.summary import summarise
from petctfusion.training.benchmark.system import Facts
from petctfusion.training.datasets.sts import CROPS

FORMAT = 1


@dataclass(frozen=True)
class Data:
    """What was measured on: the kind of data set, the part of its split, and the patients in order."""

    kind: str
    split: str
    patients: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """Which code on which machine made a run, when."""

    command: str
    commit: str | None
    date: str
    device: str
    processor: str
    threads: int
    software: dict[str, str]


@dataclass(frozen=True)
class Run:
    """`system`: its name in the benchmark. `budget` and `seed`: of the training, "" and None where there was none."""

    system: str
    title: str
    budget: str
    seed: int | None
    data: Data
    origin: Origin
    facts: Facts
    rows: tuple[Row, ...]

    @property
    def file_name(self) -> str:
        """The same for the same wish: a run that has its file is not made again."""
        return run_file_name(self.system, self.budget, self.seed, self.data.split)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods of its rows, in order."""
        return tuple(dict.fromkeys(row.method for row in self.rows))

    def to_json(self) -> dict[str, Any]:
        """Plain values; the means are for people and are not read back."""
        return {
            "format": FORMAT,
            **{f.name: getattr(self, f.name) for f in fields(self) if f.name in ("system", "title", "budget", "seed")},
            "data": asdict(self.data),
            "origin": asdict(self.origin),
            "facts": asdict(self.facts),
            "means": [asdict(summary) for summary in summarise(self.rows)],
            "rows": [row.to_json() for row in self.rows],
        }

    @classmethod
    def from_json(cls, values: Any) -> Run:
        """What `to_json` gave. Raises `ValueError` that says what is wrong."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise ValueError("it is no result of this benchmark")
        try:
            data = Data(**{**values["data"], "patients": tuple(values["data"]["patients"])})
            window = values["facts"]["window"]
            facts = Facts(**{**values["facts"], "window": None if window is None else tuple(window)})
            origin = Origin(**values["origin"])
            rows = tuple(Row.from_json(row) for row in values["rows"])
            run = cls(values["system"], values["title"], values["budget"], values["seed"], data, origin, facts, rows)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"an entry is missing or of another kind ({error})") from error
        require_whole(run.rows, data.patients)
        return run


def run_file_name(system: str, budget: str, seed: int | None, split: str) -> str:
    """The file of a run in the results folder."""
    parts = [system, budget, "" if seed is None else f"seed{seed}", split]
    return "-".join(part for part in parts if part) + ".json"


def require_whole(rows: Iterable[Row], patients: Collection[str]) -> None:
    """Every method has every patient once in either crop. Raises `ValueError` that names what is missing."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        found.setdefault(row.method, []).append((row.patient, row.crop))
    if not found or not patients:
        raise ValueError("it holds no row")
    wanted = {(patient, crop) for patient in patients for crop in CROPS}
    for method, pairs in found.items():
        missing = sorted(wanted - set(pairs))
        if missing:
            patient, crop = missing[0]
            raise ValueError(f"{method} lacks {len(missing)} of {len(wanted)} rows, {patient} {crop} the first")
        if len(pairs) != len(wanted):
            raise ValueError(f"{method} has rows twice or of other patients")


def write_run(run: Run, folder: Path) -> Path:
    """Writes the run's file whole or not at all. Raises `OutputError`."""
    path = folder / run.file_name
    write_json(run.to_json(), path)
    return path


def read_run(path: Path) -> Run:
    """The run in a file. Raises `BadInputError` naming the file and what is wrong with it."""
    try:
        return Run.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} cannot be used: {error}.", "Measure it again with --again.") from error
