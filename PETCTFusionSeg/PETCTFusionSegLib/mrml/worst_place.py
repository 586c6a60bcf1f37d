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


def centreSliceViews(scene: Any, ras: Ras) -> int:
    """Centre every slice view of the scene on a point (world RAS, mm), whatever its orientation; how many there are."""
    views = [
        scene.GetNthNodeByClass(number, "vtkMRMLSliceNode")
        for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode"))
    ]
    for view in views:
        view.JumpSliceByCentering(*ras)
    return len(views)
