"""A cohort of single lesions of two kinds that only their texture tells apart; the kind is each patient's class."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.phantom.cohort_folder import claim, write_text
from petctfusion.phantom.cohort_making import CT_FILE, PET_FILE, TRUTH_FILE, Cohort, Report, make_members, seed_of
from petctfusion.phantom.textures import KINDS, TexturedLesion, make_textured, wanted_of
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.writing import write_volume

CONTOUR_FILE = "CONTOUR.nii.gz"
# Of every ten pairs in turn: the classifier's test needs the most.
_SPLITS = ("train", "test", "tune", "train", "test", "train", "train", "tune", "test", "train")
_MOST_DRAWS = 20


@dataclass(frozen=True)
class TextureMember:
    """One lesion to be made; its class is the place of its kind in `textures.KINDS`."""

    number: int
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"lesion_{self.number:03d}"

    @property
    def person(self) -> str:
        """Every lesion is another person's."""
        return self.name

    @property
    def split(self) -> str:
        """Train, tune or test, with as many of each kind."""
        return _SPLITS[self.number // len(KINDS) % len(_SPLITS)]

    @property
    def lesion_class(self) -> int:
        """In turn."""
        return self.number % len(KINDS)

    @property
    def negative(self) -> bool:
        """All have a lesion."""
        return False


def plan_textures(count: int, seed: int) -> list[TextureMember]:
    """A larger `count` adds to a cohort. Raises `BadInputError` for numbers that make none."""
    if count < 1 or seed < 0:
        raise BadInputError(f"{count} phantoms of seed {seed} cannot be made.", "Give 1 or more, from 0.")
    return [TextureMember(number, seed_of(f"{seed}:texture:{number}")) for number in range(count)]


def make_texture_cohort(
    folder: Path, count: int, seed: int = 0, jobs: int = 1, report: Report = lambda *_: None
) -> Cohort:
    """Make what is missing of the cohort in `folder`, as `cohort.make_cohort` does, with its table.

    Raises `BadInputError` for a folder with another cohort, and when none could be made; `OutputError`.
    """
    members = plan_textures(count, seed)
    claim(folder, {"simulated": True, "textures": list(KINDS), "seed": seed})
    return make_members(folder, members, _make, _table, jobs, report, "Choose another seed.")


def _make(member: TextureMember, work: Path) -> None:
    lesion = _first_possible(member)
    write_volume(lesion.ct, work / CT_FILE)
    write_volume(lesion.pet, work / PET_FILE)
    write_volume(lesion.contour, work / CONTOUR_FILE)
    volume_ml = np.count_nonzero(sitk.GetArrayViewFromImage(lesion.contour)) * Geometry.of(lesion.contour).voxel_ml
    truth = {
        "simulated": True,
        "pet_units": "SUVbw",
        "kind": lesion.kind,
        "split": member.split,
        "seed": member.seed,
        "volume_ml": float(volume_ml),
        "mean_suv": lesion.wanted.mean_suv,
        "highest_suv": lesion.wanted.highest_suv,
        "settings": lesion.wanted.settings.to_json(),
    }
    write_text(work / TRUTH_FILE, json.dumps(truth, indent=2) + "\n")


def _first_possible(member: TextureMember) -> TexturedLesion:
    """Not every size can have every uptake; what is passed over is so for both kinds alike."""
    for draw in range(_MOST_DRAWS):
        with contextlib.suppress(BadInputError):
            return make_textured(wanted_of(member.seed + draw), KINDS[member.lesion_class])
    raise BadInputError(f"{member.name} found no lesion that can have its uptake.", "Choose another seed.")


def _table(members: list[TextureMember]) -> str:
    lines = ["patient,split,class,CT,PET,contour"]
    for one in members:
        files = ",".join(f"{one.name}/{file}" for file in (CT_FILE, PET_FILE, CONTOUR_FILE))
        lines.append(f"{one.person},{one.split},{one.lesion_class},{files}")
    return "\n".join(lines) + "\n"
