"""Which prediction belongs to which reference: the patients of two folders, paired by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from petctfusion.errors import BadInputError
from petctfusion.volumes.dicom_files import IMAGE_MODALITIES, read_header, tags_of

SUFFIXES = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")


@dataclass(frozen=True)
class Pair:
    """The files of one patient; `problem` says why they cannot be evaluated, "" where they can."""

    patient: str
    prediction: Path | None
    reference: Path | None
    pet: Path | None = None
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True)
class _Found:
    """A patient's file, or what is wrong with the patient's folder."""

    path: Path | None
    problem: str = ""


def is_cohort(prediction: Path, reference: Path) -> bool:
    """True for two folders (or patterns with a *) of patients. Raises `BadInputError` for one mask beside a folder."""
    first, second = _holds_patients(prediction), _holds_patients(reference)
    # A folder beside one file can only be the DICOM folder of that one patient.
    if first != second and not (prediction.is_dir() and reference.is_file()) | (
        prediction.is_file() and reference.is_dir()
    ):
        raise BadInputError(
            f"{prediction} and {reference} do not go together: one is a mask, the other a folder of patients.",
            "Give two masks, or two folders.",
        )
    return first and second


def single_pair(prediction: Path, reference: Path, pet: Path | None) -> Pair:
    """One patient, named by the prediction."""
    return Pair(stem_of(prediction.name), prediction, reference, pet)


def cohort_pairs(prediction: Path, reference: Path, pet: Path | None) -> list[Pair]:
    """Every patient of either folder, by name; those that lack a file have a `problem`.

    A folder holds one file per patient (the name without its suffix is the patient) or one folder per patient with one
    mask in it; a pattern names the patients by its folder or, in `*_mask.nii`, its star. Raises `BadInputError` when a
    folder holds no mask, when two files claim one patient, and when no patient is on both sides.
    """
    predictions, references = _patients(prediction), _patients(reference)
    pets = None if pet is None else _patients(pet)
    names = sorted(set(predictions) | set(references), key=_natural)
    pairs = [_pair(name, predictions.get(name), references.get(name), pets) for name in names]
    if not set(predictions) & set(references):
        raise BadInputError(
            f"No patient of {prediction} ({_some(predictions)}) is in {reference} ({_some(references)}).",
            "Give both files of a patient one name, or patterns with a star for the patient: 'ref/*/GTV.nii.gz'.",
        )
    return pairs


def stem_of(name: str) -> str:
    """A file's name without the suffix of its format."""
    lower = name.lower()
    suffix = next((s for s in SUFFIXES if lower.endswith(s)), "")
    return name[: len(name) - len(suffix)]


def _pair(name: str, prediction: _Found | None, reference: _Found | None, pets: dict[str, _Found] | None) -> Pair:
    def path(found: _Found | None) -> Path | None:
        return None if found is None else found.path

    problem, hint = "", ""
    for found, what in ((prediction, "prediction"), (reference, "reference")):
        if found is None:
            problem, hint = f"There is no {what}.", "Add the file, or take the patient out of the other folder."
        elif found.problem:
            problem, hint = (
                found.problem,
                "Leave one mask in the folder, or name it with a pattern: 'ref/*/GTV.nii.gz'.",
            )
    pet = None if pets is None else pets.get(name)
    if pets is not None and not problem and (pet is None or pet.path is None):
        problem, hint = (pet.problem if pet else "There is no PET."), "Add the file, or leave out --pet."
    return Pair(name, path(prediction), path(reference), path(pet), problem, hint)


def _holds_patients(path: Path) -> bool:
    if path.is_dir():
        return not _is_study(path)
    return "*" in str(path) and not path.exists()


def _is_study(folder: Path) -> bool:
    """One patient's DICOM folder: slices of an image, or a single structure set, and no other mask."""
    names = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    if not names or any(p.name.lower().endswith(SUFFIXES[:-1]) for p in names):
        return False
    modalities = []
    for path in sorted(names):
        header = read_header(path)
        if header is not None:
            with tags_of(path):
                modalities.append(str(header.get("Modality", "")))
            if modalities[-1] in IMAGE_MODALITIES:
                return True
    return len(modalities) == 1


def _patients(place: Path) -> dict[str, _Found]:
    if not place.exists() and "*" in str(place):
        return _by_pattern(place)
    if not place.is_dir():
        raise BadInputError(f"{place} is not a folder.", "Give the folder with one mask per patient.")
    entries = sorted(p for p in place.iterdir() if not p.name.startswith("."))
    files = [p for p in entries if p.is_file() and p.name.lower().endswith(SUFFIXES)]
    if files:
        return _unique(place, files, lambda path: stem_of(path.name))
    folders = [p for p in entries if p.is_dir()]
    found = {folder.name: _in_patient_folder(folder) for folder in folders}
    if not found:
        raise BadInputError(f"{place} holds no mask and no patient folder.", f"Masks end with {', '.join(SUFFIXES)}.")
    return found


def _by_pattern(pattern: Path) -> dict[str, _Found]:
    text = str(pattern)
    if text.count("*") != 1:
        raise BadInputError(f"{pattern} has more than one star.", "Use one *, which stands for the patient.")
    before, after = text.split("*")
    parts = pattern.parts
    depth = next(i for i, part in enumerate(parts) if "*" in part)
    root = Path(*parts[:depth]) if depth else Path()
    name = re.compile(re.escape(parts[depth]).replace(r"\*", "(.+)"))
    entries = sorted(root.iterdir()) if root.is_dir() else []
    matches = [(entry, name.fullmatch(entry.name)) for entry in entries]
    # A star in the name of a folder may leave out what all folders share; the folder is the patient all the same.
    group = 1 if depth == len(parts) - 1 else 0
    files = [(m.group(group), entry.joinpath(*parts[depth + 1 :])) for entry, m in matches if m]
    found = {patient: _Found(path) for patient, path in files if path.exists()}
    if not found:
        raise BadInputError(
            f"Nothing is called {before}*{after}.", "Check the pattern; quote it, so that the shell leaves it."
        )
    return found


def _unique(place: Path, files: Iterable[Path], name: Callable[[Path], str]) -> dict[str, _Found]:
    found: dict[str, _Found] = {}
    for path in files:
        patient = name(path)
        other = found.get(patient)
        if other is not None and other.path is not None:
            raise BadInputError(
                f"{place} holds two files for {patient}: {other.path.name} and {path.name}.", "Keep one of them."
            )
        found[patient] = _Found(path)
    return found


def _in_patient_folder(folder: Path) -> _Found:
    entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    files = [p for p in entries if p.is_file() and p.name.lower().endswith(SUFFIXES)]
    dicom = [p for p in files if p.suffix.lower() == ".dcm"]
    if len(files) == 1:
        return _Found(files[0])
    # Several .dcm files are a series with its structure set, and so are folders of them.
    if len(dicom) == len(files) and (files or any(p.is_dir() for p in entries)):
        return _Found(folder)
    if not files:
        return _Found(None, f"The folder {folder} holds no mask.")
    return _Found(
        None, f"The folder {folder} holds {len(files)} files that may be the mask: {_some(p.name for p in files)}."
    )


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:4]) + (f", ... ({len(listed)})" if len(listed) > 4 else "")


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Patients in the order a person counts: P2 before P10."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part)
