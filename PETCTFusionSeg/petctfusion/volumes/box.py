"""The box around the true voxels of masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
Box = tuple[slice, ...]


def bounding_box(*masks: BoolArray) -> Box | None:
    """The smallest box that holds every true voxel of all `masks`; None when there is none."""
    boxes = [box for box in map(_box, masks) if box is not None]
    if not boxes:
        return None
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*boxes, strict=True))


def _box(mask: BoolArray) -> Box | None:
    """Axis after axis inside what the axes before have left, so that the volume is read about once."""
    box: list[slice] = []
    for axis in range(mask.ndim):
        view = mask[tuple(box)]
        others = tuple(i for i in range(mask.ndim) if i != axis)
        hits = np.flatnonzero(view.any(axis=others))
        if hits.size == 0:
            return None
        box.append(slice(int(hits[0]), int(hits[-1]) + 1))
    return tuple(box)
