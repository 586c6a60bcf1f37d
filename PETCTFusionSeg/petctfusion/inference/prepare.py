"""A study as the network sees it: one grid, clipped and scaled values, cut to the body where that saves windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.inference.clicks import Click
from petctfusion.inference.guidance import click_channels, seen_from, sub_grid, window_around
from petctfusion.inference.normalise import UNITLESS, offset_and_scale
from petctfusion.inference.windows import Triple, count_windows
from petctfusion.models.card import ModelCard
from petctfusion.volumes.box import bounding_box
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import CT_AIR_HU, PET_AIR_SUV, common_grid, resample_image

AIR = {"CT": CT_AIR_HU, "PET": PET_AIR_SUV}
_BODY_HU = -500.0
# Background noise of a PET stays below this; whatever exceeds it is kept, in the body or not.
_UPTAKE_SUV = 1.0
# Two legs, or arms beside the trunk, are separate parts; the table's leaves are far smaller.
_SMALLEST_PART = 0.02
_MARGIN_MM = 15.0


@dataclass(frozen=True)
class Prepared:
    """Network input: `array` (M, z, y, x) float32 as the card says, its `grid`, `air` value per modality."""

    array: NDArray[np.float32]
    grid: Geometry
    air: tuple[float, ...]


def prepare(
    volumes: Mapping[str, sitk.Image], card: ModelCard, overlap: float, absent: Mapping[str, float] | None = None
) -> Prepared:
    """Bring `volumes` (name to image: CT in HU, PET in SUVbw) to the card's spacing within their common field of view.

    Cut to the body when that saves windows. `absent`: the value that stands for a modality the network can do without.
    Raises `BadInputError` for any other missing modality, or fields of view that do not overlap.
    """
    constant = absent or {}
    images, whole = _on_one_grid(volumes, card, constant)
    array, grid = _sampled(images, card, whole, constant), whole
    seen = {name: channel for name, channel in zip(card.modalities, array, strict=True) if name in images}
    # Before the clip: a network for soft tissue may clip its CT above the air that tells the body apart.
    box = body_box(seen, grid)
    if box is not None and _saves_windows(box, grid, card.patch, overlap):
        z, y, x = box
        array = np.ascontiguousarray(array[:, z, y, x])
        grid = sub_grid(grid, box)
    _scale(array, images, card, whole)
    return Prepared(array, grid, tuple(_air(card, name, constant) for name in card.modalities))


def prepare_window(
    volumes: Mapping[str, sitk.Image],
    card: ModelCard,
    absent: Mapping[str, float],
    clicks: Sequence[Click],
    mask: sitk.Image,
) -> Prepared:
    """The one window around the last of `clicks`, for a card that has a place for them.

    Three channels follow the modalities: foreground clicks, background clicks, and `mask` (uint8, 0 or 1), which they
    correct. Raises as `prepare`.
    """
    assert card.clicks is not None, "asked of a model that takes clicks"
    images, whole = _on_one_grid(volumes, card, absent)
    grid = window_around(whole, card.patch, clicks[-1].point)
    near = seen_from(grid, {**images, "mask": mask})
    marked = sitk.GetArrayFromImage(resample_image(near.pop("mask"), grid, 0.0)) >= 0.5
    array = _sampled(near, card, grid, absent)
    _scale(array, near, card, grid)
    blobs = click_channels(grid, clicks, card.clicks.radius_mm)
    air = tuple(_air(card, name, absent) for name in card.modalities)
    return Prepared(np.concatenate([array, blobs, marked[None].astype(np.float32)]), grid, (*air, 0.0, 0.0, 0.0))


def local_volumes(
    volumes: Mapping[str, sitk.Image], card: ModelCard, point: tuple[float, float, float]
) -> dict[str, sitk.Image]:
    """What of `volumes` a network with clicks looks at when it answers one at `point` (LPS mm): enough to send.

    Raises as `prepare`.
    """
    images, grid = _on_one_grid(volumes, card, {name: 0.0 for name in card.modalities if name not in volumes})
    return seen_from(window_around(grid, card.patch, point), images)


def estimate_windows(
    volumes: Mapping[str, sitk.Image], card: ModelCard, overlap: float, absent: Mapping[str, float]
) -> int:
    """The windows of a study before anything is resampled; a cut to the body may save some. Raises as `prepare`."""
    _, grid = _on_one_grid(volumes, card, absent)
    return count_windows(grid.shape, card.patch, overlap)


def _on_one_grid(
    volumes: Mapping[str, sitk.Image], card: ModelCard, constant: Mapping[str, float]
) -> tuple[dict[str, sitk.Image], Geometry]:
    """The volumes that the card asks for, and the grid on which they are to lie."""
    missing = [name for name in card.modalities if name not in volumes and name not in constant]
    if missing or not any(name in volumes for name in card.modalities):
        lacking = " and ".join(missing or card.modalities)
        raise BadInputError(
            f"The model {card.name} needs {' and '.join(card.modalities)}; {lacking} is missing.",
            "Choose a volume for every modality, or another model.",
        )
    images = {name: volumes[name] for name in card.modalities if name in volumes}
    if card.orientation:
        images = {name: sitk.DICOMOrient(image, card.orientation) for name, image in images.items()}
    return images, common_grid(list(images.values()), card.spacing_mm)


def _sampled(
    images: Mapping[str, sitk.Image], card: ModelCard, grid: Geometry, constant: Mapping[str, float]
) -> NDArray[np.float32]:
    """The modalities (M, z, y, x) on `grid`, as they are."""
    array = np.empty((len(card.modalities), *grid.shape), dtype=np.float32)
    for channel, name in enumerate(card.modalities):
        if name in images:
            on_grid = resample_image(images[name], grid, AIR.get(name, 0.0))
            array[channel] = sitk.GetArrayViewFromImage(on_grid)
        else:
            array[channel] = constant[name]
    return array


def _scale(array: NDArray[np.float32], images: Mapping[str, sitk.Image], card: ModelCard, whole: Geometry) -> None:
    """Clip and normalise in place as the card says, what has no unit always; `whole`: the grid that is looked at."""
    for values, name in zip(array, card.modalities, strict=True):
        if name in images:
            np.clip(values, *card.clip[name], out=values)
            how = card.normalisation.get(name, UNITLESS.get(name))
            if how is not None:
                offset, scale = offset_and_scale(how, images[name], whole)
                values -= offset
                values /= scale


def _air(card: ModelCard, name: str, constant: Mapping[str, float]) -> float:
    """What surrounds a volume smaller than a window: air, or the 0 that nnU-Net and MONAI put around scaled values."""
    if name in constant:
        return constant[name]
    return 0.0 if card.normalisation else float(np.clip(AIR.get(name, 0.0), *card.clip[name]))


def body_box(channels: Mapping[str, NDArray[np.float32]], grid: Geometry) -> tuple[slice, slice, slice] | None:
    """The box (z, y, x) around the body with a margin of 15 mm, or None without a CT or a body in it.

    Body: CT above -500 HU, opened once to let go of the table and wires, parts of at least 2 % of the largest; and
    every voxel above SUV 1, so that no uptake is ever cut away.
    """
    if "CT" not in channels:
        return None
    solid = ndimage.binary_opening(channels["CT"] > _BODY_HU)
    parts, count = ndimage.label(solid)
    if count == 0:
        return None
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    kept = (sizes >= _SMALLEST_PART * sizes.max())[parts] & solid
    if "PET" in channels:
        kept |= channels["PET"] > _UPTAKE_SUV
    box = bounding_box(kept)
    assert box is not None  # the largest part is in it
    margins = [int(np.ceil(_MARGIN_MM / spacing)) for spacing in grid.spacing_zyx]
    z, y, x = (
        slice(max(0, side.start - margin), min(size, side.stop + margin))
        for side, margin, size in zip(box, margins, grid.shape, strict=True)
    )
    return z, y, x


def _saves_windows(box: tuple[slice, slice, slice], grid: Geometry, patch: Triple, overlap: float) -> bool:
    cut = [side.stop - side.start for side in box]
    return count_windows(cut, patch, overlap) < count_windows(grid.shape, patch, overlap)
