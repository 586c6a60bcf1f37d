"""autoPET: FDG-PET-CT-Lesions and PSMA-PET-CT-Lesions as NIfTI, PATIENT/STUDY/{CTres,SUV,SEG}.nii.gz.

Gatidis et al., Sci Data 2022, doi 10.1038/s41597-022-01718-3. Half of the FDG studies show no tumour: an empty SEG.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from petctfusion.training.datasets.patient import Contour, Patient, Say, label_values, lacking

# CTres is CT on the PET's grid; the original serves as well. PET.nii.gz is in Bq/ml and does not.
_FILES = {"CT": ("CTres.nii.gz", "CT.nii.gz"), "PET": ("SUV.nii.gz",)}
_CONTOUR = "SEG.nii.gz"


def find(folder: Path, label: str | None, say: Say) -> list[Patient]:
    """Every study below `folder`; the folder that holds a patient's studies is its identity."""
    del say
    label_values(label, {"tumour": 1}, str(folder))
    return [_patient(folder, study) for study in _studies(folder)]


def _studies(folder: Path) -> Iterator[Path]:
    """Folders with one of the files, and those with nothing below them, which lack them all."""
    wanted = {_CONTOUR, *(name for names in _FILES.values() for name in names)}
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if (not folders or wanted & set(names)) and Path(root) != folder:
            yield Path(root)


def _patient(folder: Path, study: Path) -> Patient:
    relative = study.relative_to(folder)
    volumes = {
        kind: study / next(name for name in names if (study / name).is_file())
        for kind, names in _FILES.items()
        if any((study / name).is_file() for name in names)
    }
    contour = study / _CONTOUR if (study / _CONTOUR).is_file() else None
    problem = lacking(volumes, contour, _FILES)
    return Patient(
        relative.as_posix(),
        relative.parts[-2] if len(relative.parts) > 1 else relative.name,
        volumes,
        None if contour is None else Contour(contour),
        pet_units="suvbw",
        problem=problem,
        hint="A study holds CTres.nii.gz, SUV.nii.gz and SEG.nii.gz." if problem else "",
    )
