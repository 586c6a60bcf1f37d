"""Scaling of a modality by numbers of the card or of the whole study, never of a window. Imports no torch."""

from __future__ import annotations

import math

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.models.normalisation import SMALLEST_STD, Normalisation
from petctfusion.volumes.geometry import Geometry

# What a network is given of modalities that have no unit: it could not know one scanner's numbers from another's.
UNITLESS = {"MR": Normalisation("z_score")}


def offset_and_scale(normalisation: Normalisation, image: sitk.Image, grid: Geometry) -> tuple[float, float]:
    """The numbers (o, s) with which values v of a modality become (v - o) / s.

    Numbers of the study are taken from `image` at its own resolution, from the part inside `grid`, the common field of
    view: that is the volume that nnU-Net and MONAI are given. Raises `BadInputError` for values that are not finite.
    """
    if normalisation.method == "fixed":
        return normalisation.mean, normalisation.std
    if normalisation.method == "none":
        return 0.0, 1.0
    inside = _inside(image, grid)
    statistics = sitk.StatisticsImageFilter()
    statistics.Execute(inside)
    low, high, mean = statistics.GetMinimum(), statistics.GetMaximum(), statistics.GetMean()
    if not np.isfinite([low, high, mean]).all():
        raise BadInputError("A volume holds values that are not finite.", "Export it again from its source.")
    if normalisation.method == "unit_range":
        return low, max(high - low, SMALLEST_STD)
    # The filter divides by n - 1, nnU-Net and MONAI by n.
    count = inside.GetNumberOfPixels()
    std = math.sqrt(max(0.0, statistics.GetVariance()) * (count - 1) / count) if count > 1 else 0.0
    return mean, max(std, SMALLEST_STD)


def _inside(image: sitk.Image, grid: Geometry) -> sitk.Image:
    """The box of `image` whose voxel centres lie in the box of `grid` (at least one voxel along each axis)."""
    corners = Geometry.of(image).indices(grid.corners())
    last = np.asarray(image.GetSize()) - 1
    low = np.clip(np.ceil(corners.min(axis=0) - 1e-6), 0, last).astype(int)
    high = np.clip(np.floor(corners.max(axis=0) + 1e-6), low, last).astype(int)
    return sitk.RegionOfInterest(image, [int(n) for n in high - low + 1], [int(n) for n in low])
