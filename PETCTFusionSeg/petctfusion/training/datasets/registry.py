"""The kinds of data sets by name, each with the adapter that finds its patients."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from petctfusion.errors import BadInputError
from petctfusion.training.datasets import autopet, csv_table, dicom_folders, hecktor, nnunet_raw, pclt20k, sts
from petctfusion.training.datasets.patient import Patient, Say


@dataclass(frozen=True)
class Kind:
    """A layout: how to find its patients, and what it looks like in a few words."""

    find: Callable[[Path, str | None, Say], list[Patient]]
    layout: str


KINDS = {
    "sts": Kind(sts.find, "split.json, margins.json, STS_nnn/CT.nii.gz, PET.nii.gz, CT_GTV.nii.gz"),
    "nnunet": Kind(nnunet_raw.find, "dataset.json, imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz"),
    "autopet": Kind(autopet.find, "PATIENT/STUDY/CTres.nii.gz, SUV.nii.gz, SEG.nii.gz"),
    "hecktor": Kind(hecktor.find, "ID__CT.nii.gz, ID__PT.nii.gz, ID.nii.gz (1 GTVp, 2 GTVn)"),
    "pclt20k": Kind(pclt20k.find, "PATIENT/PATIENT_SLICE_{ct,pet,mask}.png, train.txt, test.txt"),
    "csv": Kind(csv_table.find, "a table with the columns patient, contour, CT, PET, and study, split if needed"),
    "dicom": Kind(dicom_folders.find, "PATIENT/ with a CT series, a PET series and an RTSTRUCT"),
}


def find_patients(kind: str, folder: Path, label: str | None = None, say: Say = lambda _: None) -> list[Patient]:
    """The studies of a data set in a fixed order; `say` is told in one sentence what was passed over.

    `folder` is the data set's (for "csv" the table). `label` chooses one label, segment or ROI; None takes all tumour.
    A study that cannot be used has a `problem` and stays in the list. Raises `BadInputError` for an unknown kind, a
    folder of another layout or without patients, and two studies of one name.
    """
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Use one of {', '.join(KINDS)}."
        raise BadInputError(f"There is no kind of data set called {kind!r}.", hint)
    folder = Path(folder)
    if not (folder.is_file() if kind == "csv" else folder.is_dir()):
        what = "table" if kind == "csv" else "folder"
        raise BadInputError(f"{folder} is not a {what}.", f"A data set of kind {kind} is {KINDS[kind].layout}.")
    try:
        patients = KINDS[kind].find(folder, label, say)
    except OSError as error:
        reason = f"{error.filename or folder}: {error.strerror or error}"
        raise BadInputError(
            f"The data set cannot be read ({reason}).", "Check the permissions and the disk."
        ) from error
    if not patients:
        raise BadInputError(f"{folder} holds no patient.", f"A data set of kind {kind} is {KINDS[kind].layout}.")
    seen: set[str] = set()
    for patient in patients:
        if patient.name in seen:
            raise BadInputError(f"{patient.name} is in {folder} twice.", "Give every study a name of its own.")
        seen.add(patient.name)
    return patients
