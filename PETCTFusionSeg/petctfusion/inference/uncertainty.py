"""How unsure a probability map is, voxel by voxel. No torch: the interface draws it from a result it already has."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.volumes.geometry import Geometry


def entropy_image(probability: sitk.Image) -> sitk.Image:
    """Binary entropy of a probability (uint8, 255 = 1): uint8, 255 = 1 bit, on the same grid; of several labels the
    highest."""
    found = entropy_bytes(sitk.GetArrayViewFromImage(probability))
    return Geometry.of(probability).image(found.max(axis=-1) if found.ndim == 4 else found)


def entropy_bytes(probability: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As `entropy_image`, on an array of any shape."""
    shares = np.arange(256) / 255.0
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -(shares * np.log2(shares) + (1 - shares) * np.log2(1 - shares))
    table = np.rint(255.0 * np.nan_to_num(bits)).astype(np.uint8)
    found: NDArray[np.uint8] = table[probability]
    return found
