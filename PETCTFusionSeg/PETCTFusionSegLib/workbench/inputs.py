"""From the chosen nodes to the volumes that a run needs; asks instead of guessing when PET units are unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import SimpleITK as sitk

from petctfusion.volumes import check_plausible, check_study
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.suv_scale import SuvScale, suvScale
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


def declareUnits(petNode: Any, units: str | None) -> None:
    """Keep what the user says about the PET's units ("SUVbw", "BQML") in the node; None takes it back."""
    if units is None:
        petNode.RemoveAttribute(DECLARED_UNITS_ATTRIBUTE)
    else:
        petNode.SetAttribute(DECLARED_UNITS_ATTRIBUTE, units)


def declaredUnits(petNode: Any) -> str | None:
    """What the user said about the PET's units, if anything."""
    return petNode.GetAttribute(DECLARED_UNITS_ATTRIBUTE) if petNode is not None else None


@dataclass(frozen=True)
class StudySnapshot:
    """The volumes as they were when Apply was pressed: copied from their nodes, not yet looked at."""

    ct: sitk.Image
    pet: sitk.Image
    scale: SuvScale
    petUnits: str
    extra: sitk.Image | None = None

    def checked(self) -> StudyImages:
        """The volumes, the PET in SUV, checked in physical space; touches no node, so it may run in any thread.

        Raises `BadInputError` with a hint when they cannot be used.
        """
        pet, factor = sitk.Cast(self.pet, sitk.sitkFloat32), self.scale.factor()
        pet = pet if factor == 1 else pet * factor
        check_plausible(pet, self.scale.name)
        verdict = check_study(self.ct, pet)
        verdict.raise_if_refused()
        return StudyImages(self.ct, pet, self.petUnits, tuple(verdict.messages), self.extra)


def takeSnapshot(ctNode: Any, petNode: Any, extraNode: Any = None) -> StudySnapshot:
    """Copy the volumes. `extraNode` is the additional volume of a model that uses one, otherwise None.

    Raises `BadInputError` for a node that is no volume, or a PET whose units cannot become SUV.
    """
    found, scale = petUnitsOfNode(petNode), suvScale(petNode)
    units = f"SUVbw ({found.evidence})" if found.units in _SUV else f"SUVbw (from {found.units})"
    extra = imageFromVolumeNode(extraNode) if extraNode is not None else None
    return StudySnapshot(imageFromVolumeNode(ctNode), imageFromVolumeNode(petNode), scale, units, extra)
