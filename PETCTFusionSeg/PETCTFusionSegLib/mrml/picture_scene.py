"""The panels of a picture as Slicer itself draws them: fused slices with contours, and surfaces in 3-D."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
import vtk
from numpy.typing import NDArray

from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry

from .headless import HeadlessSlicer, bootHeadless
from .picture_layout import (
    CT_RANGE_HU,
    PANEL_SIZE,
    PET_OPACITY,
    PET_SHOWN_FROM,
    REFERENCE_RGB,
    RESULT_RGB,
    PictureStudy,
    Plane,
    lesionPoints,
    suvRange,
)
from .segmentations import createSegmentation
from .terminology import NEOPLASM
from .transforms import RAS_LPS, ijkToRasOfGeometry, imageFromArray, matrixFromArray
from .views import DEBIAN_PACKAGES, BlackPictureError, Rgb, SliceView, SurfaceView
from .volumes import volumeNodeFromImage

if TYPE_CHECKING:
    from slicer import vtkMRMLVolumeNode

_BONE_HU, _SKIN_HU = 220.0, -300.0
_RESULT_PIXELS, _REFERENCE_PIXELS, _HALO_PIXELS = 3, 5, 2
_SURROUNDINGS_MM = 120.0
_SMALLEST_RADIUS_MM = 80.0


def drawPanels(study: PictureStudy, planes: list[Plane]) -> tuple[list[Rgb], Rgb]:
    """One picture a plane, and the 3-D view; raises `BlackPictureError` when nothing was drawn."""
    booted = bootHeadless(publish=False)
    ct = volumeNodeFromImage(booted.scene, study.ct, "CT", "CT")
    ct.GetDisplayNode().SetWindowLevelMinMax(*CT_RANGE_HU)
    pet = volumeNodeFromImage(booted.scene, study.pet, "PET", "PET")
    _showUptakeOnly(pet, study)
    contours = [(study.prediction, "Result", RESULT_RGB, _RESULT_PIXELS, 1.0)]
    if study.reference is not None:
        contours.insert(0, (study.reference, "Reference", REFERENCE_RGB, _REFERENCE_PIXELS, 0.4))
    # Drawn in this order: dark halos, the reference's line, and on it the narrower one of the result.
    for mask, name, _, pixels, _ in contours:
        _contour(booted, mask, ct, f"{name} halo", (0, 0, 0), pixels + _HALO_PIXELS)
    for mask, name, rgb, pixels, opacity3D in contours:
        _contour(booted, mask, ct, name, rgb, pixels, opacity3D)
    slices = [_drawSlice(booted, plane, ct, pet) for plane in planes]
    return slices, _drawSurfaces(booted, study)


def _showUptakeOnly(pet: vtkMRMLVolumeNode, study: PictureStudy) -> None:
    low, high = suvRange(study)
    display = pet.GetDisplayNode()
    display.SetWindowLevelMinMax(low, high)
    display.SetThreshold(PET_SHOWN_FROM * high, 1e9)
    display.ApplyThresholdOn()


def _contour(
    booted: HeadlessSlicer,
    mask: sitk.Image,
    ct: vtkMRMLVolumeNode,
    name: str,
    rgb: tuple[int, int, int],
    pixels: int,
    opacity3D: float = 0.0,
) -> None:
    """A segmentation shown as a line of `pixels` in slices, and as a surface when it has an opacity in 3-D."""
    spec = LabelSpec(value=1, name=name, terminology=NEOPLASM, color=rgb)
    node = createSegmentation(booted.scene, sitk.Cast(mask != 0, sitk.sitkUInt8), [spec], ct, name, {})
    display = node.GetDisplayNode()
    display.SetOpacity2DFill(0.0)
    display.SetOpacity2DOutline(1.0)
    display.SetSliceIntersectionThickness(pixels)
    display.SetVisibility3D(opacity3D > 0)
    display.SetOpacity3D(opacity3D)
    if opacity3D > 0:
        node.CreateClosedSurfaceRepresentation()


def _drawSlice(booted: HeadlessSlicer, plane: Plane, ct: vtkMRMLVolumeNode, pet: vtkMRMLVolumeNode) -> Rgb:
    view = SliceView(booted, plane.name, PANEL_SIZE)
    try:
        view.show(ct, pet, PET_OPACITY)
        view.look(plane.name, plane.centreRas, plane.field)
        return view.pixels()
    finally:
        view.close()


def _drawSurfaces(booted: HeadlessSlicer, study: PictureStudy) -> Rgb:
    """The lesion from outside the body, a little turned and raised, with what surrounds it."""
    points = lesionPoints(study)
    lesion = points @ RAS_LPS[:3, :3]
    centre = (lesion.min(axis=0) + lesion.max(axis=0)) / 2
    nearby = _nearby(study, points)
    outwards = _addSurroundings(booted, nearby, centre)
    view = SurfaceView(booted, "Surface", PANEL_SIZE)
    try:
        radius = max(_SMALLEST_RADIUS_MM, 0.72 * float(np.linalg.norm(np.ptp(lesion, axis=0))))
        view.look(centre, outwards, radius)
        pixels = view.pixels()
    finally:
        view.close()
    _requireResult(pixels, study, points)
    return pixels


def _requireResult(pixels: Rgb, study: PictureStudy, lesion: NDArray[np.float64]) -> None:
    """The background alone is not black, so the orange of a result that meets the lesion must be there."""
    values = sitk.GetArrayViewFromImage(study.prediction)
    indices = np.round(Geometry.of(study.prediction).indices(lesion)).astype(int)[:, ::-1]
    within = np.all((indices >= 0) & (indices < values.shape), axis=1)
    meets = bool(values[tuple(indices[within].T)].any())
    warm = pixels[..., 0].astype(int) - pixels[..., 2] > 50
    if meets and not warm.any():
        raise BlackPictureError("The 3-D view does not show the result.", f"On Debian install: {DEBIAN_PACKAGES}.")


def _nearby(study: PictureStudy, lesion: NDArray[np.float64]) -> sitk.Image:
    """The CT around the lesion, smoothed, at about 3 mm: enough to see where it sits, quick to draw."""
    grid = Geometry.of(study.ct)
    indices = grid.indices(lesion)
    margin = _SURROUNDINGS_MM / np.asarray(grid.spacing)
    low = np.maximum(0, np.floor(indices.min(axis=0) - margin)).astype(int)
    high = np.minimum(grid.size, np.ceil(indices.max(axis=0) + margin) + 1).astype(int)
    part = sitk.RegionOfInterest(study.ct, (high - low).tolist(), low.tolist())
    factors = [
        max(1, min(round(3.0 / spacing), int(size) // 8))
        for spacing, size in zip(grid.spacing, high - low, strict=True)
    ]
    return sitk.Shrink(sitk.SmoothingRecursiveGaussian(sitk.Cast(part, sitk.sitkFloat32), 1.2), factors)


def _addSurroundings(booted: HeadlessSlicer, ct: sitk.Image, centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bones and a breath of skin; returns where to look from (RAS): outside the body, turned and raised a little."""
    body = _body(ct)
    inside = np.argwhere(sitk.GetArrayViewFromImage(body) != 0)[:, ::-1].astype(np.float64)
    outwards = np.array([0.0, 1.0, 0.0])
    if len(inside):
        bones = sitk.Mask(ct, body, -1000.0)
        _surfaceModel(booted, bones, "Bones", _BONE_HU, (0.90, 0.86, 0.76), 0.5)
        skin = sitk.SmoothingRecursiveGaussian(sitk.Cast(body, sitk.sitkFloat32), 2.0)
        _surfaceModel(booted, skin, "Skin", 0.5, (0.93, 0.76, 0.68), 0.22)
        middle = (Geometry.of(ct).points(inside) @ RAS_LPS[:3, :3]).mean(axis=0)
        horizontal = (centre - middle) * (1.0, 1.0, 0.0)
        if np.linalg.norm(horizontal) > 5.0:
            outwards = horizontal / np.linalg.norm(horizontal)
    turn = np.radians(25.0)
    turned = np.array(
        [
            np.cos(turn) * outwards[0] - np.sin(turn) * outwards[1],
            np.sin(turn) * outwards[0] + np.cos(turn) * outwards[1],
            np.tan(np.radians(20.0)),
        ]
    )
    return turned / np.linalg.norm(turned)


