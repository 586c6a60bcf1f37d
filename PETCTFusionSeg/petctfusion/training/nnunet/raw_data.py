"""Patients of any data set written in nnU-Net's raw format: CT and PET on the CT's grid, label 1 is tumour."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import SimpleITK as sitk

from petctfusion.errors import OutputError
from petctfusion.training.datasets.patient import Patient
from petctfusion.training.datasets.reading import read_patient
from petctfusion.volumes import Geometry
from petctfusion.volumes.grid import PET_AIR_SUV, resample_image

ENDING = ".nii.gz"
CHANNELS = ("CT", "PET")


def write_raw(patients: Sequence[Patient], folder: Path, report: Callable[[int, int], None]) -> None:
    """`imagesTr/NAME_0000.nii.gz` (HU), `_0001` (SUVbw), `labelsTr/NAME.nii.gz`, and dataset.json once all are there.

    Raises `BadInputError` for a patient that cannot be used, `OutputError` for a full disk.
    """
    try:
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("imagesTr", "labelsTr"):
            (folder / name).mkdir(parents=True)
        for number, patient in enumerate(patients):
            volumes, contour = read_patient(patient, CHANNELS)
            channels = [*on_ct_grid(volumes["CT"], volumes["PET"])]
            for channel, image in enumerate(channels):
                sitk.WriteImage(image, str(folder / "imagesTr" / f"{patient.name}_{channel:04d}{ENDING}"))
            label = _on_grid(contour, Geometry.of(volumes["CT"]))
            sitk.WriteImage(label, str(folder / "labelsTr" / f"{patient.name}{ENDING}"))
            report(number + 1, len(patients))
        (folder / "dataset.json").write_text(
            json.dumps(
                {
                    "channel_names": {str(channel): name for channel, name in enumerate(CHANNELS)},
                    "labels": {"background": 0, "tumour": 1},
                    "numTraining": len(patients),
                    "file_ending": ENDING,
                },
                indent=1,
            )
        )
    except (OSError, RuntimeError) as error:
        raise OutputError(f"nnU-Net's data cannot be written to {folder}: {error}.", "Free the disk.") from error


def on_ct_grid(ct: sitk.Image, pet: sitk.Image) -> tuple[sitk.Image, sitk.Image]:
    """Both as float32 on the CT's grid; the PET interpolated linearly, 0 outside its field of view."""
    return sitk.Cast(ct, sitk.sitkFloat32), resample_image(pet, Geometry.of(ct), PET_AIR_SUV)


def _on_grid(contour: sitk.Image, grid: Geometry) -> sitk.Image:
    share = resample_image(sitk.Cast(contour > 0, sitk.sitkFloat32), grid, 0.0)
    return sitk.Cast(share >= 0.5, sitk.sitkUInt8)
