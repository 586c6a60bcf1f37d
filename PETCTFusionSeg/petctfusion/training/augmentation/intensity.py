"""Changes of grey values in HU and SUV: what a scanner, its protocol and its noise could have made of the same body."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from petctfusion.training.augmentation import monai_transforms
from petctfusion.training.augmentation.geometry import Triple
from petctfusion.training.augmentation.settings import Augmentation

_BODY_HU = -900.0
_SIGMA_OF_FWHM = 1 / (2 * math.sqrt(2 * math.log(2)))


def changed(
    kind: str,
    values: torch.Tensor,
    inside: torch.Tensor,
    spacing_mm: Triple,
    settings: Augmentation,
    rng: np.random.Generator,
) -> torch.Tensor:
    """`values` (z, y, x) of a CT in HU or a PET in SUV, changed; any other modality comes back as it is.

    `inside` is 1 in the field of view and 0 beyond.
    """
    if kind not in ("CT", "PET"):
        return values
    noise = torch.from_numpy(rng.standard_normal(values.shape, dtype=np.float32))
    if kind == "CT":
        values = _changed_ct(values, noise, settings, rng)
    else:
        values = _changed_pet(values, noise, inside, spacing_mm, settings, rng)
    if settings.gamma_probability > 0 and rng.random() < settings.gamma_probability:
        gamma = float(np.exp(rng.uniform(*np.log(settings.gamma))))
        body = values > _BODY_HU if kind == "CT" else inside > 0
        values = _bent(values, body, gamma)
    return values if kind == "CT" else values.clamp(min=0.0)


def _bent(values: torch.Tensor, body: torch.Tensor, gamma: float) -> torch.Tensor:
    """Gamma where `body` is: air stays air."""
    if int(body.sum()) < 2:
        return values
    values = values.clone()
    values[body] = monai_transforms.bend(values[body], gamma)
    return values


def _changed_ct(values: torch.Tensor, noise: torch.Tensor, s: Augmentation, rng: np.random.Generator) -> torch.Tensor:
    body = (values > _BODY_HU).float()
    sd = rng.uniform(0.0, s.ct_noise_hu)
    return values + body * (rng.normal(0.0, s.ct_shift_hu) + sd * noise)


def _changed_pet(
    values: torch.Tensor,
    noise: torch.Tensor,
    inside: torch.Tensor,
    spacing_mm: Triple,
    s: Augmentation,
    rng: np.random.Generator,
) -> torch.Tensor:
    if rng.random() < s.pet_blur_probability:
        if s.pet_blur_fwhm_mm is None:
            kernel = [min(n, 2) * 2 - 1 for n in values.shape]  # 3, and 1 across a single slice
            padding = [n // 2 for n in kernel]
            values = functional.avg_pool3d(values[None, None], kernel, stride=1, padding=padding)[0, 0]
        else:
            values = _blurred(values, inside, rng.uniform(*s.pet_blur_fwhm_mm), spacing_mm)
    if s.pet_noise_fwhm_mm > 0:
        noise = _grainy(noise, s.pet_noise_fwhm_mm, spacing_mm)
    scale = float(np.exp(rng.normal(0.0, s.suv_scale_sd)))
    # Reconstructed counts vary as their square root: noise grows with the square root of the uptake.
    sd = rng.uniform(0.0, s.pet_noise)
    return (values * scale + sd * noise * values.clamp(min=0.0).sqrt()).clamp(min=0.0)


def _blurred(values: torch.Tensor, inside: torch.Tensor, fwhm_mm: float, spacing_mm: Triple) -> torch.Tensor:
    """A Gaussian over what is in the field of view: its border neither darkens nor leaks."""
    sigma = _sigma_voxels(fwhm_mm, spacing_mm)
    weight = monai_transforms.smooth(inside, sigma).clamp(min=1e-6)
    return monai_transforms.smooth(values * inside, sigma) / weight * inside


def _grainy(noise: torch.Tensor, fwhm_mm: float, spacing_mm: Triple) -> torch.Tensor:
    """White noise smoothed as on a ring, so that it is as strong at the border, and brought back to unit deviation."""
    sigma = _sigma_voxels(fwhm_mm, spacing_mm)
    margin = [min(n, math.ceil(4 * s) + 1) for n, s in zip(noise.shape, sigma, strict=True)]
    pad = [side for m in reversed(margin) for side in (m, m)]
    ring = functional.pad(noise[None, None], pad, mode="circular")[0, 0]
    middle = tuple(slice(m, m + n) for m, n in zip(margin, noise.shape, strict=True))
    smooth = monai_transforms.smooth(ring, sigma)[middle]
    return smooth / smooth.std()


def _sigma_voxels(fwhm_mm: float, spacing_mm: Triple) -> list[float]:
    return [fwhm_mm * _SIGMA_OF_FWHM / step for step in spacing_mm]
