"""What every adapter answers with: patients, their files by modality, their contour, and folds of patients."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from petctfusion.errors import BadInputError

MODALITIES = ("CT", "PET", "MR")
SPLITS = ("train", "tune", "validation", "test")
KEPT_ASIDE = ("validation", "test")

Say = Callable[[str], None]

_WORDS = {"ct": "CT", "ctres": "CT", "pet": "PET", "pt": "PET", "suv": "PET", "fdg": "PET", "mr": "MR", "mri": "MR"}


@dataclass(frozen=True)
class Contour:
    """Where the reference is. `values`: the label values that count (empty: all but 0); `name`: a segment or ROI."""

    path: Path
    values: tuple[int, ...] = ()
    name: str | None = None


@dataclass(frozen=True)
class Patient:
    """One study: its files (or DICOM folders) by modality and its contour.

    `name` is unique in the data set, `identity` is the patient's: several studies may share it. `split` is what the
    data set says ("" where it says nothing), `lesion_class` the kind of lesion, counted from 0, where it names one.
    `pet_units` is what `read_pet` is told. `problem` says in one sentence why the study cannot be used, "" where it can
    as far as the file names tell.
    """

    name: str
    identity: str
    volumes: Mapping[str, Path]
    contour: Contour | None
    split: str = ""
    pet_units: str = "auto"
    problem: str = ""
    hint: str = ""
    lesion_class: int | None = None


def known_modality(word: str, where: str) -> str:
    """CT, PET or MR for a name such as "PT" or "SUV". Raises `BadInputError` for one that means none of them."""
    modality = _WORDS.get(word.strip().lower())
    if modality is None:
        raise BadInputError(
            f"{where} names {word!r}, which is no modality known here.", f"Use one of {', '.join(MODALITIES)}."
        )
    return modality


def label_values(label: str | None, names: Mapping[str, int], where: str) -> tuple[int, ...]:
    """The value of the label asked for by name or number, () for None. Raises `BadInputError` naming what there is."""
    if label is None:
        return ()
    for name, value in names.items():
        if label.strip().casefold() in (name.casefold(), str(value)):
            return (value,)
    known = ", ".join(f"{name} ({value})" for name, value in names.items())
    raise BadInputError(f"{where} has no label {label!r}.", f"Use one of {known}, or none for all of them.")


def lacking(files: Mapping[str, Path], contour: Path | None, wanted: Iterable[str]) -> str:
    """One sentence naming what of a study is not there, "" when all of it is."""
    missing = [kind for kind in wanted if kind not in files]
    if contour is None:
        missing.append("contour")
    return f"It has no {' and no '.join(missing)}." if missing else ""


def of_split(patients: Iterable[Patient], split: str) -> list[Patient]:
    """The patients of one part of the data set's own split."""
    return [patient for patient in patients if patient.split == split]


def folds(patients: Sequence[Patient], k: int, seed: int) -> list[list[Patient]]:
    """Deals the patients into `k` folds: each is held out once. All studies of a patient share a fold.

    Identities are put in the order of their hash with the seed and dealt in turn, so that the folds depend neither on
    the order of `patients` nor on a library's random numbers; their numbers of patients differ by one at most. They are
    stratified by nothing: neither tumour volume nor centre nor diagnosis. Raises `BadInputError` for fewer than two
    folds, for fewer patients than folds, and for patients kept aside for validation or test.
    """
    aside = [patient.name for patient in patients if patient.split in KEPT_ASIDE]
    if aside:
        raise BadInputError(
            f"{len(aside)} patients are kept aside for validation or test, {aside[0]} among them.",
            "Make folds of the others only.",
        )
    identities = sorted({patient.identity for patient in patients}, key=lambda one: (_shuffled(one, seed), one))
    if not 2 <= k <= len(identities):
        raise BadInputError(
            f"{k} folds cannot be made of {len(identities)} patients.", "Take at least 2, and no more than patients."
        )
    fold_of = {identity: number % k for number, identity in enumerate(identities)}
    return [[patient for patient in patients if fold_of[patient.identity] == number] for number in range(k)]


def _shuffled(identity: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{identity}".encode()).digest()
