"""The soft-tissue sarcoma collection (TCIA, doi 10.7937/K9/TCIA.2015.7GO2GSKS, CC BY 3.0) as cropped by the IBSI.

Every volume is the contour's box plus 5 cm, so the crop itself tells where the tumour is. `recrop` cuts each patient
again with the random margins of `margins.json`; results are reported on both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.patient import Contour, Patient, Say, label_values, lacking
from petctfusion.volumes.geometry import Geometry

Split = Literal["train", "tune", "validation"]
Crop = Literal["as-is", "re-cropped"]
CROPS: tuple[Crop, ...] = ("as-is", "re-cropped")

ATTRIBUTION = (
    "Soft-tissue-Sarcoma collection, The Cancer Imaging Archive (Vallieres et al., Phys Med Biol 2015; "
    "doi 10.7937/K9/TCIA.2015.7GO2GSKS; Clark et al., J Digit Imaging 2013), CC BY 3.0, as prepared by the Image "
    "Biomarker Standardisation Initiative"
)
# On STS_019 the CT contour lies about 7 mm off the PET and MR contours, which agree.
_CONTOUR_FROM_PET = frozenset({"STS_019"})


@dataclass(frozen=True)
class StsPatient:
    """Files of one patient and the margins (mm, [[low, high] for x, y, z]) of its re-crop."""

    name: str
    folder: Path
    margins_mm: tuple[tuple[float, float], ...]

    def file(self, kind: Literal["CT", "PET", "MR", "CT_GTV", "PET_GTV"]) -> Path:
        """Path of one volume."""
        return self.folder / f"{kind}.nii.gz"

    @property
    def training_contour(self) -> Path:
        """The contour to learn from: `CT_GTV`, or `PET_GTV` where the CT contour is known to be displaced."""
        return self.file("PET_GTV" if self.name in _CONTOUR_FROM_PET else "CT_GTV")


def sts_patients(data: Path, split: Split) -> list[StsPatient]:
    """The patients of one part of `split.json`. Raises `BadInputError` when `data` is not the collection's folder."""
    try:
        names = json.loads((data / "split.json").read_text())[split]
        margins = json.loads((data / "margins.json").read_text())["margins"]
    except (OSError, KeyError, ValueError) as error:
        raise BadInputError(
            f"{data} is not the prepared sarcoma collection ({error}).",
            "Give the folder that holds split.json, margins.json and STS_nnn folders.",
        ) from error
    return [
        StsPatient(name, data / name, tuple((float(low), float(high)) for low, high in margins[name])) for name in names
    ]


def find(folder: Path, label: str | None, say: Say) -> list[Patient]:
    """All patients of `split.json` as every data set gives them, with the part of the split they belong to."""
    del say
    label_values(label, {"tumour": 1}, str(folder))
    parts: tuple[Split, ...] = ("train", "tune", "validation")
    return [_as_patient(patient, split) for split in parts for patient in sts_patients(folder, split)]


def _as_patient(patient: StsPatient, split: Split) -> Patient:
    files = {kind: patient.folder / f"{kind}.nii.gz" for kind in ("CT", "PET", "MR")}
    there = {kind: path for kind, path in files.items() if path.is_file()}
    contour = patient.training_contour if patient.training_contour.is_file() else None
    return Patient(
        patient.name,
        patient.name,
        there,
        None if contour is None else Contour(contour),
        split,
        pet_units="suvbw",
        problem=lacking(there, contour, ("CT", "PET")),
    )


def contour_box(contour: sitk.Image, margins_mm: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The contour's box widened by margins along its index axes: continuous indices (2, 3), voxel edges, (x, y, z)."""
    mask = sitk.GetArrayViewFromImage(contour) > 0
    index = np.argwhere(mask)[:, ::-1]
    if index.size == 0:
        raise BadInputError("The contour is empty.", "Choose another patient or contour.")
    margins = np.asarray(margins_mm, dtype=np.float64) / np.asarray(contour.GetSpacing())[:, None]
    return np.stack([index.min(axis=0) - 0.5 - margins[:, 0], index.max(axis=0) + 0.5 + margins[:, 1]])


def crop_to_box(image: sitk.Image, box: np.ndarray, frame: Geometry) -> sitk.Image:
    """The voxels of `image` whose centres lie in `box` (continuous indices of `frame`); axes of the two agree."""
    corners = Geometry.of(image).indices(frame.points(box))
    low = np.clip(np.ceil(corners.min(axis=0) - 1e-6), 0, None).astype(int)
    high = np.minimum(np.floor(corners.max(axis=0) + 1e-6).astype(int) + 1, image.GetSize())
    return sitk.RegionOfInterest(image, [int(v) for v in high - low], [int(v) for v in low])


def recrop(patient: StsPatient, images: list[sitk.Image]) -> list[sitk.Image]:
    """`images` of the patient cut to the box of `PET_GTV` plus the margins of `margins.json`."""
    contour = sitk.ReadImage(str(patient.file("PET_GTV")))
    box = contour_box(contour, patient.margins_mm)
    frame = Geometry.of(contour)
    return [crop_to_box(image, box, frame) for image in images]
