"""A click answered by a network that takes clicks: one window around it is computed again, with all of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.inference.clicks import REACH_MM, Click, click_voxel, labels_after_click
from petctfusion.inference.guidance import sub_grid
from petctfusion.inference.model import LoadedModel
from petctfusion.inference.sliding_window import ShouldCancel
from petctfusion.inference.study import segment_study
from petctfusion.volumes.geometry import Geometry


@dataclass(frozen=True)
class Guided:
    """Probability and labels (uint8) on the grid that was given, changed within the reach of the newest click only."""

    probability: sitk.Image
    labels: sitk.Image
    device: str
    notes: tuple[str, ...]
    seconds: float


def refine_guided(
    volumes: Mapping[str, sitk.Image],
    model: LoadedModel,
    probability: sitk.Image,
    labels: sitk.Image,
    clicks: Sequence[Click],
    threshold: float,
    value: int = 1,
    should_cancel: ShouldCancel | None = None,
) -> Guided:
    """The label `value` after the last of `clicks` (the others were answered before), from the network's new answer.

    `volumes`: CT in HU and PET in SUVbw, whole or as `local_volumes` cuts them. Nothing further than `REACH_MM` along
    an axis from the click changes. Raises `BadInputError`, `CancelledError`, `OutOfMemoryError`.
    """
    started, grid = time.perf_counter(), Geometry.of(labels)
    if not clicks:
        raise BadInputError("There is no click to answer.", "Click into the image first.")
    if not Geometry.of(probability).same_grid(grid) or probability.GetNumberOfComponentsPerPixel() != 1:
        raise BadInputError("Probability and labels must lie on one grid, one value a voxel.", "Run Segment again.")
    box = _reach(click_voxel(clicks[-1], grid), grid)
    part = sub_grid(grid, box)
    answer = segment_study(volumes, model, should_cancel=should_cancel, clicks=clicks, local=part)
    if answer.probability.GetNumberOfComponentsPerPixel() != 1:
        raise BadInputError("A model of several labels cannot answer a click.", "Use the tools of the editor.")
    share, result = sitk.GetArrayFromImage(probability), sitk.GetArrayFromImage(labels).astype(np.uint8)
    share[box] = sitk.GetArrayViewFromImage(answer.probability)
    result[box] = labels_after_click(share[box], result[box], part, clicks, threshold, value)
    seconds = time.perf_counter() - started
    return Guided(grid.image(share), grid.image(result), answer.device, answer.notes, seconds)


def _reach(voxel: tuple[int, int, int], grid: Geometry) -> tuple[slice, slice, slice]:
    z, y, x = (
        slice(max(0, at - int(REACH_MM / spacing)), min(size, at + int(REACH_MM / spacing) + 1))
        for at, spacing, size in zip(voxel, grid.spacing_zyx, grid.shape, strict=True)
    )
    return z, y, x
