"""Volume nodes to SimpleITK images and back, and what a PET node says about its units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import SimpleITK as sitk
import vtk

from petctfusion.errors import BadInputError
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.i18n import _

from .headless import importSlicer
from .transforms import (
    Matrix,
    arrayFromImage,
    geometryFromIjkToRas,
    ijkToRasOfGeometry,
    imageFromArray,
    isSheared,
    linearToWorld,
    matrixFromArray,
    matrixToArray,
    reslice,
    worldGrid,
    worldIndexToNodeIndex,
)

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLScene, vtkMRMLVolumeNode

Kind = Literal["CT", "PET", "MR", "labelmap"]
DECLARED_UNITS_ATTRIBUTE = "PETCTFusionSeg.PETUnits"
SUV_CODE = "{SUVbw}g/ml"
# Width and centre of an abdominal soft-tissue window in HU.
_CT_WINDOW, _CT_LEVEL = 400.0, 40.0
_PET_RANGE_SUV = (0.0, 8.0)
_UNITS_OF_CODE = {
    "{suvbw}g/ml": "SUVbw",
    "suvbw": "SUVbw",
    "bq/ml": "BQML",
    "bqml": "BQML",
    "gml": "GML",
    "cnts": "CNTS",
}


@dataclass(frozen=True)
class PetUnits:
    """What a PET node says about its values: SUVbw, BQML, GML, CNTS, or None (unknown is said, never guessed)."""

    units: str | None
    evidence: str


def imageFromVolumeNode(node: vtkMRMLVolumeNode) -> sitk.Image:
    """The voxels of a scalar volume node in world space (LPS, mm).

    Linear parent transforms, nested ones too, become origin, spacing and direction: no voxel changes. Transforms that
    shear or bend cannot be described so; then the values are interpolated linearly onto an orthogonal grid of about
    the same spacing (nearest neighbour for label maps). The node itself stays as it is.
    Raises `BadInputError` for a node that is not a three-dimensional volume with one value per voxel.
    """
    size = _checkedSize(node)
    values = arrayFromImage(node.GetImageData())
    ijkToRas = ijkToRasOfNode(node)
    grid = _exactGrid(node, ijkToRas, size)
    if grid is not None:
        return grid.image(values)
    grid = worldGrid(node, ijkToRas, size)
    smooth = not node.IsA("vtkMRMLLabelMapVolumeNode")
    outside = float(values.min()) if smooth else 0.0
    chain = worldIndexToNodeIndex(grid, node, ijkToRas)
    return grid.image(reslice(values, chain, grid.shape, smooth, outside))


def geometryOfVolumeNode(node: vtkMRMLVolumeNode) -> Geometry:
    """The world grid (LPS, mm) of `imageFromVolumeNode`, without touching a voxel."""
    size = _checkedSize(node)
    ijkToRas = ijkToRasOfNode(node)
    return _exactGrid(node, ijkToRas, size) or worldGrid(node, ijkToRas, size)


def volumeNodeFromImage(scene: vtkMRMLScene, image: sitk.Image, name: str, kind: Kind) -> vtkMRMLScalarVolumeNode:
    """A new volume node around `image` (LPS, mm) with a display that suits `kind`; PET values are SUVbw."""
    className = "vtkMRMLLabelMapVolumeNode" if kind == "labelmap" else "vtkMRMLScalarVolumeNode"
    node = scene.AddNewNodeByClass(className, scene.GenerateUniqueName(name))
    fillVolumeNode(node, image)
    node.CreateDefaultDisplayNodes()
    if kind == "CT":
        _setWindow(node, _CT_LEVEL - _CT_WINDOW / 2, _CT_LEVEL + _CT_WINDOW / 2)
        _setColours(scene, node, "Grey")
    elif kind == "PET":
        markAsSuv(node)
        _setWindow(node, *_PET_RANGE_SUV)
        _setColours(scene, node, "PET-Heat")
    return node


def fillVolumeNode(node: vtkMRMLVolumeNode, image: sitk.Image) -> None:
    """Put the voxels and the place of `image` (LPS, mm) into the node, which need not be in a scene."""
    node.SetIJKToRASMatrix(matrixFromArray(ijkToRasOfGeometry(Geometry.of(image))))
    node.SetAndObserveImageData(imageFromArray(sitk.GetArrayViewFromImage(image)))


def markAsSuv(node: vtkMRMLScalarVolumeNode) -> None:
    """Write into the node that its values are body-weight SUV, as Slicer's own PET import does."""
    slicer = importSlicer()
    units = slicer.vtkCodedEntry()
    units.SetValueSchemeMeaning(SUV_CODE, "UCUM", "Standardized Uptake Value body weight")
    quantity = slicer.vtkCodedEntry()
    quantity.SetValueSchemeMeaning("126400", "DCM", "Standardized Uptake Value")
    node.SetVoxelValueUnits(units)
    node.SetVoxelValueQuantity(quantity)


