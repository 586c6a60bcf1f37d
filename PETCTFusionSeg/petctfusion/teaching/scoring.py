"""How good a drawing is: agreement with the truth, what is missing and too much, which lesions, where it is worst."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk

from petctfusion.metrics import LiveComparison, compare
from petctfusion.metrics.masks import BoolArray
from petctfusion.teaching.lesson import PassingMarks
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.labels import resample_labels

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Worst:
    """The place of a contour that is farthest from the other one, in LPS mm."""

    point: Point
    distance_mm: float
    on: Literal["drawing", "reference"]


@dataclass(frozen=True)
class Score:
    """Definitions in docs/metrics.md: an empty drawing of a tumor has Dice 0 and an infinite `hd95_mm`; where neither
    has a voxel Dice is 1 and the distance 0. `extra_ml` also counts what lies beyond the reference's field of view."""

    dice: float
    hd95_mm: float
    volume_ml: float
    reference_volume_ml: float
    missed_ml: float
    extra_ml: float
    lesions_found: int
    lesions_missed: int
    lesions_extra: int
    worst: Worst | None
    """None when one of the two is empty, or both are equal."""

    @property
    def hd95_text(self) -> str:
        """With its unit; without a contour there is none."""
        return f"{self.hd95_mm:.1f} mm" if math.isfinite(self.hd95_mm) else "no contour"

    def shortcomings(self, marks: PassingMarks) -> tuple[str, ...]:
        """A sentence for every mark that is not reached."""
        short = []
        if marks.dice is not None and self.dice < marks.dice:
            short.append(f"Dice is {self.dice:.2f}; {marks.dice:.2f} is asked for.")
        limits = (
            ("HD95", self.hd95_mm, marks.hd95_mm, "mm"),
            ("The missed volume", self.missed_ml, marks.missed_ml, "ml"),
            ("The extra volume", self.extra_ml, marks.extra_ml, "ml"),
        )
        for name, value, most, unit in limits:
            if most is not None and value > most:
                found = f"{value:.1f} {unit}" if math.isfinite(value) else "infinite"
                short.append(f"{name} is {found}; at most {most:g} {unit} is asked for.")
        return tuple(short)


def score_drawing(drawing: sitk.Image, reference: sitk.Image) -> Score:
    """Score a drawing against the truth, on the grid of `reference`; whatever is not zero is inside.

    Raises `BadInputError` when the two share no space.
    """
    found = compare(drawing, reference)
    grid = Geometry.of(reference)
    a, b, both = found.agreement.sizes
    return Score(
        dice=found.dice,
        hd95_mm=found.hd95_mm,
        volume_ml=found.volume_ml,
        reference_volume_ml=found.reference_volume_ml,
        missed_ml=(b - both) * grid.voxel_ml,
        extra_ml=(a - both) * grid.voxel_ml + found.outside_ml,
        lesions_found=found.lesions.tp,
        lesions_missed=found.lesions.fn,
        lesions_extra=found.lesions.fp,
        worst=_worst(drawing, reference, grid),
    )


def _worst(drawing: sitk.Image, reference: sitk.Image, grid: Geometry) -> Worst | None:
    on_grid = resample_labels(sitk.Cast(drawing != 0, sitk.sitkUInt8), grid)
    drawn, truth = (np.asarray(sitk.GetArrayViewFromImage(image)) != 0 for image in (on_grid, reference))
    first, (drawn, truth) = _cut(drawn, truth)
    live = LiveComparison(truth, grid.spacing_zyx, surfels=False)
    live.replace(drawn)
    worst = live.worst()
    if worst is None or worst.distance_mm == 0:
        return None
    z, y, x = (place + start for place, start in zip(worst.index_zyx, first, strict=True))
    point = grid.points(np.array([[x, y, z]], dtype=np.float64))[0]
    where: Literal["drawing", "reference"] = "drawing" if worst.on == "prediction" else "reference"
    return Worst((float(point[0]), float(point[1]), float(point[2])), worst.distance_mm, where)


def _cut(*masks: BoolArray) -> tuple[tuple[int, int, int], list[BoolArray]]:
    """The masks within the box that holds all of them, and its first index."""
    joined = np.logical_or.reduce(masks)
    places = [np.flatnonzero(joined.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    box = tuple(slice(int(one[0]), int(one[-1]) + 1) if len(one) else slice(0, 1) for one in places)
    return (box[0].start, box[1].start, box[2].start), [mask[box] for mask in masks]
