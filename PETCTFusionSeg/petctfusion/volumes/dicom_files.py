"""Which DICOM series lie in a folder."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import MediaStorageDirectoryStorage

from petctfusion.errors import BadInputError, FusionError

IMAGE_MODALITIES = ("CT", "PT", "MR", "NM", "OT", "SC")
_DICOM_SUFFIXES = (".dcm", ".ima", ".dicom", ".dic")
_MOST_FILES = 20_000
_COPY_AGAIN = "Export the series again."


@dataclass(frozen=True)
class SeriesFiles:
    """The files of one series with their headers (pixels not read), in the order of the folder."""

    uid: str
    modality: str
    description: str
    files: tuple[Path, ...]
    headers: tuple[FileDataset, ...]

    def __str__(self) -> str:
        return f'{self.modality or "unknown"} "{self.description or self.uid}" ({len(self.files)} files)'


@contextmanager
def tags_of(path: Path) -> Iterator[None]:
    """While tags are looked at: pydicom parses them late, so a damaged one warns or fails in any way, anywhere."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except FusionError:
        raise
    except Exception as error:
        raise BadInputError(f"{path} holds a DICOM file with damaged tags.", _COPY_AGAIN) from error


def find_series(folder: Path) -> list[SeriesFiles]:
    """All series of a folder; its subfolders are searched only when no DICOM file lies in the folder itself.

    Raises `BadInputError` for a folder without DICOM files and for a DICOM file that is empty or unreadable.
    """
    try:
        found = _group(p for p in sorted(folder.iterdir()) if p.is_file())
        if not found:
            found = _group(sorted(_files_below(folder)))
    except OSError as error:
        raise BadInputError(f"{folder} cannot be read: {error.strerror}.", "Check the folder's permissions.") from error
    if not found:
        raise BadInputError(f"{folder} holds no DICOM files.", "Choose the folder with the .dcm files of one series.")
    return found


def series_of_file(path: Path) -> SeriesFiles:
    """The series to which one DICOM file belongs: all files beside it with the same SeriesInstanceUID."""
    header = read_header(path)
    if header is None:
        raise BadInputError(
            f"{path} is of a type that is not read.", "Give NIfTI, NRRD, MHA or MHD, or a DICOM folder."
        )
    uid = str(header.get("SeriesInstanceUID", ""))
    return next(s for s in find_series(path.parent) if s.uid == uid)


def choose_series(folder: Path, series: list[SeriesFiles], modality: str | None) -> SeriesFiles:
    """The one series of `modality` (any image when None). Raises `BadInputError` naming the series to choose from."""
    images = [s for s in series if s.modality in IMAGE_MODALITIES]
    fitting = [s for s in images if modality is None or s.modality == modality]
    if len(fitting) == 1:
        return fitting[0]
    names = "; ".join(str(s) for s in (fitting or series))
    if not fitting:
        swapped = {("CT", "PT"), ("PT", "CT")} & {(str(modality), s.modality) for s in images}
        hint = "CT and PET look swapped." if swapped else "Choose the folder of the right series."
        if {s.modality for s in series} & {"RTSTRUCT", "SEG"} and not images:
            hint = "Convert the contour to a label map first, for instance by exporting the segmentation in Slicer."
        raise BadInputError(f"{folder} holds no {modality or 'image'} series but {names}.", hint)
    raise BadInputError(
        f"{folder} holds {len(fitting)} {modality or 'image'} series: {names}.",
        "Choose one file of the wanted series, or put each series into its own folder.",
    )


def read_header(path: Path) -> FileDataset | None:
    """Header of a DICOM file, None for a file that never was DICOM. Raises `BadInputError` for a damaged one."""
    meant = path.suffix.lower() in _DICOM_SUFFIXES
    if path.stat().st_size == 0:
        if meant or path.suffix == "" or path.suffix[1:].isdigit():
            raise BadInputError(f"{path} is empty (0 bytes).", _COPY_AGAIN)
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, stop_before_pixels=True)
    except InvalidDicomError:
        header = _without_preamble(path)
        if header is None and meant:
            raise BadInputError(f"{path} is not a DICOM file, whatever its name says.", _COPY_AGAIN) from None
        return header
    except Exception as error:  # pydicom lets errors of many kinds through on damaged bytes
        raise BadInputError(f"{path} is a damaged DICOM file.", _COPY_AGAIN) from error
    if header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        return None
    if not header.get("SeriesInstanceUID"):
        raise BadInputError(f"{path} is truncated or damaged: it belongs to no series.", _COPY_AGAIN)
    return header


def _without_preamble(path: Path) -> FileDataset | None:
    """Old exports lack the 128-byte preamble; text files that merely parse do not name a SOP class."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            return header if str(header.get("SOPClassUID", "")).startswith("1.2.840.") else None
    except Exception:  # anything but DICOM may fail in any way
        return None


def _group(paths: Iterable[Path]) -> list[SeriesFiles]:
    members: dict[str, list[tuple[Path, FileDataset]]] = {}
    for path in paths:
        if path.name.startswith(".") or path.name.upper() == "DICOMDIR":
            continue
        header = read_header(path)
        if header is not None:
            members.setdefault(str(header.get("SeriesInstanceUID", "")), []).append((path, header))
    return [_series(uid, pairs) for uid, pairs in members.items()]


def _series(uid: str, pairs: list[tuple[Path, FileDataset]]) -> SeriesFiles:
    first = pairs[0][1]
    return SeriesFiles(
        uid,
        str(first.get("Modality", "")),
        str(first.get("SeriesDescription", "")),
        tuple(p for p, _ in pairs),
        tuple(h for _, h in pairs),
    )


def _files_below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        found += [Path(root) / name for name in names]
        if len(found) > _MOST_FILES:
            raise BadInputError(
                f"{folder} holds more than {_MOST_FILES} files.", "Choose the folder of one DICOM series."
            )
    return found
