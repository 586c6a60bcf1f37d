"""Any cohort of phantoms: members made side by side, each whole or told why not, then the table of those there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from petctfusion.errors import BadInputError, FusionError, OutputError
from petctfusion.parallel import outcomes
from petctfusion.phantom.cohort_folder import complete, write_text

TABLE = "cohort.csv"
CT_FILE, PET_FILE, TRUTH_FILE = "CT.nii.gz", "PET.nii.gz", "phantom.json"
Report = Callable[[int, int], None]


class AnyMember(Protocol):
    """What a cohort tells of a phantom, whatever it is made from."""

    @property
    def name(self) -> str:
        """Name of its folder."""

    @property
    def person(self) -> str:
        """Whose it is."""

    @property
    def split(self) -> str:
        """Train, tune or test."""

    @property
    def negative(self) -> bool:
        """Whether it has no lesion."""


@dataclass(frozen=True)
class Made:
    """A phantom that is there, complete; `reused` says that it was before."""

    member: AnyMember
    reused: bool


@dataclass(frozen=True)
class Skipped:
    """A phantom that could not be made, and why."""

    member: AnyMember
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.member.name}: {self.message} {self.hint}".rstrip()


@dataclass(frozen=True)
class Cohort:
    """What became of it; `table` lists the phantoms that are there."""

    table: Path
    made: tuple[Made, ...]
    skipped: tuple[Skipped, ...]

    @property
    def lines(self) -> list[str]:
        """Counts by part of the split."""
        parts = []
        for split in ("train", "tune", "test"):
            own = [one.member for one in self.made if one.member.split == split]
            persons = len({one.person for one in own})
            negative = sum(one.negative for one in own)
            parts.append(f"{split}: {len(own)} phantoms of {persons} persons, {negative} without lesions")
        reused = sum(one.reused for one in self.made)
        return [*parts, f"{reused} of them were there before, {len(self.skipped)} could not be made"]


_Member = TypeVar("_Member", bound=AnyMember)
_Task = tuple[Callable[[_Member, Path], None], _Member, Path]


def make_members(
    folder: Path,
    members: Sequence[_Member],
    make: Callable[[_Member, Path], None],
    table: Callable[[list[_Member]], str],
    jobs: int,
    report: Report,
    hint: str,
) -> Cohort:
    """Make what is missing in `folder`, `jobs` at a time, and write the `table` of all that are there.

    `make` fills a member's folder and must be picklable. Raises `BadInputError`, with `hint`, when none could be made;
    `OutputError` when the disk refuses.
    """
    found = outcomes(_outcome, [(make, member, folder) for member in members], jobs, _died, report)
    made = tuple(one for one in found if isinstance(one, Made))
    skipped = tuple(one for one in found if isinstance(one, Skipped))
    if not made:
        raise BadInputError(f"None of the phantoms could be made. {skipped[0]}", hint)
    there = {one.member.name for one in made}
    write_text(folder / TABLE, table([member for member in members if member.name in there]))
    return Cohort(folder / TABLE, made, skipped)


def seed_of(description: str) -> int:
    """A member's own seed: of what tells it from all others, so that a larger cohort has the same members."""
    return int.from_bytes(hashlib.sha256(description.encode()).digest()[:4], "big") >> 1


def _outcome(task: _Task[_Member]) -> Made | Skipped:
    """One phantom, in a process of its own or in this one."""
    make, member, folder = task
    try:
        return Made(member, complete(folder / member.name, lambda work: make(member, work)))
    except OutputError:
        raise
    except FusionError as error:
        return Skipped(member, error.message, error.hint)


def _died(task: _Task[_Member]) -> Made | Skipped:
    return Skipped(
        task[1],
        "The process that made it was ended from outside, or crashed.",
        "If memory is short, make fewer at a time: --jobs 1.",
    )
