"""From probability to labels in plain NumPy and SciPy, fast enough for a threshold slider. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.volumes.box import bounding_box

# A label map's lesions touch also by edges and corners.
_TOUCH_26 = np.ones((3, 3, 3), dtype=bool)


def byte_threshold(threshold: float) -> int:
    """The smallest uint8 probability (255 = 1) that counts as at least `threshold`; 0 never counts."""
    return max(1, math.ceil(threshold * 255 - 1e-9))


def labels_from_probability(
    probability: NDArray[Any],
    voxel_ml: float,
    threshold: float = 0.5,
    smallest_component_ml: float = 0.0,
    fill_holes: bool = False,
    values: Sequence[int] = (1,),
    smallest_component_share: float = 0.0,
) -> NDArray[np.uint8]:
    """Label map (z, y, x) uint8 of a uint8 probability (255 = 1), (z, y, x) or, for several labels, (z, y, x, K).

    A voxel belongs to the strongest label of at least `threshold`. Per label, holes are filled and 26-connected
    components under `smallest_component_ml` millilitres, or under `smallest_component_share` of the label's largest,
    are dropped. `values` are the labels' values, one per channel.
    """
    channels = probability[..., None] if probability.ndim == 3 else probability
    lowest = byte_threshold(threshold)
    strongest = channels[..., 0]
    for channel in range(1, channels.shape[-1]):
        strongest = np.maximum(strongest, channels[..., channel])
    labels = np.zeros(channels.shape[:-1], dtype=np.uint8)
    smallest_voxels = smallest_component_ml / voxel_ml
    for channel, value in enumerate(values):
        share = channels[..., channel]
        mask = (share >= lowest) & (share >= strongest) & (labels == 0)
        labels[clean_mask(mask, smallest_voxels, fill_holes, smallest_component_share)] = value
    return labels


def clean_mask(
    mask: NDArray[np.bool_], smallest_voxels: float, fill_holes: bool, smallest_share: float = 0.0
) -> NDArray[np.bool_]:
    """`mask` (z, y, x) with holes filled, then without 26-connected components of fewer than `smallest_voxels`, or of
    less than `smallest_share` of the largest component."""
    if not fill_holes and smallest_voxels <= 1 and smallest_share <= 0:
        return mask
    box = bounding_box(mask)
    if box is None:
        return mask
    inner = mask[box]
    if fill_holes:
        inner = ndimage.binary_fill_holes(inner)
    if smallest_voxels > 1 or smallest_share > 0:
        parts, _ = ndimage.label(inner, structure=_TOUCH_26)
        # A component may miss the limit by rounding of the voxel volume, not by a voxel.
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        keep = sizes >= max(smallest_voxels, smallest_share * sizes.max()) * (1 - 1e-6)
        keep[0] = False
        inner = keep[parts]
    cleaned = np.zeros_like(mask)
    cleaned[box] = inner
    return cleaned
