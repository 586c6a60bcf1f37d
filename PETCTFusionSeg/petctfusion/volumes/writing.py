"""Writes a volume so that nobody ever sees half of it."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import SimpleITK as sitk

from petctfusion.errors import BadInputError, OutputError
from petctfusion.volumes.headers import check_file
from petctfusion.volumes.notes import FRAME_KEY, NOTES_KEY, PATIENT_KEY

SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".mha")


def write_volume(image: sitk.Image, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> Path:
    """Write `image` (compressed) to a NIfTI, NRRD or MHA file and return its absolute path.

    The file appears under its name only when complete: it is written beside it, read through again, then renamed.
    What the reader noted about patient and study stays out of the file; `metadata` are key/value pairs for an NRRD or
    MHA header. Raises `OutputError`.
    """
    target = Path(path).absolute()
    suffix = next((s for s in SUFFIXES if target.name.lower().endswith(s)), None)
    if suffix is None:
        raise OutputError(f"{target} has a file type that cannot be written.", f"Use one of {', '.join(SUFFIXES)}.")
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.parent / f".writing-{uuid.uuid4().hex}{suffix}"
        with temporary.open("xb"):
            pass
        _write(image, temporary, metadata or {})
        temporary.replace(target)
    except OSError as error:
        raise output_error(target, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return target


def output_error(target: Path, error: OSError) -> OutputError:
    """The sentence for an `OSError` met while writing `target`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(
            f"{target} could not be written: the disk is full.", "Free some space or choose another disk."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(
            f"{target} could not be written: no permission to write in {target.parent}.", "Choose another folder."
        )
    reason = error.strerror or type(error).__name__
    return OutputError(f"{target} could not be written: {reason}.", "Choose another folder.")


def _write(image: sitk.Image, temporary: Path, metadata: Mapping[str, str]) -> None:
    """Write and read through again: on a full disk ITK may report nothing."""
    clean = sitk.Image(image)
    for key in (NOTES_KEY, PATIENT_KEY, FRAME_KEY):
        clean.EraseMetaData(key)
    for key, value in metadata.items():
        clean.SetMetaData(key, value)
    try:
        sitk.WriteImage(clean, str(temporary), useCompression=True)
        check_file(temporary)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
    except (RuntimeError, BadInputError) as error:
        raise OSError(_reason(temporary), "the file is incomplete") from error


def _reason(temporary: Path) -> int:
    """Ask the disk why a write failed: as many bytes as a small file needs either fit or name the reason."""
    try:
        with temporary.open("ab") as stream:
            stream.write(b"\0" * (1 << 20))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        return error.errno or errno.EIO
    return errno.EIO
