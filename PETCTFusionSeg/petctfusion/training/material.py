"""Whom a run learns from and on whom its settings are chosen; nobody kept aside for validation or test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.patient import KEPT_ASIDE, Patient, Say, folds, of_split
from petctfusion.training.datasets.registry import find_patients

# The deal does not change with the seed of a training: folds of several seeds are the same patients.
FOLD_SEED = 1
_PARTS = 5


@dataclass(frozen=True)
class TrainingData:
    """A data set: kind of layout (see `datasets.registry`), folder, label, and which fold is held out.

    `folds`: (number from 0, of how many, seed), None for the data set's own split. `label` None takes all tumour.
    """

    kind: str
    folder: Path
    label: str | None = None
    folds: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Material:
    """Patients to learn from and patients to choose on, in the data set's order."""

    train: tuple[Patient, ...]
    tune: tuple[Patient, ...]

    @property
    def patients(self) -> list[Patient]:
        """Both."""
        return [*self.train, *self.tune]


def choose_patients(data: TrainingData, say: Say) -> Material:
    """Divides the patients that are not kept aside.

    With `data.folds` the fold of that number is held out for choosing. Otherwise the data set's split counts; where it
    names no tuning patients, a fifth of the patients is held out. Raises `BadInputError` when nobody is left to learn
    from or the folds cannot be made.
    """
    found = find_patients(data.kind, data.folder, data.label, say)
    free = [patient for patient in found if patient.split not in KEPT_ASIDE]
    if not free:
        raise BadInputError(
            f"All {len(found)} patients in {data.folder} are kept aside for validation or test.",
            "Put patients into the part train.",
        )
    if data.folds is not None:
        number, parts, seed = data.folds
        return _held_out(free, number, parts, seed)
    tune = of_split(free, "tune")
    if tune:
        train = [patient for patient in free if patient.split != "tune"]
        if not train:
            raise BadInputError(f"All patients in {data.folder} are for tuning.", "Put patients into the part train.")
        return Material(tuple(train), tuple(tune))
    people = len({patient.identity for patient in free})
    if people < 2:
        say("one patient only: there is nobody to choose the threshold on, it stays at 0.5")
        return Material(tuple(free), ())
    say(f"the data set names no tuning patients: one in {min(_PARTS, people)} is held out for choosing")
    return _held_out(free, 0, min(_PARTS, people), FOLD_SEED)


def _held_out(patients: list[Patient], number: int, parts: int, seed: int) -> Material:
    dealt = folds(patients, parts, seed)
    if not 0 <= number < parts:
        raise BadInputError(f"There is no fold {number} of {parts}.", f"Folds are counted from 0 to {parts - 1}.")
    tune = tuple(dealt[number])
    held = {patient.name for patient in tune}
    return Material(tuple(patient for patient in patients if patient.name not in held), tune)
