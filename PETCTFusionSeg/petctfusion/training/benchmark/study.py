"""What every method is given: one patient in one crop, read from the files on disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import SimpleITK as sitk

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
