"""A click answered by a network that takes clicks: one window around it, and nothing changed outside its reach."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.special import expit

from petctfusion.errors import BadInputError
from petctfusion.inference.clicks import REACH_MM, Click, click_voxel, clicks_that_hold, labels_after_click
from petctfusion.inference.guidance import sub_grid
from petctfusion.inference.memory_ladder import Rung, climb
from petctfusion.inference.model import LoadedModel
from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.part import Part
from petctfusion.inference.prepare import Prepared, prepare_window
from petctfusion.inference.sliding_window import ShouldCancel
from petctfusion.networks.blocks.click_refiner import MASK_LOGIT
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import resample_probability

# A probability that the network moved by less than this is as it was before the click.
_MOVED = 0.05


@dataclass(frozen=True)
class Guided:
    """Labels (uint8) on the grid that was given, changed within the reach of the newest click only."""

    labels: sitk.Image
    device: str
    notes: tuple[str, ...]
    seconds: float


def refine_guided(
    volumes: Mapping[str, sitk.Image],
    model: LoadedModel,
    labels: sitk.Image,
    clicks: Sequence[Click],
    value: int = 1,
    should_cancel: ShouldCancel | None = None,
) -> Guided:
    """The label `value` after the last of `clicks` (the others were answered before), as the network now sees it.

    `volumes`: CT in HU and PET in SUVbw, whole or as `local_volumes` cuts them; `labels` around the click, 48 mm or
    more. Nothing further than `REACH_MM` from the click changes. Raises `BadInputError`, `CancelledError`,
    `OutOfMemoryError`.
    """
    started, grid = time.perf_counter(), Geometry.of(labels)
    if not clicks:
        raise BadInputError("There is no click to answer.", "Click into the image first.")
    if model.card.clicks is None:
        raise BadInputError(f"The model {model.card.name} takes no clicks.", "Choose a model that does.")
    box = _reach(click_voxel(clicks[-1], grid), grid)
    part = sub_grid(grid, box)
    result = sitk.GetArrayFromImage(labels).astype(np.uint8)
    marked = result == value
    valid = clicks_that_hold(clicks, marked, grid)
    prepared, share, device, notes = _answer(volumes, model, valid, grid.image(marked.astype(np.uint8)), should_cancel)
    at_rest = expit(MASK_LOGIT * (2 * prepared.array[-1] - 1))
    # The network's voxels are coarse: where it has nothing to say, the border stays as fine as it was drawn.
    moved = _on(part, prepared.grid, np.abs(share - at_rest)) > _MOVED
    inside = np.where(moved, _on(part, prepared.grid, share) >= 0.5, marked[box])
    result[box] = labels_after_click(inside, result[box], part, valid, value)
    return Guided(grid.image(result), device, notes, time.perf_counter() - started)


def _answer(
    volumes: Mapping[str, sitk.Image],
    model: LoadedModel,
    clicks: Sequence[Click],
    mask: sitk.Image,
    should_cancel: ShouldCancel | None,
) -> tuple[Prepared, NDArray[np.float32], str, tuple[str, ...]]:
    """What the network was given, its probability (z, y, x), the device that it ran on, and changes of plan."""
    # Not mirrored: somebody waits.
    part = Part.of(model, 1.0, SegmentOptions(flips=()), volumes)
    prepared = prepare_window(volumes, model.card, part.absent, clicks, mask)
    notes: list[str] = []
    # A click is answered in the middle of a window, which therefore cannot be made smaller.
    ladder = [Rung(device, model.card.patch, 1, False) for device in dict.fromkeys((model.device, "cpu"))]
    share, device = climb(
        ladder, lambda rung: (part.predict(prepared, rung, lambda *_: None, should_cancel), rung.device), notes.append
    )
    if len(share) != 1:
        raise BadInputError("A model of several labels cannot answer a click.", "Use the tools of the editor.")
    return prepared, share[0], device, tuple(notes)


def _on(grid: Geometry, source: Geometry, values: NDArray[Any]) -> NDArray[np.float32]:
    """Values (z, y, x) of one grid on another, linear, 0 outside."""
    image = resample_probability(source.image(values.astype(np.float32)), grid)
    on_grid: NDArray[np.float32] = sitk.GetArrayFromImage(image)
    return on_grid


def _reach(voxel: tuple[int, int, int], grid: Geometry) -> tuple[slice, slice, slice]:
    z, y, x = (
        slice(max(0, at - int(REACH_MM / spacing)), min(size, at + int(REACH_MM / spacing) + 1))
        for at, spacing, size in zip(voxel, grid.spacing_zyx, grid.shape, strict=True)
    )
    return z, y, x
