"""DICOM: one folder a patient with its CT and PET series and an RTSTRUCT (or all of them in subfolders of it)."""

from __future__ import annotations

import os
from pathlib import Path

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.patient import Contour, Patient, Say
from petctfusion.volumes.dicom_files import read_header, tags_of


def find(folder: Path, label: str | None, say: Say) -> list[Patient]:
    """One patient a subfolder. `label` is the name of the ROI; None takes the only one with contours.

    Series are told apart when they are read. Folders that share a Patient ID (0010,0020) share an identity, so that
    folds keep them together: two visits of a patient, or files made anonymous with one ID for all.
    """
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    patients = [_patient(path, label) for path in folders]
    shared = len(patients) - len({patient.identity for patient in patients})
    if shared:
        say(f"{shared} folders of {folder} have the Patient ID of another one: they count as the same patient.")
    return patients


def _patient(folder: Path, label: str | None) -> Patient:
    volumes = {"CT": folder, "PET": folder}
    try:
        identity = _patient_id(folder)
    except BadInputError as error:
        return Patient(folder.name, folder.name, volumes, None, problem=error.message, hint=error.hint)
    if identity is None:
        return Patient(folder.name, folder.name, {}, None, problem="It holds no DICOM file.", hint="Export it again.")
    return Patient(folder.name, identity or folder.name, volumes, Contour(folder, name=label))


def _patient_id(folder: Path) -> str | None:
    """Patient ID of the first DICOM file, None when there is none."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.startswith(".") or name.upper() == "DICOMDIR":
                continue
            path = Path(root) / name
            header = read_header(path)
            if header is not None:
                with tags_of(path):
                    return str(header.get("PatientID") or "").strip()
    return None
