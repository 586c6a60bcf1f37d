"""The simulated reader of click benchmarks: always the middle of the largest error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.inference.clicks import Click
from petctfusion.training.simulated_clicks import deepest_voxel
from petctfusion.volumes.box import bounding_box
from petctfusion.volumes.geometry import Geometry

_TOUCH_26 = np.ones((3, 3, 3), dtype=bool)


def next_click(labels: NDArray[np.bool_], contour: NDArray[np.bool_], grid: Geometry) -> Click | None:
    """A click on what is wrong with `labels` (z, y, x), None where nothing is.

    Of the 26-connected parts that are missed or too much, the one with the most voxels; in it, the voxel farthest from
    its border: foreground in what is missed, background in what is too much.
    """
    around = bounding_box(labels != contour)
    if around is None:
        return None
    largest, size, is_missed = None, 0, False
    for wrong, missed in ((contour[around] & ~labels[around], True), (labels[around] & ~contour[around], False)):
        parts, _ = ndimage.label(wrong, structure=_TOUCH_26)
        sizes = np.bincount(parts.ravel())[1:]
        if sizes.size and sizes.max() > size:
            largest, size, is_missed = parts == sizes.argmax() + 1, int(sizes.max()), missed
    assert largest is not None, "a wrong voxel is missed or too much"
    voxel = deepest_voxel(largest, grid.spacing_zyx) + np.array([side.start for side in around])
    x, y, z = grid.points(voxel[None, ::-1].astype(np.float64))[0].tolist()
    return Click((x, y, z), is_missed)
