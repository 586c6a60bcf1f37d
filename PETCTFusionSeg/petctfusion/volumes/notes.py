"""Remarks that travel with an image, so that what the reader noticed reaches the verdict."""

from __future__ import annotations

import SimpleITK as sitk

NOTES_KEY = "petctfusion.notes"
PATIENT_KEY = "petctfusion.patient_id"
FRAME_KEY = "petctfusion.frame_of_reference"


def add_note(image: sitk.Image, note: str) -> None:
    """Append one sentence to the remarks of `image`."""
    image.SetMetaData(NOTES_KEY, "\n".join([*notes_of(image), note]))


def notes_of(image: sitk.Image) -> list[str]:
    """The remarks on `image`, in the order in which they were made."""
    text = value_of(image, NOTES_KEY)
    return text.split("\n") if text else []


def value_of(image: sitk.Image, key: str) -> str:
    """One metadata value, empty when absent."""
    return str(image.GetMetaData(key)) if image.HasMetaDataKey(key) else ""


def copy_marks(source: sitk.Image, target: sitk.Image) -> sitk.Image:
    """`target` with the metadata of `source`, which SimpleITK filters drop."""
    for key in source.GetMetaDataKeys():
        target.SetMetaData(key, source.GetMetaData(key))
    return target
