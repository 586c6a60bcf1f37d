"""Files that a visitor sends: named anew, counted while they come, and looked at before anything reads them."""

from __future__ import annotations

import gzip
import re
import shutil
import stat
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aiohttp import BodyPartReader, MultipartReader

from petctfusion.errors import BadInputError, FusionError, OutputError
from PETCTFusionSegLib.i18n import _

VOLUMES = (".nii", ".nii.gz", ".nrrd", ".mha")
"""A volume in one file; .mhd and .nhdr name another file, which could be any on this computer."""
DICOM, ARCHIVE = ".dcm", ".zip"
_UNPACKED = 4
_MOST_FILES = 20_000
_LONGEST_NAME = 100
_CHUNK = 1 << 18
_HEADER_BYTES = 1 << 20
_NOT_IN_NAMES = re.compile(r"[^\w\-. ()+]+")
_ELSEWHERE = re.compile(rb"^(?:data ?file\s*:|ElementDataFile\s*=(?!\s*LOCAL\s*$))", re.IGNORECASE | re.MULTILINE)


class TooLargeError(BadInputError):
    """More than the server takes."""


@dataclass(frozen=True)
class Arrival:
    """What one drop or choice brought: volumes, each in a file, and a folder of DICOM files if there were any."""

    volumes: tuple[Path, ...]
    dicom: Path | None = None


async def receive(parts: MultipartReader, folder: Path, limit: int) -> list[Path]:
    """Write the files of a form into the empty `folder`, as they come. Raises `BadInputError` for what is not taken."""
    stored: list[Path] = []
    left = limit
    try:
        while (part := await parts.next()) is not None:
            if not isinstance(part, BodyPartReader) or not part.filename:
                raise BadInputError(_("The upload was not understood."), _("Reload the page and try again."))
            if len(stored) >= _MOST_FILES:
                raise BadInputError(_("More than {n} files were sent.").format(n=_MOST_FILES), _("Send one study."))
            path = folder / f"{len(stored):05d}" / safeName(part.filename)
            path.parent.mkdir()
            stored.append(path)
            with path.open("wb") as target:
                while chunk := await part.read_chunk(_CHUNK):
                    left -= len(chunk)
                    if left < 0:
                        raise tooLarge(limit)
                    target.write(chunk)
    except OSError as error:
        raise _notStored(error) from error
    if not stored:
        raise BadInputError(_("No file was sent."), _("Choose at least one."))
    return stored


def unpack(stored: Iterable[Path], folder: Path, limit: int) -> Arrival:
    """Sort what was received; archives are unpacked, DICOM files brought together below `folder`. Takes a moment."""
    volumes: list[Path] = []
    dicom = folder / "dicom"
    budget = _Budget(_UNPACKED * limit)
    try:
        for path in stored:
            name = path.name.lower()
            if name.endswith(VOLUMES):
                _requireWhole(path, _Budget(_UNPACKED * limit))
                volumes.append(path)
            else:
                dicom.mkdir(exist_ok=True)
                if name.endswith(ARCHIVE):
                    _unpackArchive(path, dicom, budget)
                    path.unlink()
                else:
                    path.replace(dicom / f"{budget.nextFile():06d}")
    except OSError as error:
        raise _notStored(error) from error
    return Arrival(tuple(volumes), dicom if dicom.is_dir() else None)


def safeName(given: str) -> str:
    """The last part of a file's name without anything that a file system or a shell minds; its ending is checked."""
    name = _NOT_IN_NAMES.sub("_", re.split(r"[\\/]", given)[-1]).strip(". ")
    lower = name.lower()
    suffix = next((end for end in sorted((*VOLUMES, DICOM, ARCHIVE), key=len)[::-1] if lower.endswith(end)), None)
    if suffix is None or len(name) == len(suffix):
        raise BadInputError(
            _('"{name}" is of a type that is not taken.').format(name=name[-_LONGEST_NAME:]),
            _("Send NIfTI (.nii, .nii.gz), NRRD (.nrrd, .seg.nrrd), MetaImage (.mha), or DICOM (.dcm, or a .zip)."),
        )
    return name[: -len(suffix)][:_LONGEST_NAME] + name[-len(suffix) :]


def tooLarge(limit: int) -> TooLargeError:
    """The refusal of what exceeds `limit` bytes."""
    return TooLargeError(
        _("The upload is larger than {n} MB.").format(n=limit >> 20),
        _("Send only CT, PET and contour, or start the server with a larger --max-upload-mb."),
    )


class _Budget:
    """How many bytes and files may still be unpacked."""

    def __init__(self, limit: int) -> None:
        self._left = self._limit = limit
        self._files = 0

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooLargeError(
                _("Unpacked, the upload is larger than {n} MB.").format(n=self._limit >> 20),
                _("Send the one study that is needed."),
            )

    def nextFile(self) -> int:
        self._files += 1
        if self._files > _MOST_FILES:
            raise TooLargeError(
                _("The upload holds more than {n} files.").format(n=_MOST_FILES), _("Send the one study.")
            )
        return self._files


def _unpackArchive(path: Path, folder: Path, budget: _Budget) -> None:
    """Every file under a name of ours: whatever the archive says, nothing is written elsewhere and no link is made."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                number = budget.nextFile()
                if member.is_dir() or stat.S_ISLNK(member.external_attr >> 16) or member.file_size == 0:
                    continue
                with archive.open(member) as source, (folder / f"{number:06d}").open("wb") as target:
                    _copy(source, target, budget)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise BadInputError(
            _('"{name}" is damaged or encrypted.').format(name=path.name), _("Pack the DICOM files again.")
        ) from error


def _copy(source: object, target: BinaryIO, budget: _Budget) -> None:
    """Counted as it is unpacked: an archive may say less than it holds."""
    read = source.read  # type: ignore[attr-defined]
    while chunk := read(_CHUNK):
        budget.spend(len(chunk))
        target.write(chunk)


def _requireWhole(path: Path, budget: _Budget) -> None:
    """Refuse, before anything reads it, what unpacks to more than may be held or takes its voxels from elsewhere."""
    if path.name.lower().endswith(".gz"):
        try:
            with gzip.open(path) as stream:
                while chunk := stream.read(_CHUNK):
                    budget.spend(len(chunk))
        except (gzip.BadGzipFile, EOFError, ValueError) as error:
            raise BadInputError(
                _('"{name}" is not a complete NIfTI file.').format(name=path.name), _("Copy or export it again.")
            ) from error
        return
    if path.name.lower().endswith(".nii"):
        return
    with path.open("rb") as stream:
        if _ELSEWHERE.search(_headerOf(stream.read(_HEADER_BYTES), path)):
            raise BadInputError(
                _('"{name}" takes its voxels from another file.').format(name=path.name),
                _("Save header and voxels in one file."),
            )


def _headerOf(data: bytes, path: Path) -> bytes:
    """The lines before the voxels."""
    data = data.replace(b"\r\n", b"\n")
    if path.name.lower().endswith(".nrrd"):
        return data.partition(b"\n\n")[0]
    found = re.search(rb"^ElementDataFile[^\n]*", data, re.IGNORECASE | re.MULTILINE)
    return data[: found.end()] if found else data


def _notStored(error: OSError) -> FusionError:
    return OutputError(
        _("The upload could not be stored: {reason}.").format(reason=error.strerror or error),
        _("Free some space on the server's disk."),
    )


def discard(folder: Path) -> None:
    """Remove what was received."""
    shutil.rmtree(folder, ignore_errors=True)
