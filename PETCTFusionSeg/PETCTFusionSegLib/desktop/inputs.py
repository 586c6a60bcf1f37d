"""From the chosen nodes to the volumes that a run needs; asks instead of guessing when PET units are unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pydicom
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes import check_plausible, check_study
from petctfusion.volumes.suv import suv_factor
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.volumes import (
    DECLARED_UNITS_ATTRIBUTE,
    dicomFilesOfNode,
    imageFromVolumeNode,
    petUnitsOfNode,
)

_SUV = ("SUVbw",)
_FROM_HEADERS = ("BQML", "CNTS", "GML")
_SPOKEN = {"BQML": "Bq/ml", "CNTS": "counts", "GML": "g/ml"}
EXTRA = "MR"
"""The modality of the additional volume; the only one besides CT and PET that a model card can list."""


@dataclass(frozen=True)
class StudyImages:
    """CT in HU and PET in SUVbw, in world space, how the units are known, and what the check noticed."""

    ct: sitk.Image
    pet: sitk.Image
    petUnits: str
    notes: tuple[str, ...]
    extra: sitk.Image | None = None

    @property
    def volumes(self) -> dict[str, sitk.Image]:
        """The images by modality, as the worker wants them."""
        found = {"CT": self.ct, "PET": self.pet}
        return found if self.extra is None else {**found, EXTRA: self.extra}


@dataclass(frozen=True)
class UnitsBadge:
    """What is known of the PET's units: `known` (or convertible), `ask` the user, or `refused`."""

    state: Literal["known", "ask", "refused"]
    text: str


def unitsBadge(petNode: Any) -> UnitsBadge:
    """The PET's units with the evidence, in one short line. Reads no file."""
    found = petUnitsOfNode(petNode)
    if found.units is None:
        return UnitsBadge("ask", _("unknown: choose ({evidence})").format(evidence=found.evidence))
    if found.units in _SUV:
        return UnitsBadge("known", f"{found.units} ({found.evidence})")
    spoken = _SPOKEN.get(found.units, found.units)
    if found.units not in _FROM_HEADERS:
        text = _("{units}, which is not body-weight SUV: convert the PET to SUVbw first")
        return UnitsBadge("refused", text.format(units=spoken))
    if found.units != "GML" and not dicomFilesOfNode(petNode, most=1):
        text = _("{units}, and its DICOM files are not in Slicer's database: load it from DICOM or convert it to SUVbw")
        return UnitsBadge("refused", text.format(units=spoken))
    text = _("{units} ({evidence}); becomes SUVbw by its DICOM tags")
    return UnitsBadge("known", text.format(units=spoken, evidence=found.evidence))


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


def collectImages(ctNode: Any, petNode: Any, extraNode: Any = None) -> StudyImages:
    """The volumes, checked in physical space. Raises `BadInputError` with a hint when they cannot be used.

    `extraNode` is the additional volume of a model that uses one, otherwise None.
    """
    ct = imageFromVolumeNode(ctNode)
    pet, units = _suvOf(petNode)
    verdict = check_study(ct, pet)
    verdict.raise_if_refused()
    extra = imageFromVolumeNode(extraNode) if extraNode is not None else None
    return StudyImages(ct, pet, units, tuple(verdict.messages), extra)


def _suvOf(petNode: Any) -> tuple[sitk.Image, str]:
    found = petUnitsOfNode(petNode)
    name = _('The PET "{name}"').format(name=petNode.GetName())
    if found.units is None:
        sentence = _("{pet} is in unknown units: {evidence}.").format(pet=name, evidence=found.evidence)
        raise BadInputError(sentence, _("Say in the panel what its units are."))
    values = sitk.Cast(imageFromVolumeNode(petNode), sitk.sitkFloat32)
    if found.units in _FROM_HEADERS:
        files = dicomFilesOfNode(petNode)
        if not files and found.units != "GML":
            sentence = _("{pet} is in {units} and its DICOM files are not in Slicer's database.")
            hint = _("Load it from DICOM, or convert it to body-weight SUV first.")
            raise BadInputError(sentence.format(pet=name, units=found.units), hint)
        if files:
            factor = suv_factor([pydicom.dcmread(file, stop_before_pixels=True) for file in files], name)
            values = values * float(factor.factor)
    elif found.units not in _SUV:
        sentence = _("{pet} is in {units}, which is not body-weight SUV.").format(pet=name, units=found.units)
        raise BadInputError(sentence, _("Convert it to SUVbw first."))
    check_plausible(values, name)
    return values, f"SUVbw ({found.evidence})" if found.units in _SUV else f"SUVbw (from {found.units})"
