"""nnU-Net's raw format: dataset.json, imagesTr/CASE_0000.nii.gz (one file a channel), labelsTr/CASE.nii.gz.

https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.patient import Contour, Patient, Say, known_modality, label_values, lacking
from petctfusion.volumes.reading import FILE_SUFFIXES

# autoPET III and IV are given out in this format, several studies of a patient as fdg_HASH_DATE and psma_HASH_DATE.
_AUTOPET_CASE = re.compile(r"((?:fdg|psma)_[0-9a-f]+)_.+")
_HINT = "Compare it with nnU-Net's description of its raw data format."


def find(folder: Path, label: str | None, say: Say) -> list[Patient]:
    """The training cases. A case counts as a patient of its own, except where an autoPET name tells the patient.

    `label` is a name or number of dataset.json; None takes every label but background and ignore. Raises
    `BadInputError` for a dataset.json that is missing, incomplete or names an unknown modality.
    """
    description = _description(folder)
    channels = _channels(folder, description)
    ending = str(description["file_ending"])
    if not ending.lower().endswith((*FILE_SUFFIXES, ".png")):
        raise BadInputError(f"The images of {folder} are {ending} files, which are not read.", "Convert them to NIfTI.")
    values = _values(folder, description, label, say)
    if isinstance(description.get("dataset"), dict):
        images, labels = _listed(folder, description["dataset"])
    else:
        images, labels = _in_folders(folder, ending)
    return [
        _patient(case, images.get(case, {}), labels.get(case), channels, values) for case in sorted({*images, *labels})
    ]


def _description(folder: Path) -> dict[str, Any]:
    path = folder / "dataset.json"
    try:
        description = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BadInputError(
            f"{path} cannot be read ({error}).", "Give the folder of an nnU-Net raw data set."
        ) from error
    missing = [key for key in ("channel_names", "labels", "file_ending") if key not in description]
    if missing:
        hint = "Convert it with nnUNetv2_convert_old_nnUNet_dataset." if "modality" in description else _HINT
        raise BadInputError(f"{path} lacks {', '.join(missing)}.", hint)
    return description


def _channels(folder: Path, description: Mapping[str, Any]) -> dict[str, str]:
    """Modality by four-digit channel."""
    path = folder / "dataset.json"
    try:
        names = {f"{int(number):04d}": str(name) for number, name in description["channel_names"].items()}
    except (AttributeError, ValueError) as error:
        raise BadInputError(f"The channel_names of {path} are not numbered names.", _HINT) from error
    channels = {number: known_modality(name, str(path)) for number, name in names.items()}
    if len(set(channels.values())) < len(channels):
        raise BadInputError(
            f"{path} names one modality twice: {', '.join(names.values())}.", "Keep one channel of each modality."
        )
    return channels


def _values(folder: Path, description: Mapping[str, Any], label: str | None, say: Say) -> tuple[int, ...]:
    path = folder / "dataset.json"
    labels = description["labels"]
    try:
        plain = {str(name): int(value) for name, value in labels.items() if not isinstance(value, list)}
        regions = {str(name): [int(v) for v in value] for name, value in labels.items() if isinstance(value, list)}
    except (AttributeError, TypeError, ValueError) as error:
        raise BadInputError(f"The labels of {path} are not names with whole numbers.", _HINT) from error
    if regions:
        say(f"The regions of {path} ({', '.join(regions)}) are ignored; every label in them counts as tumour.")
    named = {name: value for name, value in plain.items() if value != 0 and name != "ignore"}
    if label is not None:
        return label_values(label, named, str(path))
    every = {*named.values(), *(value for region in regions.values() for value in region)}
    return tuple(sorted(every - {0, plain.get("ignore", 0)}))


def _in_folders(folder: Path, ending: str) -> tuple[dict[str, dict[str, Path]], dict[str, Path]]:
    """Images by case and channel, labels by case."""
    images: dict[str, dict[str, Path]] = {}
    pattern = re.compile(r"(.+)_(\d{4})" + re.escape(ending))
    for path in _files(folder / "imagesTr"):
        found = pattern.fullmatch(path.name)
        if found:
            images.setdefault(found[1], {})[found[2]] = path
    labels = {path.name[: -len(ending)]: path for path in _files(folder / "labelsTr") if path.name.endswith(ending)}
    return images, labels


def _listed(folder: Path, entries: Mapping[str, Any]) -> tuple[dict[str, dict[str, Path]], dict[str, Path]]:
    """The same from a dataset.json that lists its files."""
    try:
        images = {
            case: {f"{number:04d}": folder / name for number, name in enumerate(entry["images"])}
            for case, entry in entries.items()
        }
        labels = {case: folder / entry["label"] for case, entry in entries.items()}
    except (KeyError, TypeError) as error:
        raise BadInputError(
            f"The dataset of {folder / 'dataset.json'} does not list images and labels.", _HINT
        ) from error
    there = {case: {n: path for n, path in files.items() if path.is_file()} for case, files in images.items()}
    return there, {case: path for case, path in labels.items() if path.is_file()}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def _patient(
    case: str, images: Mapping[str, Path], label: Path | None, channels: Mapping[str, str], values: tuple[int, ...]
) -> Patient:
    volumes = {kind: images[number] for number, kind in channels.items() if number in images}
    unnamed = sorted(set(images) - set(channels))
    problem = lacking(volumes, label, channels.values())
    if not problem and unnamed:
        problem = f"Its channel {unnamed[0]} is not named in dataset.json."
    patient = _AUTOPET_CASE.fullmatch(case)
    contour = None if label is None else Contour(label, values)
    hint = "Complete imagesTr and labelsTr." if problem else ""
    return Patient(case, patient[1] if patient else case, volumes, contour, problem=problem, hint=hint)
