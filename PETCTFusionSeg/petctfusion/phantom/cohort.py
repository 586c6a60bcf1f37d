"""A cohort of whole-body phantoms around real organ maps, split by person, in a layout that can be trained on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from petctfusion.errors import BadInputError
from petctfusion.phantom.cohort_folder import claim, table_text, write_text
from petctfusion.phantom.cohort_making import CT_FILE, PET_FILE, TRUTH_FILE, Cohort, Report, make_members, seed_of
from petctfusion.phantom.organ_names import organs_on
from petctfusion.phantom.organs import read_organs
from petctfusion.phantom.persons import draw_person, stretched
from petctfusion.phantom.phantom import describe, make_phantom
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.writing import SUFFIXES, write_volume

CONTOUR_FILE, ORGANS_FILE = "LESIONS.nii.gz", "ORGANS.nii.gz"
_TEST_SHARE, _TUNE_SHARE = 6 / 32, 4 / 32


@dataclass(frozen=True)
class CohortSettings:
    """What decides a cohort beside its maps; a larger `count` adds to a cohort and changes none of its members.

    `negatives` is the share without lesions, in every part of the split; `spacing_mm` that of CT and PET, in every
    direction; truth is drawn on `fine_mm`.
    """

    count: int
    seed: int = 0
    negatives: float = 0.25
    spacing_mm: float = 4.0
    fine_mm: float = 3.5

    def __post_init__(self) -> None:
        if not 0 <= self.negatives <= 1:
            raise BadInputError(f"A share of {self.negatives:g} negatives is none.", "Give a number from 0 to 1.")
        if self.seed < 0:
            raise BadInputError(f"The seed is {self.seed}.", "Give 0 or more.")


@dataclass(frozen=True)
class Member:
    """One phantom to be made: the person (name of the map), which of the person's phantoms, part of the split, seed."""

    person: str
    number: int
    map: Path
    split: str
    seed: int
    negative: bool

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.person}_{self.number:02d}"


def split_of_maps(maps: list[Path]) -> dict[Path, str]:
    """Train, tune or test for each map: of the maps in the order of their names, 3 in 16 are for the test and 2 in 16
    for tuning, spread evenly (22, 4 and 6 of 32). Raises `BadInputError` for fewer than three."""
    if len(maps) < 3:
        raise BadInputError(
            f"{len(maps)} organ maps cannot be split into training, tuning and test persons.", "Give at least three."
        )
    ordered = sorted(maps, key=lambda path: path.name)
    test = _spread(ordered, _TEST_SHARE)
    tune = _spread([one for one in ordered if one not in test], _TUNE_SHARE * len(ordered) / (len(ordered) - len(test)))
    return {one: "test" if one in test else "tune" if one in tune else "train" for one in ordered}


def plan_cohort(maps: list[Path], settings: CohortSettings) -> list[Member]:
    """Phantoms dealt to the maps in rounds, training maps first in each. Raises `BadInputError` for fewer phantoms than
    maps."""
    splits = split_of_maps(maps)
    if settings.count < len(splits):
        raise BadInputError(
            f"{settings.count} phantoms are too few for {len(splits)} organ maps.", "Give one a map at least."
        )
    rounds = [path for part in ("train", "tune", "test") for path in splits if splits[path] == part]
    dealt = dict.fromkeys(splits.values(), 0)
    members = []
    for position in range(settings.count):
        path, number = rounds[position % len(rounds)], position // len(rounds)
        split = splits[path]
        before, dealt[split] = dealt[split], dealt[split] + 1
        negative = int(dealt[split] * settings.negatives) > int(before * settings.negatives)
        person = map_name(path)
        seed = seed_of(f"{settings.seed}:{person}:{number}")
        members.append(Member(person, number, path, split, seed, negative))
    return members


def make_cohort(
    maps_folder: Path, folder: Path, settings: CohortSettings, jobs: int = 1, report: Report = lambda *_: None
) -> Cohort:
    """Make what is missing of the cohort in `folder`, `jobs` at a time; every phantom appears complete or not at all.

    Equal maps and settings give equal voxels, whatever `jobs`. A map that cannot be used is named, and its phantoms are
    left out. The table is written at the end. Raises `BadInputError` for maps that cannot be split, two copies of one,
    a folder with another cohort, and when none could be made; `OutputError` when the disk refuses.
    """
    maps = find_maps(maps_folder)
    members = plan_cohort(maps, settings)
    claim(folder, _card(maps, settings))
    return make_members(folder, members, partial(_make, settings), _table, jobs, report, "Give other organ maps.")


def find_maps(folder: Path) -> list[Path]:
    """The volumes in `folder`, by name. Raises `BadInputError` when there are none."""
    if not folder.is_dir():
        raise BadInputError(f"{folder} is not a folder.", "Give the folder with the organ maps.")
    maps = sorted(path for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES))
    if not maps:
        raise BadInputError(f"{folder} holds no organ map.", f"They are files ending in {', '.join(SUFFIXES)}.")
    return maps


def map_name(path: Path) -> str:
    """The person's name: the file's without its ending."""
    lower = path.name.lower()
    return path.name[: -len(next(suffix for suffix in SUFFIXES if lower.endswith(suffix)))]


def _make(cohort: CohortSettings, member: Member, work: Path) -> None:
    organs = stretched(read_organs(member.map), member.seed)
    phantom = make_phantom(draw_person(organs, member.seed, member.negative, cohort.spacing_mm, cohort.fine_mm))
    write_volume(phantom.ct, work / CT_FILE)
    write_volume(phantom.pet, work / PET_FILE)
    write_volume(phantom.reference, work / CONTOUR_FILE)
    write_volume(organs_on(Geometry.of(phantom.ct), organs, phantom.organs), work / ORGANS_FILE)
    truth = {**describe(phantom), "person": member.person, "split": member.split, "negative": member.negative}
    write_text(work / TRUTH_FILE, json.dumps(truth, indent=2) + "\n")


def _spread(items: list[Path], share: float) -> set[Path]:
    """About this share of the items, one at least, evenly spread."""
    count = max(1, round(share * len(items)))
    return {items[int((k + 0.5) * len(items) / count)] for k in range(count)}


def _card(maps: list[Path], settings: CohortSettings) -> dict[str, Any]:
    """What must be equal for a cohort to be continued. Raises `BadInputError` when two maps are the same person."""
    first: dict[str, str] = {}
    for path in maps:
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise BadInputError(f"{path} cannot be read: {error.strerror or error}.", "Check the file.") from error
        if digest in first:
            raise BadInputError(f"{path.name} is a copy of {first[digest]}.", "Keep one of the two.")
        first[digest] = path.name
    return {
        "simulated": True,
        "seed": settings.seed,
        "negatives": settings.negatives,
        "spacing_mm": settings.spacing_mm,
        "fine_mm": settings.fine_mm,
        "maps_sha256": {name: digest for digest, name in first.items()},
    }


def _table(members: list[Member]) -> str:
    rows = [(one.person, f"{one.number:02d}", one.split, one.name) for one in members]
    return table_text(rows, (CT_FILE, PET_FILE, CONTOUR_FILE))
