"""What every method is given: one patient in one crop, read from the files on disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import SimpleITK as sitk

from petctfusion.training.datasets.sts import CROPS, Crop, StsPatient, recrop
from petctfusion.volumes import check_study, read_ct, read_mask, read_pet


@dataclass(frozen=True)
class Study:
    """One patient in one crop: CT in HU, PET in SUVbw, contour on the CT grid."""

    patient: str
    crop: Crop
    ct: sitk.Image
    pet: sitk.Image
    contour: sitk.Image


def load_studies(patients: Iterable[StsPatient], crops: Iterable[Crop] = CROPS) -> Iterable[Study]:
    """Each patient from the files on disk, as it is and re-cropped. Raises `BadInputError` for a refused study."""
    wanted = tuple(crops)
    for patient in patients:
        ct, contour = read_ct(patient.file("CT")), read_mask(patient.file("CT_GTV"))
        pet = read_pet(patient.file("PET")).image
        for crop in wanted:
            images = [ct, pet, contour] if crop == "as-is" else recrop(patient, [ct, pet, contour])
            check_study(*images).raise_if_refused()
            yield Study(patient.name, crop, *images)
