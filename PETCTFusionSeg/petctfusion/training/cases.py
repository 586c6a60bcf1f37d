"""Patients on the network's grid: what the patch sampler draws from and what the tuning patients are scored on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.volumes.grid import CT_AIR_HU, PET_AIR_SUV, common_grid, resample_image

AIR = {"CT": CT_AIR_HU, "PET": PET_AIR_SUV}


@dataclass(frozen=True)
class Case:
    """One patient on the grid: image (M, z, y, x) float32 in HU and SUV, contour share (z, y, x) float32 in [0, 1]."""

    name: str
    image: NDArray[np.float32]
    contour: NDArray[np.float32]
    foreground: NDArray[np.int64]
    spacing_zyx: tuple[float, float, float]

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
    """Resample a patient to the network's grid; `volumes` in the network's order, the anatomical one first."""
    grid = common_grid(list(volumes.values()), spacing_mm)
    channels = [
        np.clip(sitk.GetArrayFromImage(resample_image(image, grid, AIR.get(kind, 0.0))), *clip[kind])
        for kind, image in volumes.items()
    ]
    share = sitk.GetArrayFromImage(resample_image(sitk.Cast(contour > 0, sitk.sitkFloat32), grid, 0.0))
    share = np.clip(share, 0.0, 1.0).astype(np.float32)
    foreground = np.argwhere(share >= 0.5)
    return Case(name, np.stack(channels).astype(np.float32), share, foreground, grid.spacing_zyx)
