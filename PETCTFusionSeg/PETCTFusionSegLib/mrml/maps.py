"""Maps that explain a result as volumes: what a network attended to, and how unsure it was, laid over the slices.

A map says where attention is high, not why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from petctfusion.inference.maps import StudyMap
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.i18n import _

from .hanging import sliceComposites
from .imports import StudyJob
from .segmentations import ATTRIBUTE_PREFIX, placeInSubjectHierarchy, removeNode
from .transforms import Matrix, arrayFromImage, ijkToRasOfGeometry, matrixFromArray
from .volumes import fillVolumeNode, ijkToRasOfNode

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLScene, vtkMRMLVolumeNode

MAP_ATTRIBUTE = ATTRIBUTE_PREFIX + "Map"
"""Of a map's node: "attention" or "uncertainty"."""
CT_ROLE = ATTRIBUTE_PREFIX + "MapOf"
"""A map's reference to the CT that it was computed with."""
HIDDEN_BELOW = 0.25
"""Share of a map's range that is not shown at first: the image shows through where there is little to see."""
_OPACITY = 0.6
_BEHIND_ROLE = ATTRIBUTE_PREFIX + "BehindMap"
_BEHIND_OPACITY = ATTRIBUTE_PREFIX + "BehindMapOpacity"
_COLOURS = ATTRIBUTE_PREFIX + "MapColors"
# From dark violet over green to yellow, ever lighter: neither the PET's colours nor those of right and wrong.
_ANCHORS = ((0.20, 0.05, 0.35), (0.20, 0.30, 0.55), (0.10, 0.55, 0.55), (0.45, 0.78, 0.35), (0.99, 0.91, 0.15))
_ALL_OF_IT = 1e30


def importMaps(scene: vtkMRMLScene, job: StudyJob, maps: Sequence[StudyMap]) -> list[vtkMRMLScalarVolumeNode]:
    """New volumes with the maps of a run, which move with its CT; those of an earlier run on that CT go.

    Empty when the CT is gone. Nothing is shown until `showMap`.
    """
    ct = job.ct.nodeIn(scene)
    if ct is None:
        return []
    for old in mapsOf(scene, ct):
        removeMap(scene, old)
    several = len({one.model for one in maps if one.kind == "attention"}) > 1
    return [_addMap(scene, ct, job.ctGrid, one, several) for one in maps]


def mapsOf(scene: vtkMRMLScene, ct: vtkMRMLVolumeNode | None = None) -> list[vtkMRMLScalarVolumeNode]:
    """The maps in the scene, in the order in which they came; only those of one CT where that is given."""
    name = "vtkMRMLScalarVolumeNode"
    nodes = [scene.GetNthNodeByClass(number, name) for number in range(scene.GetNumberOfNodesByClass(name))]
    return [node for node in nodes if isMap(node) and (ct is None or node.GetNodeReference(CT_ROLE) is ct)]


def isMap(node: Any) -> bool:
    """Whether a node is a map, and no study's volume."""
    return node is not None and bool(node.GetAttribute(MAP_ATTRIBUTE))


def removeMap(scene: vtkMRMLScene, node: vtkMRMLScalarVolumeNode) -> None:
    """Take a map out of the scene; what it covered comes back."""
    if shownMap(scene) is node:
        showMap(scene, None)
    removeNode(scene, node)


def showMap(scene: vtkMRMLScene, node: vtkMRMLScalarVolumeNode | None) -> None:
    """Lay a map over the background of all slice views; None gives back what lay there before."""
    for composite in sliceComposites(scene):
        changing = composite.StartModify()
        covers = isMap(scene.GetNodeByID(composite.GetForegroundVolumeID() or ""))
        if node is not None:
            if not covers:
                composite.SetNodeReferenceID(_BEHIND_ROLE, composite.GetForegroundVolumeID())
                composite.SetAttribute(_BEHIND_OPACITY, f"{composite.GetForegroundOpacity():.6g}")
                composite.SetForegroundOpacity(_OPACITY)
            composite.SetForegroundVolumeID(node.GetID())
        elif covers:
            behind = composite.GetNodeReference(_BEHIND_ROLE)
            composite.SetForegroundVolumeID(behind.GetID() if behind is not None else None)
            composite.SetForegroundOpacity(float(composite.GetAttribute(_BEHIND_OPACITY) or 0.0))
        composite.EndModify(changing)


