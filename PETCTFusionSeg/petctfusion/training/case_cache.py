"""Cases on disk: found by the content of their sources and the settings, whole or not there, checked when read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petctfusion.errors import BadInputError
from petctfusion.inference.normalise import UNITLESS
from petctfusion.training.cases import Case
from petctfusion.training.datasets.patient import Patient
from petctfusion.volumes.reading import is_dicom
from petctfusion.volumes.writing import output_error

# Counts up when preparation makes other numbers of the same files and settings.
_PREPARATION = 1
_DETACHED = re.compile(rb"^(?:ElementDataFile\s*=|data ?file:)\s*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_HEADER_SUFFIXES = (".mhd", ".nhdr")
_HEADER_BYTES = 1 << 16
_BLOCK = 1 << 20
_UNFINISHED = ".unfinished-"
_STALE_SECONDS = 3600.0
_CARD = "case.json"


@dataclass(frozen=True)
class PreparationSettings:
    """What decides a case beside its files: `spacing_mm` (z, y, x), and the limits of each modality in the network's
    order, in HU and SUV; `optional`: modalities that a patient may lack."""

    spacing_mm: tuple[float, float, float]
    clip: Mapping[str, tuple[float, float]]
    optional: tuple[str, ...] = ()

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities in the network's order."""
        return tuple(self.clip)

    def to_json(self) -> dict[str, Any]:
        """Plain values; the modalities are a list, as their order counts."""
        clip = [[kind, *limits] for kind, limits in self.clip.items()]
        scaled = [kind for kind in self.clip if kind in UNITLESS]
        return {"spacing_mm": list(self.spacing_mm), "clip": clip, **({"z_scored": scaled} if scaled else {})}

    def of(self, patient: Patient) -> tuple[str, ...]:
        """The modalities that are read of a patient."""
        return tuple(kind for kind in self.clip if kind in patient.volumes or kind not in self.optional)


def case_key(patient: Patient, settings: PreparationSettings) -> str:
    """Hash (hex) of the bytes of all files the case is made of, of what is read from them, and of the settings.

    Every byte is read anew each time: dates and sizes of files tell too little. Raises `OSError`.
    """
    sources = {kind: patient.volumes[kind] for kind in settings.of(patient)}
    contour = patient.contour
    if contour is None:
        raise BadInputError("It has no contour.", "Leave it out.")
    known: dict[Path, str] = {}
    for path in {*sources.values(), contour.path}:
        known[path] = _content(path)
    described = {
        "preparation": _PREPARATION,
        "settings": settings.to_json(),
        "volumes": {kind: known[path] for kind, path in sources.items()},
        "contour": [known[contour.path], list(contour.values), contour.name],
        "pet_units": patient.pet_units,
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def entry_folder(cache: Path, key: str) -> Path:
    """Where the case of this key is, or will be."""
    return cache / key[:2] / key


def write_entry(cache: Path, key: str, case: Case, settings: PreparationSettings) -> Path:
    """Write `case` and return its folder, which appears when it is complete. Raises `OutputError`.

    What is there under the key is replaced, unless another process has just put a sound case there.
    """
    folder = entry_folder(cache, key)
    work = folder.parent / f"{_UNFINISHED}{uuid.uuid4().hex}"
    arrays = {"image": case.image, "contour": case.contour}
    card = {
        "made_from": case.name,
        "settings": settings.to_json(),
        "spacing_zyx": list(case.spacing_zyx),
        "sha256": {name: _digest(array) for name, array in arrays.items()},
    }
    try:
        work.mkdir(parents=True)
        for name, array in arrays.items():
            with (work / f"{name}.npy").open("wb") as stream:
                np.save(stream, array)
                stream.flush()
                os.fsync(stream.fileno())
        (work / _CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        _put_in_place(work, folder)
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def read_entry(folder: Path, name: str, memory_map: bool = False) -> Case | None:
    """The case in `folder` under the name of its patient, None where there is none or it is damaged.

    All of it is read and compared with its checksum. `memory_map` then leaves the arrays on disk (copy on write).
    """
    try:
        card = json.loads((folder / _CARD).read_text(encoding="utf-8"))
        arrays = {
            part: np.load(folder / f"{part}.npy", mmap_mode="c" if memory_map else None, allow_pickle=False)
            for part in ("image", "contour")
        }
        if any(_digest(array) != card["sha256"][part] for part, array in arrays.items()):
            return None
        z, y, x = (float(v) for v in card["spacing_zyx"])
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    image, contour = arrays["image"], arrays["contour"]
    return Case(name, image, contour, np.argwhere(contour >= 0.5), (z, y, x))


def clean(cache: Path) -> None:
    """Remove what killed processes left half-written more than an hour ago. Raises `OutputError`."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for path in cache.glob(f"*/{_UNFINISHED}*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)
    except OSError as error:
        raise output_error(cache, error) from error


def _put_in_place(work: Path, folder: Path) -> None:
    """Rename `work` to `folder`; what lay there goes first, by a rename too, so that no reader sees half of either."""
    if folder.exists():
        old = folder.parent / f"{_UNFINISHED}{uuid.uuid4().hex}"
        folder.replace(old)
        shutil.rmtree(old, ignore_errors=True)
    try:
        work.replace(folder)
    except OSError:
        if read_entry(folder, "") is None:
            raise


def _digest(array: NDArray[np.float32]) -> str:
    """Checksum of the numbers with their shape and type."""
    digest = hashlib.sha256(f"{array.shape} {array.dtype.str}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _content(path: Path) -> str:
    """Checksum of a file with the one it refers to, or of all files of a DICOM series' folder."""
    digest = hashlib.sha256()
    for name, part in _parts(path):
        own = hashlib.sha256()
        with part.open("rb") as stream:
            while block := stream.read(_BLOCK):
                own.update(block)
        digest.update(f"{name} {own.hexdigest()}\n".encode())
    return digest.hexdigest()


def _parts(path: Path) -> Iterator[tuple[str, Path]]:
    """The files behind `path`, with names that stay when the data set moves."""
    if path.suffix.lower() != ".png" and is_dicom(path):
        # One file stands for its series, which lies beside it and not below.
        folder, found_files = (path, path.rglob("*")) if path.is_dir() else (path.parent, path.parent.iterdir())
        yield from ((one.relative_to(folder).as_posix(), one) for one in sorted(found_files) if one.is_file())
        return
    yield "", path
    with path.open("rb") as stream:
        found = _DETACHED.search(stream.read(_HEADER_BYTES)) if path.suffix.lower() in _HEADER_SUFFIXES else None
    detached = path.parent / found[1].decode(errors="replace") if found else path
    if detached != path and detached.is_file():
        yield detached.name, detached
