"""A cohort of lung tumours in breathing chests: many at rest with their GTV, few that move with their IGTV."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.phantom.breathing import BreathingPhantom
from petctfusion.phantom.chest_scan import read_chest
from petctfusion.phantom.cohort_folder import claim, table_text, write_text
from petctfusion.phantom.cohort_making import CT_FILE, PET_FILE, TRUTH_FILE, Cohort, Report, make_members, seed_of
from petctfusion.phantom.lung_tumours import LungTumour, breathing_tumour, drawn_around, drawn_person
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.writing import write_volume

CONTOUR_FILE = "CONTOUR.nii.gz"
Kind = Literal["gtv", "igtv"]
KINDS: tuple[Kind, ...] = ("gtv", "igtv")
# Of every ten in turn. Contours of moving tumours are scarce, and their test is what counts.
_SPLITS: dict[Kind, tuple[str, ...]] = {
    "gtv": ("train",) * 9 + ("tune",),
    "igtv": ("train",) * 3 + ("tune",) + ("test",) * 6,
}
SCANNED = "chest"
"""The person of a real scan: all phantoms are of this one, and for the test."""


@dataclass(frozen=True)
class BreathingSettings:
    """What decides a cohort; a larger `count` adds to it. `scan`: a real CT and the mask of its lungs to breathe.

    "gtv": one still CT and PET, and the tumour as it is; "igtv": the mean CT and the PET of all phases, and the union
    of the tumour's places.
    """

    kind: Kind
    count: int
    seed: int = 0
    scan: tuple[Path, Path] | None = None

    def __post_init__(self) -> None:
        if self.count < 1 or self.seed < 0:
            raise BadInputError(f"{self.count} phantoms of seed {self.seed} cannot be made.", "Give 1 or more, from 0.")


@dataclass(frozen=True)
class BreathingMember:
    """One phantom to be made."""

    kind: Kind
    number: int
    seed: int
    scanned: bool

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{SCANNED if self.scanned else self.kind}_{self.number:03d}"

    @property
    def person(self) -> str:
        """Whose it is: the scan's, or another one for every phantom."""
        return SCANNED if self.scanned else self.name

    @property
    def split(self) -> str:
        """Train, tune or test."""
        return "test" if self.scanned else _SPLITS[self.kind][self.number % 10]

    @property
    def negative(self) -> bool:
        """All have a tumour."""
        return False


def plan_breathing(settings: BreathingSettings) -> list[BreathingMember]:
    """No person of one kind is a person of the other, whatever the seeds."""
    members = []
    for number in range(settings.count):
        scanned = settings.scan is not None
        seed = seed_of(f"{settings.seed}:{settings.kind}:{SCANNED if scanned else ''}:{number}")
        members.append(BreathingMember(settings.kind, number, seed, scanned))
    return members


def make_breathing_cohort(
    folder: Path, settings: BreathingSettings, jobs: int = 1, report: Report = lambda *_: None
) -> Cohort:
    """Make what is missing of the cohort in `folder`, as `cohort.make_cohort` does, with its table.

    Raises `BadInputError` for a scan that cannot be used, a folder with another cohort, and when none could be made;
    `OutputError` when the disk refuses.
    """
    scan = "" if settings.scan is None else _sha256(settings.scan)
    if settings.scan is not None:
        read_chest(*settings.scan)  # a wrong file is told once, not for every phantom
    claim(folder, {"simulated": True, "breathing": settings.kind, "seed": settings.seed, "scan_sha256": scan})
    members = plan_breathing(settings)
    return make_members(folder, members, partial(_make, settings), _table, jobs, report, "Choose another seed.")


def _make(settings: BreathingSettings, member: BreathingMember, work: Path) -> None:
    still = member.kind == "gtv"
    if settings.scan is None:
        tumour, scans = breathing_tumour(member.seed, drawn_person(member.seed), drawn_around, still)
    else:
        scan = read_chest(*settings.scan)
        tumour, scans = breathing_tumour(member.seed, scan.coarse(), scan.around, still)
    write_volume(average_ct(scans), work / CT_FILE)
    write_volume(scans.pet, work / PET_FILE)
    write_volume(scans.igtv, work / CONTOUR_FILE)
    truth = _truth(member, tumour, scans)
    write_text(work / TRUTH_FILE, json.dumps(truth, indent=2) + "\n")


def average_ct(scans: BreathingPhantom) -> sitk.Image:
    """Mean of the phases, int16 HU."""
    stacked = np.stack([sitk.GetArrayFromImage(ct).astype(np.float32) for ct in scans.cts])
    return Geometry.of(scans.cts[0]).image(np.round(stacked.mean(axis=0)).astype(np.int16))


def _truth(member: BreathingMember, tumour: LungTumour, scans: BreathingPhantom) -> dict[str, object]:
    voxel_ml = Geometry.of(scans.igtv).voxel_ml
    volumes = [float(np.count_nonzero(sitk.GetArrayViewFromImage(one))) * voxel_ml for one in scans.references]
    igtv_ml = float(np.count_nonzero(sitk.GetArrayViewFromImage(scans.igtv))) * voxel_ml
    (spec,) = tumour.settings.chosen_lesions
    return {
        "simulated": True,
        "pet_units": "SUVbw",
        "anatomy": "one real chest CT" if member.scanned else "drawn",
        "kind": member.kind,
        "split": member.split,
        "seed": member.seed,
        "phases": len(scans.cts),
        "motion_mm": tumour.motion_mm if len(scans.cts) > 1 else 0.0,
        "diameter_mm": spec.diameter_mm,
        "suv": spec.suv,
        "gtv_ml": volumes[0],
        "contour_ml": igtv_ml,
        "settings": tumour.settings.to_json(),
    }


def _table(members: list[BreathingMember]) -> str:
    rows = []
    for member in members:
        study = member.name.rpartition("_")[2] if member.person == SCANNED else ""
        rows.append((member.person, study, member.split, member.name))
    return table_text(rows, (CT_FILE, PET_FILE, CONTOUR_FILE))


def _sha256(files: tuple[Path, Path]) -> str:
    try:
        return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    except OSError as error:
        raise BadInputError(f"{error.filename} cannot be read: {error.strerror}.", "Check the file.") from error
