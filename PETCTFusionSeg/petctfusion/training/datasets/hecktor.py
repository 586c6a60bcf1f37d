"""HECKTOR 2022 and 2025 (head and neck): ID__CT.nii.gz, ID__PT.nii.gz, and ID.nii.gz with 1 GTVp and 2 GTVn.

2022 keeps images in imagesTr and labels in labelsTr, 2025 one folder a patient with the label beside the images.
"""

from __future__ import annotations

from pathlib import Path

from petctfusion.training.datasets.patient import Contour, Patient, Say, label_values, lacking

LABELS = {"GTVp": 1, "GTVn": 2}
_SUFFIX = ".nii.gz"
_MODALITIES = {"CT": "__CT", "PET": "__PT"}
_TEST_FOLDERS = frozenset({"imagesTs", "labelsTs"})


def find(folder: Path, label: str | None, say: Say) -> list[Patient]:
    """Every patient below `folder` but those of imagesTs; `label` GTVp or GTVn, None for both together."""
    del say
    values = label_values(label, LABELS, str(folder))
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob(f"*{_SUFFIX}")):
        if not _TEST_FOLDERS & set(path.relative_to(folder).parts):
            files.setdefault(path.name[: -len(_SUFFIX)], []).append(path)
    names = {stem.removesuffix(end) for stem in files for end in _MODALITIES.values() if stem.endswith(end)}
    return [_patient(name, files, values) for name in sorted(names)]


def _patient(name: str, files: dict[str, list[Path]], values: tuple[int, ...]) -> Patient:
    found = {kind: files[name + end] for kind, end in _MODALITIES.items() if name + end in files}
    labels = files.get(name, [])
    volumes = {kind: paths[0] for kind, paths in found.items()}
    problem = lacking(volumes, labels[0] if labels else None, _MODALITIES)
    hint = f"A patient has {name}__CT, {name}__PT and {name}{_SUFFIX}." if problem else ""
    twice = next((paths for paths in (*found.values(), labels) if len(paths) > 1), None)
    if twice is not None:
        problem, hint = f"It is there twice: {twice[0]} and {twice[1]}.", "Keep one of them."
    contour = Contour(labels[0], values) if labels else None
    return Patient(name, name, volumes, contour, pet_units="suvbw", problem=problem, hint=hint)
