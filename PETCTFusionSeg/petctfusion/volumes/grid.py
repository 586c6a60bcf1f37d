"""One grid for all modalities, and the way back: everything is matched in physical space, never by array shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes.geometry import Geometry

CT_AIR_HU = -1024.0
PET_AIR_SUV = 0.0


def common_grid(
    images: Sequence[sitk.Image], spacing_mm: tuple[float, float, float], margin_voxels: int = 0
) -> Geometry:
    """The grid on which a network sees a study.

    Axes are those of the first image (the CT); `spacing_mm` is (z, y, x). The grid fills the box that all
    fields of view share (voxel edges, not centres), widened by `margin_voxels`, so that no voxel of it lacks a modality
    except in the margin. Raises `BadInputError` when the fields of view do not overlap.
    """
    first = Geometry.of(images[0])
    frame = Geometry((1, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), first.direction)
    boxes = [frame.indices(Geometry.of(image).corners()) for image in images]
    low = np.max([box.min(axis=0) for box in boxes], axis=0)
    high = np.min([box.max(axis=0) for box in boxes], axis=0)
    if np.any(high - low <= 0):
        raise BadInputError(
            "The fields of view of the volumes do not overlap.",
            "Check that CT and PET belong to the same patient and are registered.",
        )
    spacing = np.asarray(spacing_mm[::-1], dtype=np.float64)
    size = np.maximum(1, np.round((high - low) / spacing).astype(int)) + 2 * margin_voxels
    first_centre = (low + high) / 2 - (size - 1) / 2 * spacing
    origin = frame.points(first_centre[None])[0]
    return Geometry(
        (int(size[0]), int(size[1]), int(size[2])),
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        first.direction,
    )


def resample_image(image: sitk.Image, grid: Geometry, outside: float) -> sitk.Image:
    """Grey values on `grid` as float32, linear, with `outside` beyond the field of view.

    Coarser grids are reached through a Gaussian that matches the ratio of the spacings (no aliasing of CT noise).
    """
    source = Geometry.of(image)
    values = sitk.Cast(image, sitk.sitkFloat32)
    if source.same_grid(grid):
        return values
    sigma = _antialias_sigma_mm(source, grid)
    if max(sigma) > 0:
        values = _smooth(values, sigma)
    return _resample(values, grid, sitk.sitkLinear, outside)


def resample_probability(probability: sitk.Image, grid: Geometry) -> sitk.Image:
    """A probability in [0, 1] on `grid` (float32), linear, 0 outside."""
    return _resample(sitk.Cast(probability, sitk.sitkFloat32), grid, sitk.sitkLinear, 0.0)


def _resample(image: sitk.Image, grid: Geometry, interpolator: int, outside: float) -> sitk.Image:
    resampler = sitk.ResampleImageFilter()
    resampler.SetReferenceImage(grid.empty())
    resampler.SetInterpolator(interpolator)
    resampler.SetDefaultPixelValue(outside)
    resampler.SetOutputPixelType(sitk.sitkFloat32)
    return resampler.Execute(image)


def _antialias_sigma_mm(source: Geometry, grid: Geometry) -> tuple[float, ...]:
    """Gaussian sigma per source axis: sqrt(target^2 - source^2) / 2.355 where the target is coarser."""
    target_axes = np.abs(grid.axes.T @ source.axes)
    target = np.asarray(grid.spacing) @ target_axes / target_axes.sum(axis=0)
    wanted = target**2 - np.asarray(source.spacing) ** 2
    return tuple(float(np.sqrt(max(0.0, w)) / 2.3548) for w in wanted)


def _smooth(image: sitk.Image, sigma_mm: tuple[float, ...]) -> sitk.Image:
    for axis, sigma in enumerate(sigma_mm):
        if sigma > 0 and image.GetSize()[axis] >= 4:
            image = sitk.RecursiveGaussian(image, sigma, False, sitk.RecursiveGaussianImageFilter.ZeroOrder, axis)
    return image
