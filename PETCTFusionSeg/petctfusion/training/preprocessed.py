"""Brings the patients of a data set to the grid of a recipe once, in processes, and keeps them on disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from petctfusion.errors import BadInputError, FusionError, OutputError
from petctfusion.parallel import outcomes
from petctfusion.training.case_cache import (
    PreparationSettings,
    case_key,
    clean,
    entry_folder,
    read_entry,
    write_entry,
)
from petctfusion.training.cases import Case, make_case
from petctfusion.training.datasets.patient import Patient
from petctfusion.training.datasets.reading import read_patient

_AGAIN = "Check the disk of the cache and the patient's files."
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Prepared:
    """A patient whose case is in the cache. `reused` says that it was there; `empty` that it shows no tumour."""

    patient: Patient
    folder: Path
    reused: bool
    empty: bool


@dataclass(frozen=True)
class Skipped:
    """A patient that cannot be used, with the reason and what to do about it."""

    patient: Patient
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.patient.name}: {self.message} {self.hint}".rstrip()


@dataclass(frozen=True)
class Preparation:
    """What became of a data set, both parts in its order."""

    prepared: tuple[Prepared, ...]
    skipped: tuple[Skipped, ...]
    settings: PreparationSettings

    @property
    def patients(self) -> list[Patient]:
        """The patients that can be used, for `folds` and `of_split`."""
        return [one.patient for one in self.prepared]

    @property
    def lines(self) -> list[str]:
        """The report: counts, then every patient that was skipped with the reason."""
        reused = sum(one.reused for one in self.prepared)
        empty = sum(one.empty for one in self.prepared)
        counts = f"{len(self.prepared)} prepared ({reused} from the cache, {empty} without tumour), "
        return [counts + f"{len(self.skipped)} skipped", *(f"skipped {one}" for one in self.skipped)]

    def cases(self, patients: Sequence[Patient] | None = None, memory_map: bool = False) -> list[Case]:
        """The cases of `patients` (None: all prepared ones), in their order; those that were skipped are left out.

        `memory_map` leaves the voxels on disk, for data sets larger than the memory. A case that was damaged since it
        was prepared is made again.
        """
        folder_of = {one.patient.name: one for one in self.prepared}
        wanted = self.patients if patients is None else patients
        there = [folder_of[patient.name] for patient in wanted if patient.name in folder_of]
        return [self._case(one, memory_map) for one in there]

    def _case(self, one: Prepared, memory_map: bool) -> Case:
        case = read_entry(one.folder, one.patient.name, memory_map)
        if case is not None:
            return _classed(case, one.patient)
        again = _outcome((one.patient, self.settings, one.folder.parents[1]))
        case = read_entry(again.folder, one.patient.name, memory_map) if isinstance(again, Prepared) else None
        if case is None:
            raise BadInputError(f"The prepared case of {one.patient.name} was lost and cannot be made again.", _AGAIN)
        return _classed(case, one.patient)


def _classed(case: Case, patient: Patient) -> Case:
    """The class is the data set's word and part of no cache."""
    return case if patient.lesion_class is None else dataclasses.replace(case, lesion_class=patient.lesion_class)


def prepare(
    patients: Sequence[Patient],
    settings: PreparationSettings,
    cache: Path,
    jobs: int = 1,
    report: Report = lambda *_: None,
) -> Preparation:
    """Read, check and resample all patients, `jobs` at a time; `report(done, total)` after each, for a progress bar.

    What is in `cache` for the same files and settings is taken from there, unless it is damaged. A patient that cannot
    be used is skipped, as is one whose files are a copy of another's: it would be learnt twice, and tested on what was
    learnt. The result does not depend on `jobs`. Raises `BadInputError` when nobody is left and `OutputError` when the
    cache cannot be written.
    """
    clean(cache)
    found = outcomes(_outcome, [(patient, settings, cache) for patient in patients], jobs, _died, report)
    prepared: list[Prepared] = []
    skipped: list[Skipped] = []
    first_of: dict[Path, str] = {}
    for one in found:
        if isinstance(one, Prepared):
            first = first_of.setdefault(one.folder, one.patient.name)
            if first == one.patient.name:
                prepared.append(one)
                continue
            one = Skipped(one.patient, f"Its files are a copy of those of {first}.", "Keep one of the two.")
        skipped.append(one)
    if not prepared:
        reason = f" {skipped[0]}" if skipped else ""
        raise BadInputError(f"None of {len(patients)} patients can be used.{reason}", "Correct the data set.")
    return Preparation(tuple(prepared), tuple(skipped), settings)


_Task = tuple[Patient, PreparationSettings, Path]


def _outcome(task: _Task) -> Prepared | Skipped:
    """One patient, in a process of its own or in this one."""
    patient, settings, cache = task
    try:
        if patient.problem:
            return Skipped(patient, patient.problem, patient.hint)
        _check_modalities(patient, settings)
        key = case_key(patient, settings)
        folder = entry_folder(cache, key)
        kept = read_entry(folder, patient.name, memory_map=True)
        case = kept or _made(patient, settings)
        if kept is None:
            write_entry(cache, key, case, settings)
        return Prepared(patient, folder, kept is not None, not bool((case.contour > 0).any()))
    except OutputError:
        raise
    except FusionError as error:
        return Skipped(patient, error.message, error.hint)
    except OSError as error:
        return Skipped(patient, f"A file cannot be read: {error}.", "Copy or export it again.")
    except MemoryError:
        return Skipped(patient, "There was not enough memory for it.", "Prepare fewer at a time: --jobs 1.")
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        return Skipped(patient, f"It cannot be brought to the grid: {reason}.", "Export its volumes again.")


def _check_modalities(patient: Patient, settings: PreparationSettings) -> None:
    missing = [kind for kind in settings.of(patient) if kind not in patient.volumes]
    if missing:
        raise BadInputError(f"It has no {' and no '.join(missing)}.", "Leave it out, or train with other modalities.")


def _made(patient: Patient, settings: PreparationSettings) -> Case:
    volumes, contour = read_patient(patient, settings.of(patient))
    case = make_case(patient.name, volumes, contour, settings.spacing_mm, settings.clip)
    if sitk.GetArrayViewFromImage(contour).any() and not case.contour.any():
        raise BadInputError("Its contour lies outside what its volumes share.", "Give the contour of this patient.")
    return case


def _died(task: _Task) -> Prepared | Skipped:
    return Skipped(
        task[0],
        "The process that prepared it was ended from outside, or crashed.",
        "If memory is short, prepare fewer at a time: --jobs 1.",
    )
