"""A probability map prepared once, so that its clean mask at another threshold costs milliseconds. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.inference.postprocess import byte_threshold
from petctfusion.volumes.box import bounding_box

Bools = NDArray[np.bool_]
# A label map's lesions touch also by edges and corners.
_TOUCH_26 = np.ones((3, 3, 3), dtype=bool)
_ROUNDING = 1 - 1e-6


@dataclass(frozen=True)
class CleanUp:
    """How a model's mask is cleaned: the smallest component in voxels and as a share of the largest, and holes."""

    smallest_voxels: float = 0.0
    smallest_share: float = 0.0
    fill_holes: bool = False

    @property
    def drops_components(self) -> bool:
        """True when small components do not stay."""
        return self.smallest_voxels > 1 or self.smallest_share > 0


class ProbabilityLevels:
    """The mask of one label at any threshold not below `lowest`, the same as `postprocess.clean_mask` would give.

    Only candidates are kept: the voxels that belong to the mask at `lowest`. They are sorted by the region that they
    form there, and no component at a higher threshold can cross from one region to another.
    """

    def __init__(self, probability: NDArray[Any], lowest: float, clean_up: CleanUp | None = None) -> None:
        """`probability` (z, y, x) is uint8 with 255 = 1. Takes about a second for a whole body: use a thread."""
        self.shape = probability.shape
        self.lowest = lowest
        self._clean_up = clean_up or CleanUp()
        self._boxes: dict[int, tuple[tuple[int, ...], NDArray[np.int64]]] = {}
        box = bounding_box(probability >= byte_threshold(lowest))
        if box is None:
            self._keep(np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.int32), (slice(0, 0),) * 3)
            return
        inner = probability[box]
        if self._clean_up.fill_holes:
            levels, regions = _filled(inner, byte_threshold(lowest))
        else:
            levels, (regions, _) = inner, ndimage.label(inner >= byte_threshold(lowest), structure=_TOUCH_26)
        positions = np.flatnonzero(regions)
        self._keep(positions, levels.ravel()[positions], regions.ravel()[positions], box)

    def _keep(
        self, inner: NDArray[np.int64], levels: NDArray[np.uint8], regions: NDArray[np.int32], box: tuple[slice, ...]
    ) -> None:
        order = np.argsort(regions, kind="stable")
        self._levels = levels[order]
        extent = tuple(part.stop - part.start for part in box)
        places = np.unravel_index(inner[order], extent) if inner.size else (inner, inner, inner)
        self.indices: NDArray[np.int32] = np.stack(
            [axis.astype(np.int32) + part.start for axis, part in zip(places, box, strict=True)]
        )
        """The candidates' indices (z, y, x) in the volume, (3, N)."""
        counts = np.bincount(regions)[1:] if regions.size else np.zeros(0, np.int64)
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    def inside(self, threshold: float) -> Bools:
        """Which candidates belong to the mask at `threshold`, which must not lie below `lowest`."""
        if threshold < self.lowest:
            raise ValueError(f"the levels were prepared from {self.lowest} on, not for {threshold}")
        inside: Bools = self._levels >= byte_threshold(threshold)
        return self._without_small(inside) if self._clean_up.drops_components and inside.any() else inside

    def _without_small(self, inside: Bools) -> Bools:
        """From the fullest region on, because the largest component so far rules out whole regions unseen."""
        counts = np.add.reduceat(inside, self._starts[:-1], dtype=np.int64)
        smallest, share, largest = self._clean_up.smallest_voxels, self._clean_up.smallest_share, 0
        found: list[tuple[slice, NDArray[np.uint32], NDArray[np.int64]]] = []
        for region in np.argsort(-counts, kind="stable"):
            if counts[region] == 0 or counts[region] < max(smallest, share * largest) * _ROUNDING:
                break
            run = slice(int(self._starts[region]), int(self._starts[region + 1]))
            parts = self._components(int(region), inside[run])
            sizes = np.bincount(parts)
            sizes[0] = 0
            largest = max(largest, int(sizes.max()))
            found.append((run, parts, sizes))
        kept = np.zeros_like(inside)
        for run, parts, sizes in found:
            keep = sizes >= max(smallest, share * largest) * _ROUNDING
            keep[0] = False
            kept[run] = keep[parts]
        return kept

    def _components(self, region: int, inside: Bools) -> NDArray[np.uint32]:
        """The 26-connected component of every candidate of a region, 0 for those outside."""
        if region not in self._boxes:
            indices = self.indices[:, self._starts[region] : self._starts[region + 1]]
            first = indices.min(axis=1)
            extent = tuple(int(size) for size in indices.max(axis=1) - first + 1)
            self._boxes[region] = extent, np.ravel_multi_index(tuple(indices - first[:, None]), extent)
        extent, places = self._boxes[region]
        box = np.zeros(extent, dtype=np.uint8)
        box.ravel()[places] = inside
        # SimpleITK labels runs of voxels, several times as fast as SciPy, which visits each one.
        parts = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(box), True))
        components: NDArray[np.uint32] = parts.ravel()[places]
        return components


def _filled(probability: NDArray[Any], lowest: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Levels at which a voxel is inside or in a hole, and regions of the filled mask at `lowest`.

    A hole at any threshold lies in the box of one region, so the boxes are filled one by one.
    """
    mask = probability >= lowest
    regions, _ = ndimage.label(mask, structure=_TOUCH_26)
    for number, box in enumerate(ndimage.find_objects(regions), start=1):
        mask[box] |= ndimage.binary_fill_holes(regions[box] == number)
    regions, _ = ndimage.label(mask, structure=_TOUCH_26)
    levels = np.zeros(probability.shape, dtype=np.uint8)
    for number, box in enumerate(ndimage.find_objects(regions), start=1):
        own = regions[box] == number
        image = sitk.GetImageFromArray(np.pad(np.where(own, probability[box], 0).astype(np.uint8), 1))
        filled = sitk.GetArrayFromImage(sitk.GrayscaleFillhole(image, False))[1:-1, 1:-1, 1:-1]
        levels[box][own] = filled[own]
    return levels, regions
