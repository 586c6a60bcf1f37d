"""Random training patches: off-centre, with random margins, one resampling, then the changes of `augmentation`.

The sarcoma crops put the tumour in the middle of a box 5 cm larger than it. Were patches cut from them as they are, a
network would learn the box. Each patch therefore pretends that the study was cropped anew: random margins on every side
(everything outside becomes air, as beyond a field of view), and the patch is placed anywhere over what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from petctfusion.training.augmentation import Augmentation
from petctfusion.training.augmentation.dropout import without_one
from petctfusion.training.augmentation.geometry import sampling_points
from petctfusion.training.augmentation.intensity import changed
from petctfusion.training.augmentation.misregistration import misregistered
from petctfusion.training.cases import AIR, Case


@dataclass(frozen=True)
class PatchSettings:
    """How patches are drawn and changed. `optional` modalities are those that dropout may take away; with `classes`
    the target says what kind of lesion a patch shows."""

    patch: tuple[int, int, int]
    modalities: tuple[str, ...] = ("CT", "PET")
    augmentation: Augmentation = field(default_factory=Augmentation)
    optional: tuple[str, ...] = ()
    classes: bool = False


@dataclass(frozen=True)
class Patch:
    """Image (M, z, y, x) in HU and SUV; contour share (1, z, y, x), and where classes are learnt a second channel with
    the lesion's class at its voxels."""

    image: torch.Tensor
    target: torch.Tensor


def draw_patch(case: Case, settings: PatchSettings, rng: np.random.Generator) -> Patch:
    """One random patch of `case`; the same generator state gives the same patch, bit for bit."""
    change, spacing = settings.augmentation, case.spacing_zyx
    window = _pretended_field_of_view(case, change, rng)
    centre = _patch_centre(case, window, settings, rng)
    points = sampling_points(settings.patch, centre, spacing, change, rng)
    drawn_on = change.contour_modality or settings.modalities[0]
    channels = []
    for index, kind in enumerate(settings.modalities):
        at = points if kind == drawn_on else misregistered(points, centre, spacing, change, rng)
        air = AIR.get(kind, 0.0)
        values = _sample(case.image[index], at, air)
        inside = _inside(at, window)
        values = values * inside + air
        channels.append(changed(kind, values, inside, spacing, change, rng))
    image = torch.stack(channels)
    image = without_one(image, settings.modalities, settings.optional, change.modality_dropout_probability, rng)
    target = _sample(case.contour, points) * _inside(points, window)
    if not settings.classes:
        return Patch(image, target[None])
    return Patch(image, torch.stack([target, (target >= 0.5).float() * (case.lesion_class or 0)]))


def _pretended_field_of_view(case: Case, s: Augmentation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Box (2, 3) in (z, y, x) index units outside which everything is air."""
    whole = np.stack([np.full(3, -0.5), np.asarray(case.contour.shape) - 0.5])
    # A patient without tumour has nothing to put margins around.
    if rng.random() < s.uncropped_probability or not len(case.foreground):
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
    if rng.random() < s.augmentation.foreground_probability and len(case.foreground):
        voxels = case.foreground
        if s.augmentation.lesions_alike:
            voxels = case.lesions[rng.integers(len(case.lesions))]
        voxel = voxels[rng.integers(len(voxels))]
        return np.asarray(voxel + rng.uniform(-0.3, 0.3, 3) * patch)
    # A sliding window is centred over a field of view smaller than itself, and stays within a larger one.
    slack = np.maximum(0.0, (window[1] - window[0] - patch) / 2)
    middle = window.mean(axis=0)
    return np.asarray(middle + rng.uniform(-1.0, 1.0, 3) * (slack + 0.1 * patch))


def _sample(volume: NDArray[np.float32], points: torch.Tensor, air: float = 0.0) -> torch.Tensor:
    """Linear interpolation of (z, y, x) minus `air` at index points (..., 3); zero outside.

    Only the box that `points` look at is read, so that a whole body costs as much as a crop (and stays on disk if it is
    memory-mapped); the rest of `above` is never filled, and never looked at. The grid stays that of the whole volume:
    coordinates of a smaller one would round to other last bits.
    """
    box = _looked_at(points, volume.shape)
    above = torch.empty(volume.shape)
    above[box] = torch.from_numpy(volume[box] - np.float32(air))
    size = torch.tensor(volume.shape, dtype=torch.float32)
    grid = ((2 * points + 1) / size - 1).flip(-1)
    sampled = torch.nn.functional.grid_sample(
        above[None, None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return sampled[0, 0]


def _looked_at(points: torch.Tensor, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The voxels that interpolation at `points` may read, one more on each side for the rounding of coordinates."""
    flat = points.reshape(-1, 3)
    low, high = flat.amin(dim=0).floor().tolist(), flat.amax(dim=0).floor().tolist()
    return tuple(
        slice(min(n, max(0, int(a) - 1)), max(0, min(n, int(b) + 3))) for a, b, n in zip(low, high, shape, strict=True)
    )


def _inside(points: torch.Tensor, window: NDArray[np.float64]) -> torch.Tensor:
    low, high = torch.from_numpy(window.astype(np.float32))
    inside: torch.Tensor = ((points >= low) & (points <= high)).all(dim=-1)
    return inside.float()