def petUnitsOfNode(node: vtkMRMLVolumeNode) -> PetUnits:
    """The units of a PET node from its own evidence: the user's declaration, coded units, then DICOM attributes."""
    declared = node.GetAttribute(DECLARED_UNITS_ATTRIBUTE)
    if declared:
        return PetUnits(_UNITS_OF_CODE.get(declared.lower(), declared), "declared by the user")
    coded = node.GetVoxelValueUnits() if node.IsA("vtkMRMLScalarVolumeNode") else None
    if coded is not None and coded.GetCodeValue():
        code = str(coded.GetCodeValue())
        return PetUnits(_UNITS_OF_CODE.get(code.lower()), f"voxel value units {code}")
    for attribute in ("DICOM.Units", "DICOM.0054,1001", "Units"):
        value = node.GetAttribute(attribute)
        if value:
            return PetUnits(_UNITS_OF_CODE.get(value.strip().lower()), f"attribute {attribute} = {value.strip()}")
    return PetUnits(None, "the node carries no units")


def dicomFilesOfNode(node: vtkMRMLVolumeNode, most: int | None = None) -> list[str]:
    """The DICOM files a node was loaded from (the first `most`), as far as Slicer's DICOM database knows them."""
    database: Any = getattr(importSlicer(), "dicomDatabase", None)
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()[:most]
    if database is None or not uids:
        return []
    files = [str(database.fileForInstance(uid)) for uid in uids]
    return [file for file in files if file]


def ijkToRasOfNode(node: vtkMRMLVolumeNode) -> Matrix:
    """Voxel index to the node's own RAS (parent transforms not applied), (4, 4)."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrixToArray(matrix)


def _checkedSize(node: vtkMRMLVolumeNode) -> tuple[int, int, int]:
    if node is None or not node.IsA("vtkMRMLScalarVolumeNode"):
        found = _("nothing") if node is None else f'"{node.GetName()}" ({node.GetClassName()})'
        raise BadInputError(
            _("A scalar volume is needed, not {found}.").format(found=found), _("Choose a CT, PET or MR volume.")
        )
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise BadInputError(_('The volume "{name}" holds no voxels.').format(name=node.GetName()), _("Load it again."))
    if image.GetNumberOfScalarComponents() != 1:
        raise BadInputError(
            _('The volume "{name}" has {count} values per voxel.').format(
                name=node.GetName(), count=image.GetNumberOfScalarComponents()
            ),
            _("Choose a volume with one value per voxel, not a color or vector image."),
        )
    size: tuple[int, int, int] = image.GetDimensions()
    if min(size) < 2:
        raise BadInputError(
            _('The volume "{name}" is not three-dimensional: its size is {size}.').format(
                name=node.GetName(), size=" x ".join(map(str, size))
            ),
            _("Load the whole series instead of one slice."),
        )
    if abs(np.linalg.det(ijkToRasOfNode(node)[:3, :3])) < 1e-9:
        raise BadInputError(
            _('The voxels of "{name}" have no extent: a spacing is zero.').format(name=node.GetName()),
            _("Load the volume again."),
        )
    return size


def _exactGrid(node: vtkMRMLVolumeNode, ijkToRas: Matrix, size: tuple[int, int, int]) -> Geometry | None:
    """The world grid when origin, spacing and direction can describe it exactly, otherwise None."""
    toWorld = linearToWorld(node)
    if toWorld is None or isSheared(toWorld @ ijkToRas):
        return None
    return geometryFromIjkToRas(toWorld @ ijkToRas, size)


def _setWindow(node: vtkMRMLScalarVolumeNode, low: float, high: float) -> None:
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(low, high)


def _setColours(scene: vtkMRMLScene, node: vtkMRMLScalarVolumeNode, name: str) -> None:
    """Slicer's own colour node where the scene has one; a scene without default colours keeps grey."""
    colours = scene.GetFirstNodeByName(name)
    if colours is not None and colours.IsA("vtkMRMLColorNode"):
        node.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
