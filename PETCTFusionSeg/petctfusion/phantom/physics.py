"""From tissue to image: separable blurring onto a scanner's grid, PET noise tied to the liver, CT noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from petctfusion.phantom.fields import axis_points
from petctfusion.volumes.geometry import Geometry

Array = NDArray[np.float32]
FWHM_PER_SIGMA = float(2 * np.sqrt(2 * np.log(2)))
NOISE_FWHM_MM = 5.5
"""Correlation of PET noise: a typical 5 to 6 mm post-reconstruction filter."""
SCATTER_SUV = 0.03
"""Uniform background of residual scatter and randoms that gives air its little noise."""
CT_AIR_HU = -1000.0


def image_on(values: Array, source: Geometry, target: Geometry, fwhm_mm: float, slice_average: bool = False) -> Array:
    """`values` (z, y, x), constant within each source voxel and 0 outside, blurred by a Gaussian and read on `target`.

    The blur is exact (error-function integrals over the source voxels, one axis after the other), so that the width
    in the image is `fwhm_mm` whatever the grids. `slice_average` also averages over each target voxel, as a CT does.
    Both grids are axis-aligned.
    """
    result = values
    for axis, (source_points, target_points) in enumerate(zip(axis_points(source), axis_points(target), strict=True)):
        step = source.spacing_zyx[axis]
        average = target.spacing_zyx[axis] if slice_average else 0.0
        weights = _weights(source_points, step, target_points, fwhm_mm / FWHM_PER_SIGMA, average)
        result = np.moveaxis(np.tensordot(weights, result, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(result, dtype=np.float32)


def _weights(source: Array, step: float, target: Array, sigma: float, average: float) -> Array:
    """Share of each source cell in each target sample, (targets, sources)."""
    edges = np.append(source - step / 2, source[-1] + step / 2).astype(np.float64)
    samples = (np.arange(5) - 2) / 5 * average if average > 0 else np.zeros(1)
    total = np.zeros((len(target), len(source)))
    for shift in samples:
        place = (edges[None, :] - target[:, None] - shift) / (np.sqrt(2) * max(sigma, 1e-3))
        total += np.diff(special.erf(place), axis=1) / 2
    return (total / len(samples)).astype(np.float32)


def counts_per_suv(liver_suv: float, liver_cov: float, spacing_zyx: tuple[float, float, float]) -> float:
    """Counts per voxel and SUV that give a uniform liver the coefficient of variation `liver_cov` after the filter.

    Filtered Poisson noise of mean c m has the variance c m g^2, with g^2 the sum of the squared filter weights: the
    coefficient of variation is g / sqrt(c m).
    """
    gain = 1.0
    for kernel in _noise_kernels(spacing_zyx):
        gain *= float((kernel**2).sum())
    return gain / (liver_suv * liver_cov**2)


def add_pet_noise(
    suv: Array,
    spacing_zyx: tuple[float, float, float],
    liver_suv: float,
    liver_cov: float,
    generator: np.random.Generator,
) -> Array:
    """Poisson noise on the grid, correlated by the reconstruction filter; the noise-free image stays as sharp as it is.

    Only the deviation from the mean is filtered, so the resolution is that of `suv` and the noise that of the liver
    target scaled with the square root of uptake. Negative values become 0, as in ordered-subset reconstructions.
    """
    if liver_cov <= 0:
        return np.array(suv)
    counts = counts_per_suv(liver_suv, liver_cov, spacing_zyx)
    expected = (np.maximum(suv, 0) + SCATTER_SUV) * counts
    noise = ((generator.poisson(expected) - expected) / counts).astype(np.float32)
    for axis, kernel in enumerate(_noise_kernels(spacing_zyx)):
        noise = ndimage.convolve1d(noise, kernel, axis=axis, mode="reflect")
    return np.asarray(np.maximum(suv + noise, 0), dtype=np.float32)


def _noise_kernels(spacing_zyx: tuple[float, float, float]) -> list[Array]:
    kernels = []
    for spacing in spacing_zyx:
        sigma = NOISE_FWHM_MM / FWHM_PER_SIGMA / spacing
        reach = int(np.ceil(4 * sigma))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        kernels.append((kernel / kernel.sum()).astype(np.float32))
    return kernels


def add_ct_noise(
    hounsfield: Array, spacing_zyx: tuple[float, float, float], sd_hu: float, generator: np.random.Generator
) -> NDArray[np.int16]:
    """CT noise of standard deviation `sd_hu` in soft tissue as integers in [-1000, 3071].

    Filtered back projection leaves noise without its lowest frequencies (Riederer, Pelc, Chesler, Phys Med Biol 1978):
    a difference of two Gaussians in the plane, slightly streaky along x, where the body is widest. Air is calmer.
    """
    fine = generator.standard_normal(hounsfield.shape).astype(np.float32)
    _, step_y, step_x = spacing_zyx
    narrow = ndimage.gaussian_filter(fine, (0, 0.55 / step_y, 0.95 / step_x))
    wide = ndimage.gaussian_filter(fine, (0, 2.0 / step_y, 2.6 / step_x))
    narrow -= wide
    narrow *= np.float32(sd_hu / max(float(narrow.std()), 1e-6))
    narrow *= np.clip((hounsfield + 1000) / 900, 0.25, 1.0)
    return np.asarray(np.clip(np.round(hounsfield + narrow), CT_AIR_HU, 3071), dtype=np.int16)
