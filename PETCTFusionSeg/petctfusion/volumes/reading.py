"""Reads volumes from files and DICOM folders: in LPS, finite, three-dimensional, or refused in one sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes.dicom import read_series
from petctfusion.volumes.grid import CT_AIR_HU
from petctfusion.volumes.headers import check_file, not_finite
from petctfusion.volumes.notes import add_note, copy_marks
from petctfusion.volumes.segnrrd import has_segments

FILE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
# Named, as ITK's own choice by suffix takes no capital letters for MetaImage.
_READERS = {
    "nii": "NiftiImageIO",
    "nrrd": "NrrdImageIO",
    "nhdr": "NrrdImageIO",
    "mha": "MetaImageIO",
    "mhd": "MetaImageIO",
}
_INTEGER_TYPES = (
    sitk.sitkUInt8,
    sitk.sitkInt8,
    sitk.sitkUInt16,
    sitk.sitkInt16,
    sitk.sitkUInt32,
    sitk.sitkInt32,
    sitk.sitkUInt64,
    sitk.sitkInt64,
)


def read_volume(path: str | os.PathLike[str], modality: str | None = None) -> sitk.Image:
    """A 3-D image in LPS from a NIfTI, NRRD or MetaImage file, a DICOM folder or one file of a DICOM series.

    `modality` ("CT", "PT", "MR") chooses among the series of a folder. DICOM values are rescaled, and nothing else.
    Raises `BadInputError` for anything missing, damaged, not 3-D, not finite or without a positive spacing.
    """
    source = existing(path)
    image = read_series(source, modality).image if is_dicom(source) else read_file(source)
    check_finite(source, image)
    return image


def read_ct(path: str | os.PathLike[str]) -> sitk.Image:
    """A CT in HU (int16 or float32). Padding below -1024 HU is set to -1024 and noted."""
    image = read_volume(path, "CT")
    lowest = float(sitk.GetArrayViewFromImage(image).min())
    if lowest >= CT_AIR_HU:
        return image
    clamped = copy_marks(image, sitk.Cast(sitk.Maximum(image, CT_AIR_HU), image.GetPixelID()))
    add_note(
        clamped, f"CT values below {CT_AIR_HU:g} HU (down to {lowest:g}) are padding and were set to {CT_AIR_HU:g}."
    )
    return clamped


def read_mr(path: str | os.PathLike[str]) -> sitk.Image:
    """An MR volume in its own arbitrary units."""
    return read_volume(path, "MR")


def read_mask(path: str | os.PathLike[str]) -> sitk.Image:
    """A label map as uint8: 0 background, every other value a label. Raises `BadInputError` if they are none."""
    return as_label_map(path, read_volume(path))


def as_label_map(path: str | os.PathLike[str], image: sitk.Image) -> sitk.Image:
    """What was read from `path` as uint8. Raises `BadInputError` unless its values are whole numbers from 0 to 255."""
    values = sitk.GetArrayViewFromImage(image)
    lowest, highest = float(values.min()), float(values.max())
    whole = image.GetPixelID() in _INTEGER_TYPES or bool(np.all(values == np.round(values)))
    if not whole or lowest < 0 or highest > 255:
        kind = "whole numbers" if whole else "fractions"
        raise BadInputError(
            f"{path} is not a label map: it holds {kind} from {lowest:g} to {highest:g}.",
            "Give a mask with 0 for background and whole numbers up to 255 for labels.",
        )
    return copy_marks(image, sitk.Cast(image, sitk.sitkUInt8))


def existing(path: str | os.PathLike[str]) -> Path:
    """`path` as `Path`. Raises `BadInputError` when nothing is there or it may not be read."""
    source = Path(path)
    try:
        if not source.exists():
            raise BadInputError(f"{source} does not exist.", "Check the path.")
        if not os.access(source, os.R_OK):
            raise BadInputError(f"{source} cannot be read: no permission.", "Check the file's permissions.")
    except (OSError, ValueError) as error:
        raise BadInputError(f"{source} cannot be opened.", "Check the path.") from error
    return source


def is_dicom(source: Path) -> bool:
    """True for a folder, and for a file that no other reader claims."""
    return source.is_dir() or not source.name.lower().endswith(FILE_SUFFIXES)


def read_file(path: Path, segments: bool = False) -> sitk.Image:
    """A 3-D image from one file that is not DICOM; with `segments` also a segmentation of any size and of many layers.

    Its values are not looked at, except where NIfTI would hide that they are not finite. Raises `BadInputError`.
    """
    try:
        header = check_file(path)
        with _quiet():
            reader = sitk.ImageFileReader()
            reader.SetImageIO(_READERS[path.name.lower().removesuffix(".gz").rpartition(".")[2]])
            reader.SetFileName(str(path))
            reader.ReadImageInformation()
            if not (segments and has_segments(reader.GetMetaDataKeys())):
                _check_dimensions(path, reader.GetSize(), reader.GetNumberOfComponents())
            image = reader.Execute()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror or error}.", "Copy or export it again.") from error
    except RuntimeError as error:
        raise BadInputError(f"{path} cannot be read: {_itk_reason(error)}.", "Copy or export it again.") from error
    image = _three_dimensional(image)
    if len(header.sizes) > 3:
        add_note(image, f"The file is {len(header.sizes)}-D with one time point, which is used.")
    return image


def _check_dimensions(path: Path, size: tuple[int, ...], components: int) -> None:
    if components != 1:
        raise BadInputError(
            f"{path} holds {components} values per voxel (colour, vectors or overlapping segments).",
            "Give a volume with one number per voxel.",
        )
    real = [axis for axis, count in enumerate(size) if count > 1]
    if len(size) < 3 or size[2] < 2 or len([a for a in real if a < 3]) < 3:
        shape = " x ".join(map(str, size))
        raise BadInputError(f"{path} is a 2-D image ({shape}), not a volume.", "Give the whole stack of slices.")
    if any(count > 1 for count in size[3:]):
        raise BadInputError(
            f"{path} is 4-D: it holds {int(np.prod(size[3:]))} volumes, for instance time points.",
            "Save the wanted one as a 3-D volume.",
        )


def _three_dimensional(image: sitk.Image) -> sitk.Image:
    """A 4-D image of one time point without its time axis; the direction is that of the first three axes."""
    if image.GetDimension() == 3:
        return image
    size = list(image.GetSize())
    return copy_marks(image, sitk.Extract(image, size[:3] + [0] * (len(size) - 3), [0] * len(size)))


def check_finite(path: Path, image: sitk.Image) -> None:
    """Raises `BadInputError` when a floating-point image holds NaN or infinity."""
    if image.GetPixelID() not in (sitk.sitkFloat32, sitk.sitkFloat64):
        return
    bad = int(image.GetNumberOfPixels() - np.count_nonzero(np.isfinite(sitk.GetArrayViewFromImage(image))))
    if bad:
        raise not_finite(path, bad)


def _itk_reason(error: RuntimeError) -> str:
    """What an ITK exception says, without source files and addresses."""
    text = str(error)
    if "orthonormal" in text:
        return "its axes are not at right angles"
    if "Unable to determine ImageIO" in text or "could not" in text.lower():
        return "the file is damaged or of another type than its name says"
    return text.strip().splitlines()[-1].split("): ")[-1].rstrip(".") if text.strip() else "unknown reason"


@contextmanager
def _quiet() -> Iterator[None]:
    """ITK's warnings stay off the terminal while reading; so does what its NIfTI and MetaImage parts print past ITK."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        with _silent_stderr():
            yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """File descriptor 2 closed to C code; without one (a desktop application on Windows) there is nothing to do."""
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