def shownMap(scene: vtkMRMLScene) -> Any | None:
    """The map that lies over the slices now, or None."""
    for composite in sliceComposites(scene):
        node = scene.GetNodeByID(composite.GetForegroundVolumeID() or "")
        if isMap(node):
            return node
    return None


def hideBelow(node: vtkMRMLScalarVolumeNode, share: float) -> None:
    """Show a map only where it is higher than this share (0 to 1) of its range."""
    display = node.GetDisplayNode()
    low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    display.SetThreshold(low + share * (high - low) if share > 0 else -_ALL_OF_IT, _ALL_OF_IT)
    display.ApplyThresholdOn()


def hiddenBelow(node: vtkMRMLScalarVolumeNode) -> float:
    """The share of `hideBelow`."""
    display = node.GetDisplayNode()
    low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    share = (display.GetLowerThreshold() - low) / (high - low) if display.GetApplyThreshold() else 0.0
    return float(min(1.0, max(0.0, share)))


def mapText(node: vtkMRMLScalarVolumeNode) -> str:
    """What a map is, without the name of its CT."""
    ct = node.GetNodeReference(CT_ROLE)
    return str(node.GetName()).removeprefix(f"{ct.GetName()} " if ct is not None else "")


def _addMap(scene: vtkMRMLScene, ct: Any, ctGrid: Geometry, one: StudyMap, namesModel: bool) -> vtkMRMLScalarVolumeNode:
    level = f"{one.model}: {one.name}" if namesModel else one.name
    what = _("uncertainty (%)") if one.kind == "uncertainty" else _("attention ({level})").format(level=level)
    name = f"{ct.GetName()} {what}"
    # `GenerateUniqueName` counts on when the maps of an earlier run have gone.
    free = name if scene.GetFirstNodeByName(name) is None else scene.GenerateUniqueName(name)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", free)
    fillVolumeNode(node, one.image)
    node.SetIJKToRASMatrix(matrixFromArray(_intoFrameOf(ct, ctGrid) @ ijkToRasOfGeometry(Geometry.of(one.image))))
    node.SetAndObserveTransformNodeID(ct.GetTransformNodeID())
    node.SetAttribute(MAP_ATTRIBUTE, one.kind)
    node.SetAttribute(ATTRIBUTE_PREFIX + "Model", one.model)
    node.SetNodeReferenceID(CT_ROLE, ct.GetID())
    _giveDisplay(scene, node, one.kind)
    placeInSubjectHierarchy(scene, node, ct)
    return node


def _intoFrameOf(ct: Any, ctGrid: Geometry) -> Matrix:
    """World RAS, as it was when the run started, to the frame in which the CT's voxels lie: what moves it moves maps.

    A bent or sheared CT was looked at on another grid than its own; its maps lie in the frame as in the world.
    """
    if ctGrid.size != ct.GetImageData().GetDimensions():
        return np.eye(4)
    frame: Matrix = ijkToRasOfNode(ct) @ np.linalg.inv(ijkToRasOfGeometry(ctGrid))
    return frame


def _giveDisplay(scene: vtkMRMLScene, node: vtkMRMLScalarVolumeNode, kind: str) -> None:
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(_colours(scene).GetID())
    display.AutoWindowLevelOff()
    display.SetInterpolate(True)
    low, high = (0.0, 100.0) if kind == "uncertainty" else _range(arrayFromImage(node.GetImageData()))
    display.SetWindowLevelMinMax(low, high)
    hideBelow(node, HIDDEN_BELOW)


def _range(values: Any) -> tuple[float, float]:
    """From the lowest to almost the highest: single voxels at a window's edge would darken all others."""
    low, high = float(values.min()), float(np.quantile(values[:: max(1, len(values) // 64)], 0.999))
    return low, high if high > low else low + 1.0


def _colours(scene: vtkMRMLScene) -> Any:
    """The table of all maps, made once a scene."""
    found = scene.GetSingletonNode(_COLOURS, "vtkMRMLColorTableNode")
    if found is not None:
        return found
    table = scene.CreateNodeByClass("vtkMRMLColorTableNode")
    table.UnRegister(None)
    table.SetName("PET/CT fusion map")
    table.SetSingletonTag(_COLOURS)
    table.SetTypeToUser()
    table.SetNumberOfColors(256)
    steps, anchors = np.linspace(0, 1, len(_ANCHORS)), np.asarray(_ANCHORS)
    for index, at in enumerate(np.linspace(0, 1, 256)):
        table.SetColor(index, str(index), *(float(np.interp(at, steps, channel)) for channel in anchors.T), 1.0)
    return scene.AddNode(table)
