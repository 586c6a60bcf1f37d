"""The tuning patients as a user's files would be: on their own grids, for the choice of threshold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import SimpleITK as sitk

from petctfusion.training.datasets.patient import Patient
from petctfusion.training.datasets.reading import read_patient
from petctfusion.training.datasets.sts import CROPS, recrop, sts_patients
from petctfusion.training.material import TrainingData
from petctfusion.volumes import check_study, read_ct, read_mask, read_mr, read_pet


@dataclass(frozen=True)
class TuningStudy:
    """One patient in one crop: volumes in HU and SUVbw by modality, and the contour."""

    patient: str
    crop: str
    volumes: Mapping[str, sitk.Image]
    contour: sitk.Image


def tuning_studies(data: TrainingData, patients: Sequence[Patient], modalities: Sequence[str]) -> Iterator[TuningStudy]:
    """One study at a time; the sarcomas as they are and re-cropped, as their crop tells where the tumour is."""
    if data.kind == "sts":
        yield from _sarcomas(data, [patient.name for patient in patients], modalities)
        return
    for patient in patients:
        volumes, contour = read_patient(patient, modalities)
        yield TuningStudy(patient.name, CROPS[0], volumes, contour)


def _sarcomas(data: TrainingData, names: list[str], modalities: Sequence[str]) -> Iterator[TuningStudy]:
    """Against `CT_GTV`, which is what results are reported on, whatever a patient was learnt from."""
    both = [*sts_patients(data.folder, "train"), *sts_patients(data.folder, "tune")]
    known = {patient.name: patient for patient in both}
    for patient in (known[name] for name in names):
        volumes = {}
        for kind in modalities:
            path = patient.folder / f"{kind}.nii.gz"
            if kind == "MR" and not path.is_file():
                # Whom a recipe does not allow to lack it was left out before.
                continue
            volumes[kind] = read_pet(path).image if kind == "PET" else (read_ct if kind == "CT" else read_mr)(path)
        contour = read_mask(patient.file("CT_GTV"))
        for crop in CROPS:
            images = [*volumes.values(), contour] if crop == "as-is" else recrop(patient, [*volumes.values(), contour])
            study = TuningStudy(patient.name, crop, dict(zip(volumes, images[:-1], strict=True)), images[-1])
            if "CT" in volumes and "PET" in volumes:
                check_study(study.volumes["CT"], study.volumes["PET"], study.contour).raise_if_refused()
            yield study
