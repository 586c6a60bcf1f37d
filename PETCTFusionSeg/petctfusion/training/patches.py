"""Random training patches: off-centre, with random margins, one resampling, physics-sized intensity changes.

The sarcoma crops put the tumour in the middle of a box 5 cm larger than it. Were patches cut from them as they are, a
network would learn the box. Each patch therefore pretends that the study was cropped anew: random margins on every side
(everything outside becomes air, as beyond a field of view), and the patch is placed anywhere over what is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from petctfusion.training.cases import AIR, Case


@dataclass(frozen=True)
class PatchSettings:
    """How patches are drawn and changed. Lengths in mm, angles in degrees; probabilities are named so."""

    patch: tuple[int, int, int]
    modalities: tuple[str, ...] = ("CT", "PET")
    margin_mm: tuple[float, float] = (3.0, 50.0)
    uncropped_probability: float = 0.25
    cut_through_probability: float = 0.15
    foreground_probability: float = 0.6
    rotation_deg: float = 20.0
    zoom: tuple[float, float] = (0.8, 1.25)
    elastic_mm: float = 6.0
    elastic_probability: float = 0.3
    misregistration_mm: float = 2.0
    suv_scale_sd: float = 0.12
    ct_shift_hu: float = 15.0
    ct_noise_hu: float = 15.0
    pet_noise: float = 0.08
    pet_blur_probability: float = 0.25


@dataclass(frozen=True)
class Patch:
    """Image (M, z, y, x) in HU and SUV, contour share (1, z, y, x)."""

    image: torch.Tensor
    target: torch.Tensor


def draw_patch(case: Case, settings: PatchSettings, rng: np.random.Generator) -> Patch:
    """One random patch of `case`; the same generator state gives the same patch, bit for bit."""
    window = _pretended_field_of_view(case, settings, rng)
    centre = _patch_centre(case, window, settings, rng)
    points = _sampling_points(case, centre, settings, rng)
    channels = []
    for index, kind in enumerate(settings.modalities):
        at = points
        if index > 0 and settings.misregistration_mm > 0:
            shift = rng.normal(0.0, settings.misregistration_mm / 2, 3) / np.asarray(case.spacing_zyx)
            at = points + torch.from_numpy(shift.astype(np.float32))
        air = AIR.get(kind, 0.0)
        values = _sample(torch.from_numpy(case.image[index]) - air, at)
        values = values * _inside(at, window) + air
        channels.append(_change_intensity(kind, values, settings, rng))
    target = _sample(torch.from_numpy(case.contour), points) * _inside(points, window)
    return Patch(torch.stack(channels), target[None])


def _pretended_field_of_view(case: Case, s: PatchSettings, rng: np.random.Generator) -> NDArray[np.float64]:
    """Box (2, 3) in (z, y, x) index units outside which everything is air."""
    whole = np.stack([np.full(3, -0.5), np.asarray(case.contour.shape) - 0.5])
    if rng.random() < s.uncropped_probability:
        return whole
    margins = rng.uniform(*s.margin_mm, size=(2, 3)) / np.asarray(case.spacing_zyx)
    box = case.box + np.stack([-margins[0], margins[1]])
    if rng.random() < s.cut_through_probability:
        axis, side = rng.integers(3), rng.integers(2)
        extent = case.box[1, axis] - case.box[0, axis]
        inward = rng.uniform(0.0, 0.4) * extent
        box[side, axis] = case.box[side, axis] + (inward if side == 0 else -inward)
    return np.stack([np.maximum(box[0], whole[0]), np.minimum(box[1], whole[1])])


def _patch_centre(
    case: Case, window: NDArray[np.float64], s: PatchSettings, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Near a contour voxel, or where a sliding window could stand over the field of view."""
    patch = np.asarray(s.patch, dtype=np.float64)
    if rng.random() < s.foreground_probability:
        voxel = case.foreground[rng.integers(len(case.foreground))]
        return np.asarray(voxel + rng.uniform(-0.3, 0.3, 3) * patch)
    # A sliding window is centred over a field of view smaller than itself, and stays within a larger one.
    slack = np.maximum(0.0, (window[1] - window[0] - patch) / 2)
    middle = window.mean(axis=0)
    return np.asarray(middle + rng.uniform(-1.0, 1.0, 3) * (slack + 0.1 * patch))


def _sampling_points(
    case: Case, centre: NDArray[np.float64], s: PatchSettings, rng: np.random.Generator
) -> torch.Tensor:
    """Where each patch voxel looks in the case: (z, y, x, 3) in (z, y, x) index units, float32."""
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in s.patch]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    spacing = np.asarray(case.spacing_zyx)
    matrix = _rotation(np.deg2rad(rng.uniform(-1, 1, 3) * s.rotation_deg))
    matrix = matrix @ np.diag(np.exp(rng.uniform(*np.log(s.zoom))) * rng.choice([-1.0, 1.0], 3))
    in_index = np.diag(1 / spacing) @ matrix @ np.diag(spacing)
    points = offsets @ torch.from_numpy(in_index.T.astype(np.float32))
    if rng.random() < s.elastic_probability:
        knots = rng.normal(0.0, s.elastic_mm, (1, 3, 5, 5, 5)).astype(np.float32) / spacing.reshape(1, 3, 1, 1, 1)
        field = torch.nn.functional.interpolate(
            torch.from_numpy(knots.astype(np.float32)), size=s.patch, mode="trilinear", align_corners=True
        )
        points = points + field[0].permute(1, 2, 3, 0)
    return points + torch.from_numpy(centre.astype(np.float32))


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


def _sample(volume: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Linear interpolation of (z, y, x) at index points (..., 3); zero outside."""
    size = torch.tensor(volume.shape, dtype=torch.float32)
    grid = ((2 * points + 1) / size - 1).flip(-1)
    sampled = torch.nn.functional.grid_sample(
        volume[None, None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return sampled[0, 0]


def _inside(points: torch.Tensor, window: NDArray[np.float64]) -> torch.Tensor:
    low, high = torch.from_numpy(window.astype(np.float32))
    inside: torch.Tensor = ((points >= low) & (points <= high)).all(dim=-1)
    return inside.float()


def _change_intensity(kind: str, values: torch.Tensor, s: PatchSettings, rng: np.random.Generator) -> torch.Tensor:
    noise = torch.from_numpy(rng.standard_normal(values.shape, dtype=np.float32))
    if kind == "CT":
        body = (values > -900.0).float()
        sd = rng.uniform(0.0, s.ct_noise_hu)
        return values + body * (rng.normal(0.0, s.ct_shift_hu) + sd * noise)
    if rng.random() < s.pet_blur_probability:
        values = torch.nn.functional.avg_pool3d(values[None, None], 3, stride=1, padding=1)[0, 0]
    scale = float(np.exp(rng.normal(0.0, s.suv_scale_sd)))
    # Reconstructed counts vary as their square root: noise grows with the square root of the uptake.
    sd = rng.uniform(0.0, s.pet_noise)
    return (values * scale + sd * noise * values.clamp(min=0.0).sqrt()).clamp(min=0.0)
