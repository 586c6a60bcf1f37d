"""The contour that a fixed threshold draws: all that holds together around the hottest voxel of a lesion."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.metrics.masks import BoolArray
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import resample_image

USUAL_SHARE = 0.41
"""Of the maximum, as in the EANM guideline for tumor imaging (Boellaard et al., Eur J Nucl Med Mol Imaging 2015)."""
REACH_MM = 25.0
"""As far from the lesion the contour may go: what a reader would put the box around."""


def threshold_contour(pet: sitk.Image, lesion_ids: sitk.Image, share: float = USUAL_SHARE) -> sitk.Image:
    """For every lesion the voxels that hold at least `share` of its maximum and hang together with it, as one mask.

    Uint8 on the grid of `lesion_ids`, onto which the PET is interpolated, so that the contour lies between its voxels.
    """
    if not 0 < share < 1:
        raise BadInputError(f"A threshold of {100 * share:g} % draws nothing.", "Give more than 0 and less than 100 %.")
    grid = Geometry.of(lesion_ids)
    ids = sitk.GetArrayFromImage(lesion_ids)
    values = sitk.GetArrayFromImage(resample_image(pet, grid, outside=0.0))
    drawn = np.zeros(ids.shape, dtype=np.bool_)
    for number, window in enumerate(ndimage.find_objects(ids), start=1):
        if window is not None:
            box = _widened(window, ids.shape, grid.spacing_zyx)
            drawn[box] |= _around_maximum(values[box], ids[box] == number, share)
    return grid.image(drawn.astype(np.uint8))


def _around_maximum(values: NDArray[np.floating], lesion: BoolArray, share: float) -> BoolArray:
    hottest = np.unravel_index(int(np.where(lesion, values, -np.inf).argmax()), values.shape)
    if values[hottest] <= 0:
        return np.zeros(values.shape, dtype=np.bool_)
    parts, _ = ndimage.label(values >= share * values[hottest])
    return np.asarray(parts == parts[hottest])


def _widened(
    window: tuple[slice, ...], shape: tuple[int, ...], spacing_zyx: tuple[float, float, float]
) -> tuple[slice, ...]:
    return tuple(
        slice(max(0, part.start - round(REACH_MM / step)), min(size, part.stop + round(REACH_MM / step)))
        for part, size, step in zip(window, shape, spacing_zyx, strict=True)
    )