def _body(ct: sitk.Image) -> sitk.Image:
    """The largest part above air, without the table and its cushions."""
    solid = sitk.BinaryMorphologicalOpening(ct > _SKIN_HU, [2, 2, 1])
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(solid), sortByObjectSize=True)
    return sitk.BinaryFillhole(parts == 1)


def _surfaceModel(
    booted: HeadlessSlicer,
    image: sitk.Image,
    name: str,
    level: float,
    rgb: tuple[float, float, float],
    opacity: float,
) -> None:
    contour = vtk.vtkFlyingEdges3D()
    contour.SetInputData(imageFromArray(sitk.GetArrayViewFromImage(image)))
    contour.SetValue(0, level)
    contour.ComputeScalarsOff()
    transform = vtk.vtkTransform()
    transform.SetMatrix(matrixFromArray(ijkToRasOfGeometry(Geometry.of(image))))
    placed = vtk.vtkTransformPolyDataFilter()
    placed.SetTransform(transform)
    placed.SetInputConnection(contour.GetOutputPort())
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(placed.GetOutputPort())
    normals.SplittingOff()
    normals.Update()
    if normals.GetOutput().GetNumberOfPoints() == 0:
        return
    model = booted.scene.AddNewNodeByClass("vtkMRMLModelNode", name)
    model.SetAndObservePolyData(normals.GetOutput())
    model.CreateDefaultDisplayNodes()
    display = model.GetDisplayNode()
    display.SetColor(*rgb)
    display.SetOpacity(opacity)
    display.SetBackfaceCulling(False)
    display.SetVisibility2D(False)
