"""What every method is given: one patient in one crop, or one phantom, read from the files on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.phantom.cohort_making import TABLE
from petctfusion.training.datasets.patient import Patient, of_split
from petctfusion.training.datasets.reading import read_patient
from petctfusion.training.datasets.registry import find_patients
from petctfusion.training.datasets.sts import CROPS, Crop, StsPatient, recrop
from petctfusion.volumes import check_study, read_ct, read_mask, read_mr, read_pet


@dataclass(frozen=True)
class Study:
    """One patient in one crop: CT in HU, PET in SUVbw, contour on the CT grid, MR where there is one."""

    patient: str
    crop: Crop
    ct: sitk.Image
    pet: sitk.Image
    contour: sitk.Image
    mr: sitk.Image | None = None

    @property
    def volumes(self) -> dict[str, sitk.Image]:
        """By modality, as a model takes them."""
        found = {"CT": self.ct, "PET": self.pet}
        return found if self.mr is None else {**found, "MR": self.mr}


def load_studies(patients: Iterable[StsPatient], crops: Iterable[Crop] = CROPS) -> Iterable[Study]:
    """Each patient from the files on disk, as it is and re-cropped. Raises `BadInputError` for a refused study."""
    wanted = tuple(crops)
    for patient in patients:
        ct, contour = read_ct(patient.file("CT")), read_mask(patient.file("CT_GTV"))
        pet = read_pet(patient.file("PET")).image
        mr = [read_mr(patient.file("MR"))] if patient.file("MR").is_file() else []
        for crop in wanted:
            images = [ct, pet, contour, *mr] if crop == "as-is" else recrop(patient, [ct, pet, contour, *mr])
            check_study(*images[:3]).raise_if_refused()
            yield Study(patient.name, crop, *images)


def phantoms(cohort: Path, split: str) -> list[Patient]:
    """One part of a cohort made by `petctfusion phantom --cohort`. Raises `BadInputError` where there is none."""
    found = of_split(find_patients("csv", cohort / TABLE), split)
    if not found:
        raise BadInputError(
            f"{cohort} has no phantoms in the part {split}.", "Make a larger cohort, or choose another."
        )
    return found


def load_phantoms(cohort: Path, split: str) -> Iterator[Study]:
    """One part of such a cohort, one at a time, as it is. Raises `BadInputError` for a damaged phantom, too."""
    for patient in phantoms(cohort, split):
        volumes, contour = read_patient(patient, ("CT", "PET"))
        yield Study(patient.name, "as-is", volumes["CT"], volumes["PET"], contour)
