"""The panels of a picture without OpenGL: the same planes resampled and drawn flat."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.volumes.geometry import Geometry

from .picture_layout import (
    CT_RANGE_HU,
    PANEL_SIZE,
    PET_OPACITY,
    PET_SHOWN_FROM,
    REFERENCE_RGB,
    RESULT_RGB,
    PictureStudy,
    Plane,
    suvRange,
)

Rgb = NDArray[np.uint8]
# Slicer's PET-Heat: position 0 to 1, red, green, blue.
HEAT = np.array(
    [
        (0.0, 0.0, 0.0, 0.0),
        (0.137, 0.36, 0.0, 0.0),
        (0.149, 0.5, 0.0, 0.0),
        (0.196, 0.7, 0.1, 0.0),
        (0.275, 0.7, 0.5, 0.0),
        (0.341, 1.0, 1.0, 0.0),
        (1.0, 1.0, 1.0, 1.0),
    ]
)


def drawPlainPanels(study: PictureStudy, planes: list[Plane]) -> tuple[list[Rgb], Rgb]:
    """One picture a plane, and in place of the 3-D view a coronal maximum intensity projection of the PET."""
    return [_slice(study, plane) for plane in planes], _projection(study, planes[1])


def heat(values: NDArray[Any]) -> NDArray[np.float64]:
    """PET-Heat colours (..., 3) in 0..1 of values in 0..1."""
    return np.stack([np.interp(values, HEAT[:, 0], HEAT[:, channel]) for channel in (1, 2, 3)], axis=-1)


def _slice(study: PictureStudy, plane: Plane) -> Rgb:
    grey = np.clip((_cut(study.ct, plane, -1024.0) - CT_RANGE_HU[0]) / (CT_RANGE_HU[1] - CT_RANGE_HU[0]), 0, 1)
    suv = _cut(study.pet, plane, 0.0)
    low, high = suvRange(study)
    share = np.where(suv >= PET_SHOWN_FROM * high, PET_OPACITY, 0.0)[..., None]
    picture = grey[..., None] * (1 - share) + heat((suv - low) / (high - low)) * share
    lines = [
        (_line(mask, plane, width), np.asarray(rgb) / 255)
        for mask, rgb, width in ((study.reference, REFERENCE_RGB, 5), (study.prediction, RESULT_RGB, 3))
        if mask is not None
    ]
    for line, _ in lines:
        picture[ndimage.binary_dilation(line, iterations=2)] = 0
    for line, colour in lines:
        picture[line] = colour
    return np.asarray(picture * 255, dtype=np.uint8)


def _line(mask: sitk.Image, plane: Plane, width: int) -> NDArray[np.bool_]:
    """The pixels within `width` of a mask's border, inside it, as Slicer draws its outlines."""
    inside = _cut(sitk.Cast(mask != 0, sitk.sitkFloat32), plane, 0.0) >= 0.5
    return np.asarray(inside & ~ndimage.binary_erosion(inside, iterations=width))


def _projection(study: PictureStudy, plane: Plane) -> Rgb:
    """Dark uptake on white, from the front, over the whole depth of the PET."""
    corners = Geometry.of(study.pet).corners()
    depth = float(np.ptp(corners[:, 1]))
    middle = (plane.centre[0], float(corners[:, 1].mean()), plane.centre[2])
    whole = Plane(plane.name, plane.right, plane.down, middle, plane.mmPerPixel, plane.edges)
    suv = _cut(study.pet, whole, 0.0, depth_mm=depth)
    low, high = suvRange(study)
    grey = 255 * (1 - np.clip((suv - low) / (high - low), 0, 1))
    return np.repeat(np.asarray(grey, dtype=np.uint8)[..., None], 3, axis=-1)


def _cut(image: sitk.Image, plane: Plane, outside: float, depth_mm: float = 0.0) -> NDArray[Any]:
    """Values on a panel's pixels (rows down, columns right), linear; with a depth, the maximum through it."""
    step = 4.0
    layers = 1 + int(depth_mm / step)
    right, down = np.asarray(plane.right), np.asarray(plane.down)
    normal = np.cross(right, down)
    width, height = PANEL_SIZE
    scale = plane.mmPerPixel
    origin = (
        np.asarray(plane.centre)
        - right * (width - 1) / 2 * scale
        - down * (height - 1) / 2 * scale
        - normal * (layers - 1) / 2 * step
    )
    direction = np.stack([right, down, normal], axis=1)
    grid = Geometry(
        (width, height, layers),
        (scale, scale, step),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        tuple(float(value) for value in direction.ravel()),
    )
    values = sitk.Cast(image, sitk.sitkFloat32)
    cut = sitk.Resample(values, grid.empty(), sitk.Transform(), sitk.sitkLinear, outside, sitk.sitkFloat32)
    return np.asarray(sitk.GetArrayFromImage(cut).max(axis=0))
