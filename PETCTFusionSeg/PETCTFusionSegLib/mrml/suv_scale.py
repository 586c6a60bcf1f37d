"""How the values of a PET node become body-weight SUV: nothing is guessed, what is missing is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pydicom

from petctfusion.errors import BadInputError
from petctfusion.volumes.suv import suv_factor
from PETCTFusionSegLib.i18n import _

from .volumes import dicomFilesOfNode, petUnitsOfNode

_FROM_HEADERS = ("BQML", "CNTS", "GML")


@dataclass(frozen=True)
class SuvScale:
    """Made where nodes may be touched; `factor` may run in any thread."""

    name: str
    files: tuple[str, ...] = ()

    def factor(self) -> float:
        """What to multiply the values with; reads the DICOM headers. Raises `BadInputError` for what is missing."""
        if not self.files:
            return 1.0
        headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in self.files]
        return float(suv_factor(headers, self.name).factor)


def suvScale(petNode: Any) -> SuvScale:
    """The scale of a PET node; `BadInputError` with one sentence when its units are unknown or no SUV."""
    found = petUnitsOfNode(petNode)
    name = _('The PET "{name}"').format(name=petNode.GetName())
    if found.units is None:
        raise BadInputError(_("{pet} is in unknown units.").format(pet=name), _("Say under Study what they are."))
    if found.units == "SUVbw":
        return SuvScale(name)
    if found.units not in _FROM_HEADERS:
        sentence = _("{pet} is in {units}, which is not body-weight SUV.").format(pet=name, units=found.units)
        raise BadInputError(sentence, _("Convert it to SUVbw first."))
    files = tuple(dicomFilesOfNode(petNode))
    if not files and found.units != "GML":
        sentence = _("{pet} is in {units} and its DICOM files are not in Slicer's database.")
        hint = _("Load it from DICOM, or convert it to body-weight SUV first.")
        raise BadInputError(sentence.format(pet=name, units=found.units), hint)
    return SuvScale(name, files)
