"""Clicks that a person might have made in a training patch, as channels for the network.

As in the interactive autoPET tasks, clicks correct a wrong mask: foreground in what it missed, background in what it
has too much. The mask is not the network's own, which would tie a step to all before it, but a crude one: nothing at
all, or the contour with its border moved about at random, and often hot uptake with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.inference.guidance import click_blobs
from petctfusion.training.click_settings import ClickSettings

Mask = NDArray[np.bool_]
_TOUCH_26 = np.ones((3, 3, 3), dtype=bool)
# Of the crude mask: how often it is empty, how far its border strays (standard deviations in mm), what counts as hot.
_NOTHING_FOUND = 0.25
_BORDER_MM = (3.0, 15.0)
_ALL_AROUND_MM = 4.0
_WITH_HOT = 0.5
_HOT_SUV = (1.5, 6.0)
_KNOTS = 4
# How often a click hits the middle of what is wrong, not just some place in it.
_IN_THE_MIDDLE = 0.5


@dataclass(frozen=True)
class _Error:
    """A connected wrong part: its voxels, in the box of `place` (z, y, x), and whether the contour holds them."""

    mask: Mask
    place: tuple[slice, ...]
    missed: bool

    @property
    def size(self) -> int:
        """Voxels."""
        return int(np.count_nonzero(self.mask))


def simulated_clicks(
    target: torch.Tensor,
    pet: torch.Tensor | None,
    spacing_zyx: Sequence[float],
    settings: ClickSettings,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Blobs (2, z, y, x) of foreground and background clicks for a contour share and the SUV of the same patch.

    Foreground clicks lie inside the contour and background clicks outside, always.
    """
    count = 0 if rng.random() < settings.none_probability else int(rng.integers(1, settings.max_clicks + 1))
    points: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
    if count:
        reference = target.numpy() >= 0.5
        errors = _errors(reference, _crude_mask(reference, pet, spacing_zyx, rng))
        for number in range(count if errors else 0):
            error = errors[number] if number < len(errors) else errors[rng.integers(len(errors))]
            points[0 if error.missed else 1].append(_place(error, spacing_zyx, rng))
    blobs = [click_blobs(target.shape, spacing_zyx, [p.tolist() for p in side], settings.radius_mm) for side in points]
    return torch.from_numpy(np.stack(blobs))


def _crude_mask(
    reference: Mask, pet: torch.Tensor | None, spacing_zyx: Sequence[float], rng: np.random.Generator
) -> Mask:
    crude = np.zeros_like(reference)
    if rng.random() < _NOTHING_FOUND:
        return crude
    if reference.any() and not reference.all():
        inside_mm = ndimage.distance_transform_edt(reference, spacing_zyx)
        outside_mm = ndimage.distance_transform_edt(~reference, spacing_zyx)
        knots = torch.from_numpy(rng.normal(0.0, rng.uniform(*_BORDER_MM), (1, 1, *(_KNOTS,) * 3)))
        strays_mm = torch.nn.functional.interpolate(knots, reference.shape, mode="trilinear", align_corners=True)
        crude = inside_mm - outside_mm + strays_mm[0, 0].numpy() + rng.normal(0.0, _ALL_AROUND_MM) > 0
    if pet is not None and rng.random() < _WITH_HOT:
        crude = crude | (pet.numpy() > rng.uniform(*_HOT_SUV))
    return crude


def _errors(reference: Mask, crude: Mask) -> list[_Error]:
    """What is wrong with the mask, the largest first."""
    found = []
    for wrong, missed in ((reference & ~crude, True), (crude & ~reference, False)):
        parts, _ = ndimage.label(wrong, structure=_TOUCH_26)
        for number, place in enumerate(ndimage.find_objects(parts), start=1):
            found.append(_Error(parts[place] == number, place, missed))
    return sorted(found, key=lambda error: -error.size)


def _place(error: _Error, spacing_zyx: Sequence[float], rng: np.random.Generator) -> NDArray[np.int64]:
    """A voxel (z, y, x) of the patch in the error: the one deepest in it, or any."""
    if rng.random() < _IN_THE_MIDDLE:
        voxel = deepest_voxel(error.mask, spacing_zyx)
    else:
        voxel = np.argwhere(error.mask)[rng.integers(error.size)]
    first = np.array([side.start for side in error.place], dtype=np.int64)
    place: NDArray[np.int64] = voxel + first
    return place


def deepest_voxel(mask: Mask, spacing_zyx: Sequence[float]) -> NDArray[np.int64]:
    """The voxel (z, y, x) of a mask that is farthest in mm from everything outside it; beyond the array is outside.

    Of several that are as deep, the one in their middle.
    """
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), spacing_zyx)
    deepest = np.argwhere(depth == depth.max()) - 1
    from_middle = np.square((deepest - deepest.mean(axis=0)) * np.asarray(spacing_zyx)).sum(axis=1)
    middle: NDArray[np.int64] = deepest[from_middle.argmin()]
    return middle
