"""The maximum intensity projection of a PET in a 3-D view of its own: black uptake on white, from the front."""

from __future__ import annotations

from typing import Any

import numpy as np

from .headless import importSlicer
from .live_tables import ROLE_ATTRIBUTE

MIP_VIEW = "PETMIP"
_ROLE = "PetMip"
# What Slicer takes when the application has no preference.
_SLOW = "vtkMRMLCPURayCastVolumeRenderingDisplayNode"
_ROOM = 1.05
_WHITE = (1.0, 1.0, 1.0)


def canProject() -> bool:
    """Whether this Slicer has the Volume Rendering module, which draws the projection."""
    return _logic() is not None


def showMip(scene: Any, pet: Any) -> bool:
    """Draw the projection of `pet` in the view `MIP_VIEW`; False where that view or the module is missing."""
    view, logic = scene.GetSingletonNode(MIP_VIEW, "vtkMRMLViewNode"), _logic()
    if view is None or logic is None:
        return False
    _prepareView(view)
    display = _display(scene, logic, pet)
    display.SetViewNodeIDs([view.GetID()])
    for other in _ours(scene):
        other.SetVisibility(other is display)
    followWindow(pet)
    lookFromFront(scene, pet)
    return True


def followWindow(pet: Any) -> None:
    """Give the projection the window of the slices: white at its lower end, black at its upper one."""
    own, display = pet.GetDisplayNode(), displayOf(pet)
    if own is None or display is None or display.GetVolumePropertyNode() is None:
        return
    low, high = own.GetWindowLevelMin(), own.GetWindowLevelMax()
    node = display.GetVolumePropertyNode()
    changing = node.StartModify()
    volume = node.GetVolumeProperty()
    opacity, colour = volume.GetScalarOpacity(), volume.GetRGBTransferFunction()
    if opacity.GetSize() != 2 or tuple(opacity.GetRange()) != (low, high):
        opacity.RemoveAllPoints()
        opacity.AddPoint(low, 0.0)
        opacity.AddPoint(high, 1.0)
        colour.RemoveAllPoints()
        for value in (low, high):
            colour.AddRGBPoint(value, 0.0, 0.0, 0.0)
    node.EndModify(changing)


def lookFromFront(scene: Any, pet: Any) -> None:
    """Centre the PET in the view, head up, seen from anterior; nothing as long as the view has no camera."""
    camera = _camera(scene)
    if camera is None or pet is None:
        return
    bounds = np.zeros(6)
    pet.GetRASBounds(bounds)
    low, high = bounds[0::2], bounds[1::2]
    centre, size = (low + high) / 2, high - low
    changing = camera.StartModify()
    camera.SetFocalPoint(*centre)
    camera.SetPosition(centre[0], centre[1] + 2.0 * max(size), centre[2])
    camera.SetViewUp(0.0, 0.0, 1.0)
    camera.SetParallelProjection(True)
    camera.SetParallelScale(_ROOM * max(size[0], size[2]) / 2)
    camera.ResetClippingRange()
    camera.EndModify(changing)


def displayOf(pet: Any) -> Any:
    """Our volume rendering display node of a PET, or None."""
    nodes = [pet.GetNthDisplayNode(number) for number in range(pet.GetNumberOfDisplayNodes())]
    return next((node for node in nodes if node is not None and node.GetAttribute(ROLE_ATTRIBUTE) == _ROLE), None)


def _logic() -> Any:
    module = getattr(importSlicer().modules, "volumerendering", None)
    return module.logic() if module is not None else None


def _ours(scene: Any) -> list[Any]:
    name = "vtkMRMLVolumeRenderingDisplayNode"
    nodes = [scene.GetNthNodeByClass(number, name) for number in range(scene.GetNumberOfNodesByClass(name))]
    return [node for node in nodes if node.GetAttribute(ROLE_ATTRIBUTE) == _ROLE]


def _display(scene: Any, logic: Any, pet: Any) -> Any:
    """Our own node beside any that the user made: his rendering of the PET stays as it is."""
    display = displayOf(pet)
    if display is not None:
        return display
    display = scene.AddNewNodeByClass(logic.GetDefaultRenderingMethod() or _SLOW, f"{pet.GetName()} MIP")
    display.SetAttribute(ROLE_ATTRIBUTE, _ROLE)
    display.SetVisibility(False)
    properties = scene.AddNewNodeByClass("vtkMRMLVolumePropertyNode", f"{pet.GetName()} MIP")
    properties.SetHideFromEditors(True)
    properties.GetVolumeProperty().SetInterpolationTypeToLinear()
    properties.GetVolumeProperty().ShadeOff()
    display.SetAndObserveVolumePropertyNodeID(properties.GetID())
    pet.AddAndObserveDisplayNodeID(display.GetID())
    return display


def _prepareView(view: Any) -> None:
    changing = view.StartModify()
    view.SetRaycastTechnique(view.MaximumIntensityProjection)
    view.SetRenderMode(view.Orthographic)
    view.SetBackgroundColor(*_WHITE)
    view.SetBackgroundColor2(*_WHITE)
    view.SetBoxVisible(False)
    view.SetAxisLabelsVisible(False)
    view.EndModify(changing)


def _camera(scene: Any) -> Any:
    name = "vtkMRMLCameraNode"
    cameras = [scene.GetNthNodeByClass(number, name) for number in range(scene.GetNumberOfNodesByClass(name))]
    return next((camera for camera in cameras if camera.GetLayoutName() == MIP_VIEW), None)
