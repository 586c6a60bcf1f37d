"""The finished runs in a folder: those of one data set and split, and why the others are left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from petctfusion.errors import BadInputError
from petctfusion.training.benchmark.run import Data, Run, read_run


@dataclass(frozen=True)
class LeftOut:
    """A file that is in no table, and why, in one sentence."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Runs:
    """Runs measured on the same `data`, in the order of their file names; `left_out` names every other file."""

    data: Data
    runs: tuple[Run, ...]
    left_out: tuple[LeftOut, ...]


def finished_runs(folder: Path, split: str) -> tuple[list[tuple[Path, Run]], list[LeftOut]]:
    """Every run of `split` in `folder`, in the order of the file names, and the files that cannot be read."""
    found: list[tuple[Path, Run]] = []
    left_out = []
    for path in sorted(folder.glob("*.json")):
        try:
            run = read_run(path)
        except BadInputError as error:
            left_out.append(LeftOut(path, error.message.replace(str(path), path.name)))
            continue
        if run.data.split == split:
            found.append((path, run))
    return found, left_out


def read_runs(folder: Path, split: str) -> Runs:
    """The runs of `split` in `folder` (`*.json`). The data set is the one that most of them were measured on.

    Raises `BadInputError` when there is none.
    """
    found, left_out = finished_runs(folder, split)
    if not found:
        told = "".join(f" {one.reason}" for one in left_out)
        raise BadInputError(
            f"{folder} holds no run on the {split} patients.{told}",
            "Make one: petctfusion benchmark networks --data FOLDER --system baselines.",
        )
    data = Counter(run.data for _, run in found).most_common(1)[0][0]
    for path, run in found:
        if run.data != data:
            left_out.append(LeftOut(path, f"{path.name} was measured on other patients than most runs."))
    return Runs(data, tuple(run for _, run in found if run.data == data), tuple(left_out))
