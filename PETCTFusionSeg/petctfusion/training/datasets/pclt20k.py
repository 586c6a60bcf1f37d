"""PCLT20K: 2-D pairs, PATIENT/PATIENT_SLICE_{ct,pet,mask}.png, with train.txt and test.txt naming the samples.

Mei et al., CVPR 2025 (CIPA). The pictures hold grey levels from 0 to 255: which HU and SUV they stand for, and how
large a pixel is, the data set does not say. They are read as they are, one slice thick, with a nominal 1 mm.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.patient import Contour, Patient, Say, label_values, lacking

_FILE = re.compile(r"(.+_[^_]+)_(ct|pet|mask)\.png", re.IGNORECASE)
_SPLITS = ("train", "test")


def find(folder: Path, label: str | None, say: Say) -> list[Patient]:
    """Every sample (one slice); the patient's folder is its identity. One listed without files has a problem."""
    label_values(label, {"tumour": 1}, str(folder))
    samples: dict[tuple[str, str], dict[str, Path]] = {}
    for path in sorted(folder.glob("*/*")):
        found = _FILE.fullmatch(path.name)
        if found:
            samples.setdefault((path.parent.name, found[1]), {})[found[2].lower()] = path
    split = _split(folder, say)
    there = {sample for _, sample in samples}
    for sample in sorted(set(split) - there):
        samples[(sample.rpartition("_")[0], sample)] = {}
    patients = [_patient(*key, files, split.get(key[1], "")) for key, files in sorted(samples.items())]
    _warn_of_leaks(folder, patients, say)
    if patients:
        say(f"{folder} holds pictures: grey levels, not HU and SUV, and pixels of a nominal 1 mm.")
    return patients


def read_picture(path: Path) -> sitk.Image:
    """A grey PNG as an image one slice thick, 1 mm. Raises `BadInputError` for a damaged or a coloured one."""
    try:
        picture = sitk.ReadImage(str(path), imageIO="PNGImageIO")
    except RuntimeError as error:
        raise BadInputError(f"{path} cannot be read: it is damaged or no PNG.", "Copy or download it again.") from error
    array = sitk.GetArrayFromImage(picture)
    if array.ndim == 3:
        if not (array[..., :3] == array[..., :1]).all():
            raise BadInputError(f"{path} is a coloured picture.", "Give one with a single grey value per pixel.")
        array = array[..., 0]
    return sitk.GetImageFromArray(np.ascontiguousarray(array)[None])


def _split(folder: Path, say: Say) -> dict[str, str]:
    split: dict[str, str] = {}
    for name in _SPLITS:
        path = folder / f"{name}.txt"
        if not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8").split():
            if split.setdefault(line, name) != name:
                say(f"{line} is in both train.txt and test.txt of {folder}: it counts as {split[line]}.")
    return split


def _warn_of_leaks(folder: Path, patients: list[Patient], say: Say) -> None:
    parts = [{p.identity for p in patients if p.split == name} for name in _SPLITS]
    both = sorted(parts[0] & parts[1])
    if both:
        say(f"{len(both)} patients have slices in train.txt and in test.txt of {folder}, {both[0]} among them.")


def _patient(identity: str, sample: str, files: dict[str, Path], split: str) -> Patient:
    volumes = {kind: files[kind.lower()] for kind in ("CT", "PET") if kind.lower() in files}
    problem = lacking(volumes, files.get("mask"), ("CT", "PET"))
    return Patient(
        sample,
        identity,
        volumes,
        Contour(files["mask"]) if "mask" in files else None,
        split,
        problem=problem,
        hint=f"A sample has {sample}_ct.png, {sample}_pet.png and {sample}_mask.png." if problem else "",
    )
