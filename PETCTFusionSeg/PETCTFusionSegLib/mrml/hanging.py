"""The usual hanging of a PET/CT: fused axial, coronal and sagittal slices, linked, beside a projection of the PET."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from PETCTFusionSegLib.i18n import _

from .headless import importSlicer
from .mip import MIP_VIEW, canProject, showMip
from .reference_segment import referenceSegment
from .rejected import contourIds
from .transforms import arrayFromImage, toWorld
from .volumes import ijkToRasOfNode, petUnitsOfNode
from .window_presets import SOFT_TISSUE, SUV_10, SUV_UNITS, applyPreset

Ras = tuple[float, float, float]
LAYOUT = 7361
"""Our layout's number; Slicer's own are below 100, and no extension in the index uses it."""
PET_OPACITY = 0.5
_FUSED_COLOURS = "PET-Heat"
# White where there is no uptake: over a CT they would hide it.
_INVERTED = "PET-MaximumIntensityProjection"
_ORIENTATIONS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}
_SLICE = (
    '<view class="vtkMRMLSliceNode" singletontag="{tag}"><property name="orientation" action="default">{orientation}'
    '</property><property name="viewlabel" action="default">{label}</property><property name="viewcolor" '
    'action="default">{colour}</property></view>'
)
_AXIAL = _SLICE.format(tag="Red", orientation="Axial", label="R", colour="#F34A33")
_CORONAL = _SLICE.format(tag="Green", orientation="Coronal", label="G", colour="#6EB04B")
_SAGITTAL = _SLICE.format(tag="Yellow", orientation="Sagittal", label="Y", colour="#EDD54C")
_MIP = (
    f'<view class="vtkMRMLViewNode" singletontag="{MIP_VIEW}"><property name="viewlabel" action="default">MIP'
    "</property></view>"
)
DESCRIPTION = (
    '<layout type="vertical" split="true">'
    f'<item><layout type="horizontal" split="true"><item>{_AXIAL}</item><item>{_MIP}</item></layout></item>'
    f'<item><layout type="horizontal" split="true"><item>{_CORONAL}</item><item>{_SAGITTAL}</item></layout></item>'
    "</layout>"
)


def registerLayout(scene: Any = None) -> Any:
    """Make the layout known to the (application's) scene's layout node, and return that node; None without layouts.

    Also called when the application starts, so that a scene that was saved with this layout finds it.
    """
    scene = scene or importSlicer().mrmlScene
    node = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if node is not None:
        register = node.SetLayoutDescription if node.IsLayoutDescription(LAYOUT) else node.AddLayoutDescription
        register(LAYOUT, DESCRIPTION)
    return node


def hangStudy(scene: Any, ct: Any, pet: Any, place: Ras | None = None) -> str:
    """Show a study as readers expect it, and return a sentence; either volume may be None.

    CT (soft tissue) in the background, PET (0-10 SUV, where it is SUV) over it, cut through `place` (world RAS, mm) or
    where the uptake is highest. Another layout, chosen in the toolbar, undoes the arrangement.
    """
    layout = registerLayout(scene)
    if layout is not None:
        layout.SetViewArrangement(LAYOUT)
    notes = [_prepareColours(scene, ct, pet)]
    showFused(scene, ct, pet)
    fitSlices(scene, ct if ct is not None else pet, place or hottestPlace(pet))
    if pet is not None and not showMip(scene, pet) and not canProject():
        notes.append(_("The projection needs Slicer's Volume Rendering module, which is not there."))
    return " ".join(note for note in notes if note)


def showFused(scene: Any, ct: Any, pet: Any) -> None:
    """CT in the background and PET over it, in all slice views, which are linked."""
    background, foreground = (ct, pet) if ct is not None else (pet, None)
    for composite in sliceComposites(scene):
        changing = composite.StartModify()
        composite.SetLinkedControl(True)
        composite.SetHotLinkedControl(True)
        composite.SetBackgroundVolumeID(_idOf(background))
        composite.SetForegroundVolumeID(_idOf(foreground))
        composite.SetForegroundOpacity(PET_OPACITY if foreground is not None else 0.0)
        composite.EndModify(changing)


def fitSlices(scene: Any, volume: Any, place: Ras | None = None) -> None:
    """All of a volume in every slice view, in the volume's own planes, cut through `place` (world RAS, mm)."""
    logics = importSlicer().app.applicationLogic().GetSliceLogics()
    for number in range(logics.GetNumberOfItems() if logics is not None else 0):
        logic = logics.GetItemAsObject(number)
        view = logic.GetSliceNode()
        if view is None or view.GetScene() is not scene or volume is None:
            continue
        if view.GetLayoutName() in _ORIENTATIONS:
            view.SetOrientation(_ORIENTATIONS[view.GetLayoutName()])
            view.RotateToVolumePlane(volume)
        width, height = view.GetDimensions()[:2]
        logic.FitSliceToVolume(volume, width, height)
        if place is not None:
            view.JumpSliceByOffsetting(*place)


def petOpacity(scene: Any, pet: Any) -> float | None:
    """How opaque a PET lies over the CT (0 to 1); None when no slice view shows it so."""
    for composite in sliceComposites(scene):
        if pet is not None and composite.GetForegroundVolumeID() == pet.GetID():
            return float(composite.GetForegroundOpacity())
    return None


def setPetOpacity(scene: Any, pet: Any, opacity: float) -> None:
    """Make a PET more or less opaque (0 to 1) in every slice view that shows it over the CT."""
    for composite in sliceComposites(scene):
        if pet is not None and composite.GetForegroundVolumeID() == pet.GetID():
            composite.SetForegroundOpacity(min(1.0, max(0.0, opacity)))


def hottestPlace(pet: Any) -> Ras | None:
    """World RAS (mm) of the voxel with the highest value; None without voxels."""
    image = pet.GetImageData() if pet is not None else None
    if image is None or image.GetNumberOfScalarComponents() != 1:
        return None
    values = arrayFromImage(image)
    if values.size == 0:
        return None
    index = np.unravel_index(int(values.argmax()), values.shape)[::-1]
    x, y, z = toWorld(pet, ijkToRasOfNode(pet), np.array([index], dtype=np.float64))[0]
    return float(x), float(y), float(z)


def lesionPlace(segmentation: Any, segmentId: str = "") -> Ras | None:
    """World RAS (mm) within a segment, otherwise within the reference's chosen one, otherwise the first one that has
    voxels; None without any."""
    if segmentation is None:
        return None
    chosen = segmentId or referenceSegment(segmentation)
    for one in [chosen] if chosen else contourIds(segmentation):
        labelmap = segmentation.GetBinaryLabelmapInternalRepresentation(one)
        empty = labelmap is None or labelmap.IsEmpty()
        place = None if empty else segmentation.GetSegmentCenterRAS(one)
        if place is not None:
            return float(place[0]), float(place[1]), float(place[2])
    return None


def _prepareColours(scene: Any, ct: Any, pet: Any) -> str:
    """Windows and colours; a PET in other units than SUV keeps its window."""
    if ct is not None:
        applyPreset(ct, SOFT_TISSUE)
    if pet is None:
        return ""
    if pet.GetDisplayNode() is None:
        pet.CreateDefaultDisplayNodes()
    display = pet.GetDisplayNode()
    current = display.GetColorNode()
    name = current.GetName() if current is not None else ""
    colours = scene.GetFirstNodeByName(_FUSED_COLOURS)
    if colours is not None and (not name.startswith("PET-") or name == _INVERTED):
        display.SetAndObserveColorNodeID(colours.GetID())
    units = petUnitsOfNode(pet)
    if units.units in SUV_UNITS:
        applyPreset(pet, SUV_10)
        return ""
    return _("The PET is in {units}: its window was left as it is.").format(units=units.units or _("unknown units"))


def sliceComposites(scene: Any) -> Iterator[Any]:
    """The slice views that take part in what is shown; a module may have taken its own out."""
    name = "vtkMRMLSliceCompositeNode"
    for number in range(scene.GetNumberOfNodesByClass(name)):
        node = scene.GetNthNodeByClass(number, name)
        if node.GetDoPropagateVolumeSelection():
            yield node


def _idOf(node: Any) -> str | None:
    return node.GetID() if node is not None else None
