"""Patients on the network's grid: what the patch sampler draws from and what the tuning patients are scored on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.inference.normalise import UNITLESS, offset_and_scale
from petctfusion.networks.blocks.intensity import absent_value
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import CT_AIR_HU, PET_AIR_SUV, common_grid, resample_image

AIR = {"CT": CT_AIR_HU, "PET": PET_AIR_SUV}


@dataclass(frozen=True)
class Case:
    """One patient on the grid: image (M, z, y, x) float32 in HU and SUV, contour share (z, y, x) float32 in [0, 1].

    `lesion_class`: what kind of lesion the contour is of, where the data set says so.
    """

    name: str
    image: NDArray[np.float32]
    contour: NDArray[np.float32]
    foreground: NDArray[np.int64]
    spacing_zyx: tuple[float, float, float]
    lesion_class: int | None = None

    @property
    def box(self) -> NDArray[np.float64]:
        """First and last contour voxel, edges, (2, 3) in (z, y, x) index units; without tumour the whole volume."""
        if not len(self.foreground):
            return np.stack([np.full(3, -0.5), np.asarray(self.contour.shape) - 0.5])
        return np.stack([self.foreground.min(axis=0) - 0.5, self.foreground.max(axis=0) + 0.5])

    @cached_property
    def lesions(self) -> list[NDArray[np.int64]]:
        """`foreground` lesion by lesion, 18-connected."""
        parts, count = ndimage.label(self.contour >= 0.5, ndimage.generate_binary_structure(3, 2))
        numbers = parts[tuple(self.foreground.T)]
        return [self.foreground[numbers == number] for number in range(1, count + 1)]


def make_case(
    name: str,
    volumes: Mapping[str, sitk.Image],
    contour: sitk.Image,
    spacing_mm: tuple[float, float, float],
    clip: Mapping[str, tuple[float, float]],
) -> Case:
    """Resample a patient to the network's grid; `clip` in the network's order, the anatomical one first.

    What has no unit is scaled as at inference; a modality that is not among `volumes` is filled as if absent.
    """
    grid = common_grid([volumes[kind] for kind in clip if kind in volumes], spacing_mm)
    channels = [
        _channel(kind, volumes[kind], grid, limits) if kind in volumes else np.full(grid.shape, absent_value(kind))
        for kind, limits in clip.items()
    ]
    share = sitk.GetArrayFromImage(resample_image(sitk.Cast(contour > 0, sitk.sitkFloat32), grid, 0.0))
    share = np.clip(share, 0.0, 1.0).astype(np.float32)
    foreground = np.argwhere(share >= 0.5)
    return Case(name, np.stack(channels).astype(np.float32), share, foreground, grid.spacing_zyx)


def _channel(kind: str, image: sitk.Image, grid: Geometry, limits: tuple[float, float]) -> NDArray[np.float32]:
    values: NDArray[np.float32] = sitk.GetArrayFromImage(resample_image(image, grid, AIR.get(kind, 0.0)))
    values = np.clip(values, *limits)
    if kind in UNITLESS:
        offset, scale = offset_and_scale(UNITLESS[kind], image, grid)
        values = (values - offset) / scale
    return values
