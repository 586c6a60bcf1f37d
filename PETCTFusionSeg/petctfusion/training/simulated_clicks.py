"""A person who corrects a mask in a training patch, click by click.

As in the interactive autoPET tasks, clicks correct what is wrong at the moment: foreground in what was missed,
background in what is too much. The first mask is what the network says itself, or a crude one: nothing at all, or the
contour with its border moved about at random, and often hot uptake with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.inference.clicks import REACH_MM
from petctfusion.inference.guidance import click_blobs

Mask = NDArray[np.bool_]
_TOUCH_26 = np.ones((3, 3, 3), dtype=bool)
# Of the crude mask: how often it is empty, how far its border strays (standard deviations in mm), what counts as hot.
_NOTHING_FOUND = 0.25
_BORDER_MM = (3.0, 15.0)
_ALL_AROUND_MM = 4.0
_WITH_HOT = 0.5
_HOT_SUV = (1.5, 6.0)
_KNOTS = 4
# How often a click hits the largest error, and how often the middle of the error and not just some place in it.
_IN_THE_LARGEST = 0.7
_IN_THE_MIDDLE = 0.7
# What is to be learnt from an answer: most of it around the click, and a little that the rest is to stay.
_LEARNT_NEAR_MM = 20.0
_LEARNT_FAR = 0.05


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


class SimulatedReader:
    """Looks at a mask (z, y, x) of a patch, knows its contour, and clicks; the mask follows the answers."""

    def __init__(
        self, contour: Mask, mask: Mask, spacing_zyx: Sequence[float], radius_mm: float, rng: np.random.Generator
    ) -> None:
        self.contour, self.mask = contour, mask
        self._spacing_zyx, self._radius_mm, self._rng = spacing_zyx, radius_mm, rng
        self._points: tuple[list[list[float]], list[list[float]]] = ([], [])
        self._newest: list[float] | None = None
        self._is_foreground = False

    def click(self, lengths: Sequence[int]) -> tuple[slice, ...]:
        """Click on what is wrong, if anything is; the window of `lengths` voxels (z, y, x) that is then looked at.

        The click is in its middle, except at the border of the patch.
        """
        errors = _errors(self.contour, self.mask)
        self._newest = None
        if errors:
            pick = 0 if self._rng.random() < _IN_THE_LARGEST else int(self._rng.integers(len(errors)))
            self._newest, self._is_foreground = self._place(errors[pick]), errors[pick].missed
            self._points[0 if self._is_foreground else 1].append(self._newest)
        middle = self._newest or [size / 2 for size in self.mask.shape]
        starts = [
            min(max(round(at) - length // 2, 0), size - length)
            for at, length, size in zip(middle, lengths, self.mask.shape, strict=True)
        ]
        return tuple(slice(start, start + length) for start, length in zip(starts, lengths, strict=True))

    def guidance(self) -> NDArray[np.float32]:
        """What the network is given (3, z, y, x): foreground clicks, background clicks, the mask as it is."""
        sides = [click_blobs(self.mask.shape, self._spacing_zyx, side, self._radius_mm) for side in self._points]
        return np.stack([*sides, self.mask.astype(np.float32)])

    def weight(self) -> NDArray[np.float32]:
        """How much each voxel of the answer to the last click matters; nothing does where no click was made."""
        if self._newest is None:
            return np.zeros(self.mask.shape, np.float32)
        return _LEARNT_FAR + self._near(_LEARNT_NEAR_MM)

    def see(self, window: tuple[slice, ...], answer: Mask) -> None:
        """Take the answer to the last click in its window: as far as a click reaches, and only what it was made for."""
        if self._newest is None:
            return
        reach, before = self._near(REACH_MM)[window] >= np.exp(-0.5), self.mask[window]
        self.mask[window] = before | (answer & reach) if self._is_foreground else before & (answer | ~reach)

    def _near(self, radius_mm: float) -> NDArray[np.float32]:
        assert self._newest is not None, "asked after a click"
        return click_blobs(self.mask.shape, self._spacing_zyx, [self._newest], radius_mm)

    def _place(self, error: _Error) -> list[float]:
        """A point (z, y, x) of the patch in the error: in the voxel deepest in it, or in any."""
        if self._rng.random() < _IN_THE_MIDDLE:
            voxel = deepest_voxel(error.mask, self._spacing_zyx)
        else:
            voxel = np.argwhere(error.mask)[self._rng.integers(error.size)]
        first = np.array([side.start for side in error.place], dtype=np.int64)
        # Nobody clicks into the middles of the network's voxels.
        point: list[float] = (voxel + first + self._rng.uniform(-0.45, 0.45, 3)).tolist()
        return point


def crude_mask(
    contour: Mask, pet: NDArray[np.float32] | None, spacing_zyx: Sequence[float], rng: np.random.Generator
) -> Mask:
    """A mask as wrong as a person may find it, from a contour and the SUV of the same patch."""
    crude = np.zeros_like(contour)
    if rng.random() < _NOTHING_FOUND:
        return crude
    if contour.any() and not contour.all():
        inside_mm = ndimage.distance_transform_edt(contour, spacing_zyx)
        outside_mm = ndimage.distance_transform_edt(~contour, spacing_zyx)
        knots = torch.from_numpy(rng.normal(0.0, rng.uniform(*_BORDER_MM), (1, 1, *(_KNOTS,) * 3)))
        strays_mm = torch.nn.functional.interpolate(knots, contour.shape, mode="trilinear", align_corners=True)
        crude = inside_mm - outside_mm + strays_mm[0, 0].numpy() + rng.normal(0.0, _ALL_AROUND_MM) > 0
    if pet is not None and rng.random() < _WITH_HOT:
        crude = crude | (pet > rng.uniform(*_HOT_SUV))
    return crude


def _errors(contour: Mask, mask: Mask) -> list[_Error]:
    """What is wrong with the mask, the largest first."""
    found = []
    for wrong, missed in ((contour & ~mask, True), (mask & ~contour, False)):
        parts, _ = ndimage.label(wrong, structure=_TOUCH_26)
        for number, place in enumerate(ndimage.find_objects(parts), start=1):
            found.append(_Error(parts[place] == number, place, missed))
    return sorted(found, key=lambda error: -error.size)


def deepest_voxel(mask: Mask, spacing_zyx: Sequence[float]) -> NDArray[np.int64]:
    """The voxel (z, y, x) of a mask that is farthest in mm from everything outside it; beyond the array is outside.

    Of several that are as deep, the one in their middle.
    """
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), spacing_zyx)
    deepest = np.argwhere(depth == depth.max()) - 1
    from_middle = np.square((deepest - deepest.mean(axis=0)) * np.asarray(spacing_zyx)).sum(axis=1)
    middle: NDArray[np.int64] = deepest[from_middle.argmin()]
    return middle
