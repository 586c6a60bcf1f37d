"""The colour tables in which a PET is read."""

from __future__ import annotations

from typing import Any

PET_COLOURS = ("PET-Heat", "PET-Rainbow", "PET-DICOM", "Grey", "PET-MaximumIntensityProjection")
"""Names of Slicer's own tables; the last one is white where there is no uptake."""


def petColour(pet: Any) -> str:
    """The name of the table in which a PET is shown; empty without one."""
    display = pet.GetDisplayNode() if pet is not None else None
    node = display.GetColorNode() if display is not None else None
    return str(node.GetName()) if node is not None else ""


def setPetColour(pet: Any, name: str) -> bool:
    """Show a PET in another table; False when this Slicer has no table of that name."""
    node = pet.GetScene().GetFirstNodeByName(name)
    if node is None or not node.IsA("vtkMRMLColorNode"):
        return False
    if pet.GetDisplayNode() is None:
        pet.CreateDefaultDisplayNodes()
    pet.GetDisplayNode().SetAndObserveColorNodeID(node.GetID())
    return True
