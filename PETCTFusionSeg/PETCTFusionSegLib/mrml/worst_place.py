"""Jump to where a contour is worst: the largest surface distance, or the slice with the lowest Dice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .live import LiveRow

Ras = tuple[float, float, float]


@dataclass(frozen=True)
class WorstPlaces:
    """World RAS in mm; `sentence` says what is there."""

    point: Ras | None
    """The surface voxel that is farthest from the other surface; None when one of the two has no contour."""
    slice: Ras | None
    """In the slice with the lowest Dice, the centre of the voxels that differ; None when nothing differs."""
    sentence: str


def worstPlaces(row: LiveRow) -> WorstPlaces | None:
    """The worst places of a segment; None while its numbers are not current."""
    follower, numbers = row.pair.follower, row.numbers
    prediction = follower.prediction() if follower is not None else None
    if follower is None or numbers is None or prediction is None:
        return None
    worst = follower.worst()
    inSlice, z = None, numbers.slices.worst
    if z is not None:
        differs = np.argwhere(prediction[z] != follower.reference[z])
        if len(differs):
            y, x = (float(v) for v in differs.mean(axis=0))
            inSlice = row.pair.ras((float(z), y, x))
    if worst is None:
        empty = inSlice is None
        return WorstPlaces(None, inSlice, "Both are empty." if empty else "One of the two has no contour.")
    if worst.distance_mm == 0:
        return WorstPlaces(None, None, f'"{row.name}" is equal to its reference.')
    point = row.pair.ras(tuple(float(v) for v in worst.index_zyx))  # type: ignore[arg-type]
    where = "The contour" if worst.on == "prediction" else "The reference"
    lowest = f"; the slice with the lowest Dice has {float(numbers.slices.dice[z]):.2f}" if z is not None else ""
    return WorstPlaces(point, inSlice, f"{where} is {worst.distance_mm:.1f} mm from the other one here{lowest}.")


@dataclass(frozen=True)
class SlicePlace:
    """One slice in which the segment or its reference has a contour; `number` counts in the follower's arrays."""

    number: int
    position_mm: float
    dice: float
    area_cm2: float
    referenceArea_cm2: float


def slicePlaces(row: LiveRow) -> list[SlicePlace]:
    """The slices of a segment, the one with the lowest Dice first; none while its numbers are not current."""
    if row.numbers is None:
        return []
    curve = row.numbers.slices
    numbers = np.asarray(curve.occupied)
    columns = (
        numbers,
        np.asarray(row.pair.slicePositions_mm(numbers), dtype=np.float64),
        curve.dice[numbers],
        curve.prediction_area_mm2[numbers] / 100.0,
        curve.reference_area_mm2[numbers] / 100.0,
    )
    found = [SlicePlace(int(n), float(p), float(d), float(a), float(r)) for n, p, d, a, r in zip(*columns, strict=True)]
    return sorted(found, key=lambda one: (one.dice, one.position_mm))


def pointInSlice(row: LiveRow, number: int) -> Ras | None:
    """Where to look in a slice: the middle of what differs there, otherwise of the contour; world RAS in mm."""
    follower = row.pair.follower
    prediction = follower.prediction() if follower is not None else None
    if follower is None or prediction is None or number >= len(prediction):
        return None
    mine, reference = prediction[number], follower.reference[number]
    places = np.argwhere(mine != reference)
    places = places if len(places) else np.argwhere(mine)
    if not len(places):
        return None
    y, x = (float(value) for value in places.mean(axis=0))
    return row.pair.ras((float(number), y, x))


def centreSliceViews(scene: Any, ras: Ras) -> int:
    """Centre every slice view of the scene on a point (world RAS, mm), whatever its orientation; how many there are."""
    views = [
        scene.GetNthNodeByClass(number, "vtkMRMLSliceNode")
        for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode"))
    ]
    for view in views:
        view.JumpSliceByCentering(*ras)
    return len(views)
