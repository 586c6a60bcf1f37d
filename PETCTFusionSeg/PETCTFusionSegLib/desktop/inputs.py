"""From the chosen nodes to the volumes that a run needs; asks instead of guessing when PET units are unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pydicom
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes import check_plausible, check_study
from petctfusion.volumes.suv import suv_factor
from PETCTFusionSegLib.mrml.volumes import (
    DECLARED_UNITS_ATTRIBUTE,
    dicomFilesOfNode,
    imageFromVolumeNode,
    petUnitsOfNode,
)

_SUV = ("SUVbw",)
_FROM_HEADERS = ("BQML", "CNTS", "GML")


@dataclass(frozen=True)
class StudyImages:
    """CT in HU and PET in SUVbw, in world space, how the units are known, and what the check noticed."""

    ct: sitk.Image
    pet: sitk.Image
    petUnits: str
    notes: tuple[str, ...]


def unitsAreUnknown(petNode: Any) -> bool:
    """True when the PET node does not say its units, so the user has to."""
    return petNode is not None and petUnitsOfNode(petNode).units is None


def declareUnits(petNode: Any, units: str | None) -> None:
    """Keep what the user says about the PET's units ("SUVbw", "BQML") in the node; None takes it back."""
    if units is None:
        petNode.RemoveAttribute(DECLARED_UNITS_ATTRIBUTE)
    else:
        petNode.SetAttribute(DECLARED_UNITS_ATTRIBUTE, units)


def declaredUnits(petNode: Any) -> str | None:
    """What the user said about the PET's units, if anything."""
    return petNode.GetAttribute(DECLARED_UNITS_ATTRIBUTE) if petNode is not None else None


def collectImages(ctNode: Any, petNode: Any) -> StudyImages:
    """The two volumes, checked in physical space. Raises `BadInputError` with a hint when they cannot be used."""
    ct = imageFromVolumeNode(ctNode)
    pet, units = _suvOf(petNode)
    verdict = check_study(ct, pet)
    verdict.raise_if_refused()
    return StudyImages(ct, pet, units, tuple(verdict.messages))


def _suvOf(petNode: Any) -> tuple[sitk.Image, str]:
    found = petUnitsOfNode(petNode)
    name = f'The PET "{petNode.GetName()}"'
    if found.units is None:
        raise BadInputError(f"{name} is in unknown units: {found.evidence}.", "Say in the panel what its units are.")
    values = sitk.Cast(imageFromVolumeNode(petNode), sitk.sitkFloat32)
    if found.units in _FROM_HEADERS:
        files = dicomFilesOfNode(petNode)
        if not files and found.units != "GML":
            raise BadInputError(
                f"{name} is in {found.units} and its DICOM files are not in Slicer's database.",
                "Load it from DICOM, or convert it to body-weight SUV first.",
            )
        if files:
            factor = suv_factor([pydicom.dcmread(file, stop_before_pixels=True) for file in files], name)
            values = values * float(factor.factor)
    elif found.units not in _SUV:
        raise BadInputError(f"{name} is in {found.units}, which is not body-weight SUV.", "Convert it to SUVbw first.")
    check_plausible(values, name)
    return values, f"SUVbw ({found.evidence})" if found.units in _SUV else f"SUVbw (from {found.units})"
