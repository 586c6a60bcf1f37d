"""Reads a patient of any data set: volumes in HU and SUVbw, and the contour as a mask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.patient import Contour, Patient
from petctfusion.training.datasets.pclt20k import read_picture
from petctfusion.volumes import Geometry, MaskChoice, check_study, read_ct, read_mask, read_mr, read_pet, read_region


def read_patient(patient: Patient, modalities: Sequence[str]) -> tuple[dict[str, sitk.Image], sitk.Image]:
    """The volumes in the order of `modalities`, and the contour (uint8, 0 and 1) on a grid of its own.

    Raises `BadInputError` for the patient's own problem, a modality or file that is missing or damaged, values that are
    not HU or SUV, volumes or a contour that do not belong together, and pictures of different sizes.
    """
    if patient.problem:
        raise BadInputError(patient.problem, patient.hint)
    missing = [kind for kind in modalities if kind not in patient.volumes]
    if missing or patient.contour is None:
        what = missing[0] if missing else "contour"
        raise BadInputError(f"It has no {what}.", "Leave it out, or train with other modalities.")
    volumes = {kind: _read(patient.volumes[kind], kind, patient.pet_units) for kind in modalities}
    contour = _read_contour(patient.contour, Geometry.of(volumes[modalities[0]]))
    if any(_is_picture(patient.volumes[kind]) for kind in modalities):
        sizes = {image.GetSize() for image in (*volumes.values(), contour)}
        if len(sizes) > 1:
            raise BadInputError("Its pictures differ in size.", "Export them again from one slice.")
    elif "CT" in volumes and "PET" in volumes:
        check_study(volumes["CT"], volumes["PET"], contour).raise_if_refused()
    return volumes, contour


def _read(path: Path, kind: str, pet_units: str) -> sitk.Image:
    if _is_picture(path):
        return read_picture(path)
    if kind == "PET":
        return read_pet(path, pet_units).image
    return read_ct(path) if kind == "CT" else read_mr(path)


def _read_contour(contour: Contour, grid: Geometry) -> sitk.Image:
    if _is_picture(contour.path):
        return sitk.Cast(read_picture(contour.path) > 0, sitk.sitkUInt8)
    if not contour.values:
        return read_region(contour.path, MaskChoice(label=contour.name), grid).image
    mask = read_mask(contour.path)
    inside = np.isin(sitk.GetArrayViewFromImage(mask), contour.values)
    return Geometry.of(mask).image(inside.astype(np.uint8))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() == ".png"
