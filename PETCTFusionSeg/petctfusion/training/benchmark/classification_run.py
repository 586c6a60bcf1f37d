"""Every lesion of a cohort: what the network says of it, from its own contour, and what can be measured in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.inference import LoadedModel, SegmentOptions, segment_study
from petctfusion.inference.lesion_class import classify_lesion
from petctfusion.metrics import dice
from petctfusion.phantom.cohort_making import TABLE
from petctfusion.training.benchmark.classification_results import FEATURE_NAMES
from petctfusion.training.datasets.patient import Patient, of_split
from petctfusion.training.datasets.reading import read_patient
from petctfusion.training.datasets.registry import find_patients
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import PET_AIR_SUV, resample_image


@dataclass(frozen=True)
class LesionRow:
    """One lesion: its class, the network's probability of class 1 (None: it found nothing), its Dice, the features."""

    patient: str
    split: str
    lesion_class: int
    probability: float | None
    dice: float
    features: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def lesions_of(cohort: Path, split: str) -> list[Patient]:
    """The lesions of one part. Raises `BadInputError` where there are none, or one has no class of two."""
    patients = of_split(find_patients("csv", cohort / TABLE), split)
    if not patients or any(patient.lesion_class not in (0, 1) for patient in patients):
        raise BadInputError(
            f"{cohort} has no lesions of two classes in its part {split}.",
            "Make it with petctfusion phantom --cohort 300 --textures.",
        )
    return patients


def measure_lesions(
    patients: list[Patient], model: LoadedModel, options: SegmentOptions, report: Callable[[LesionRow], None]
) -> list[LesionRow]:
    """Contour first, then the class of what lies in it. Raises `BadInputError`."""
    rows = []
    for patient in patients:
        volumes, contour = read_patient(patient, model.card.modalities)
        found = segment_study(volumes, model, options).labels
        marked = sitk.GetArrayViewFromImage(found) > 0
        share = float(classify_lesion(volumes, model, found)[1]) if marked.any() else None
        truth = sitk.GetArrayViewFromImage(contour) > 0
        assert patient.lesion_class is not None  # `lesions_of` saw to it
        overlap = dice(marked, truth)
        features = features_of(volumes["PET"], contour)
        rows.append(LesionRow(patient.name, patient.split, patient.lesion_class, share, overlap, features))
        report(rows[-1])
    return rows


def features_of(pet: sitk.Image, contour: sitk.Image) -> dict[str, float]:
    """The numbers of `FEATURE_NAMES`, in ml and SUVbw, on the contour's grid; "core/rim" is told what to look for: the
    mean of the deeper half over that of the outer half."""
    grid = Geometry.of(contour)
    inside = sitk.GetArrayViewFromImage(contour) > 0
    suv = sitk.GetArrayFromImage(resample_image(pet, grid, PET_AIR_SUV))[inside]
    depth = ndimage.distance_transform_edt(inside, sampling=grid.spacing_zyx)[inside]
    deep = depth > np.median(depth)
    core, rim = (float(suv[part].mean()) if part.any() else float(suv.mean()) for part in (deep, ~deep))
    values = float(inside.sum()) * grid.voxel_ml, float(suv.mean()), float(suv.max()), float(suv.std()), core / rim
    return dict(zip(FEATURE_NAMES, values, strict=True))
