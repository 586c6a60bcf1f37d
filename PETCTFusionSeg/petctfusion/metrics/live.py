"""Dice, HD95, NSD, ASSD, volumes and slices that follow a brush, equal to a full recomputation to the last bit.

Only whole numbers and rounded squares are kept (voxels per slice, sums of indices, amounts of surface by distance), and
an edit changes them by what changed; nothing drifts, however many strokes there are. A stroke costs what its box and
the part of the reference that can see it cost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from petctfusion.errors import BadInputError
from petctfusion.metrics.agreement import (
    Definitions,
    MarkedMask,
    MaskAgreement,
    OverlapCounts,
    nsd_tolerance_mm,
)
from petctfusion.metrics.distances import AmountArray
from petctfusion.metrics.lattice import (
    CELL,
    INSIDE,
    SURFACE,
    ByteArray,
    as_volume_spacing,
    occupied_slices,
    surface_of,
    voxels_of,
)
from petctfusion.metrics.live_surface import LiveSurface, SurfaceChange
from petctfusion.metrics.masks import BoolArray, IndexArray, as_mask, as_spacing
from petctfusion.metrics.surfels import codes_at
from petctfusion.volumes.box import Box

# Points of the box around a change above which a full recomputation is quicker.
_LARGEST_BOX = 1_000_000


@dataclass(frozen=True)
class WorstPlace:
    """Where the two contours are farthest apart, and the slice with the lowest Dice (None without any contour)."""

    index_zyx: tuple[int, int, int]
    distance_mm: float
    on: Literal["prediction", "reference"]
    worst_slice: int | None


class LiveComparison:
    """A prediction under the brush against a reference that stands still, both (z, y, x) on one grid.

    `spacing_mm` in array order. The prediction is empty at first. `surfels=False` leaves out surface elements (NSD is
    then of surface voxels) and is about twice as fast.
    """

    def __init__(
        self,
        reference: NDArray[Any],
        spacing_mm: Sequence[float],
        *,
        surfels: bool = True,
        tolerance_mm: float | None = None,
    ) -> None:
        mask = as_mask(reference)
        if mask.ndim != 3:
            raise BadInputError(f"A reference with {mask.ndim} dimensions cannot be followed.", "Give a 3-D mask.")
        spacing = as_volume_spacing(as_spacing(spacing_mm, 3))
        self._tolerance_mm = nsd_tolerance_mm(spacing, tolerance_mm)
        self._definitions = Definitions.of(spacing, 3, surfels)
        self._shape = (mask.shape[0], mask.shape[1], mask.shape[2])
        self._lattice = self._definitions.lattice(self._shape)
        self._reference = self._marked(mask)
        table = self._definitions.table
        self._voxel = LiveSurface(
            self._reference.targets(SURFACE, table), self._reference.voxel_amounts, weighted=False
        )
        self._surfel: LiveSurface | None = None
        if self._definitions.areas is not None:
            areas = self._definitions.areas[self._reference.codes]
            self._surfel = LiveSurface(self._reference.targets(CELL, table), areas, weighted=True)
        self._mask: BoolArray = np.zeros(self._shape, dtype=np.bool_)
        self.revision = 0
        self.replace(self._mask)

    @property
    def prediction(self) -> BoolArray:
        """The mask as it is now; read only."""
        view: BoolArray = self._mask.view()
        view.flags.writeable = False
        return view

    def replace(self, prediction: NDArray[Any]) -> None:
        """Take over a whole new prediction by full recomputation. Raises `BadInputError` when the shape differs."""
        mask = as_mask(prediction)
        if mask.shape != self._shape:
            raise BadInputError(
                f"A prediction of shape {mask.shape} is not on the reference's grid {self._shape}.",
                "Bring it to the grid of the reference first.",
            )
        marked = self._marked(mask)
        depth = self._shape[0]
        voxels, truth = marked.voxels, self._reference.voxels
        both = voxels.slice_of[(self._reference.flags[voxels.index] & INSIDE) != 0]
        self._slices = np.bincount(voxels.slice_of, minlength=depth)
        self._truth_slices = np.bincount(truth.slice_of, minlength=depth)
        self._both_slices = np.bincount(both, minlength=depth)
        self._sums = voxels.sums
        self._flags = marked.flags
        self._voxel.replace(marked, marked.voxel_amounts)
        if self._surfel is not None and self._definitions.areas is not None:
            self._surfel.replace(marked, self._definitions.areas[marked.codes])
        self._mask = np.array(mask, dtype=np.bool_)
        self._agreement: MaskAgreement | None = None
        self.revision += 1

    def update(self, box: Box, values: NDArray[Any]) -> None:
        """Set `prediction[box] = values`. `box`: slices (z, y, x) with start and stop inside the grid, step 1.

        Raises `BadInputError` when the box leaves the grid or the values do not fill it; nothing is changed then.
        """
        low = self._checked(box, values)
        old = self._mask[box[0], box[1], box[2]]
        new = as_mask(values)
        changed = np.nonzero(old != new)
        if not changed[0].size:
            return
        z, y, x = (places + start for places, start in zip(changed, low, strict=True))
        if math.prod(int(part.max() - part.min()) + 3 for part in (z, y, x)) > _LARGEST_BOX:
            whole = self._mask.copy()
            whole[box[0], box[1], box[2]] = new
            self.replace(whole)
            return
        painted = new[changed]
        self._mask[z, y, x] = painted
        index = self._lattice.index(z, y, x)
        self._count(index, (z, y, x), painted)
        self._follow(index, painted, self._around(z, y, x))
        self._agreement = None
        self.revision += 1

    def agreement(self) -> MaskAgreement:
        """The numbers for the prediction as it is now."""
        if self._agreement is None:
            overlap = OverlapCounts(
                self._slices.copy(),
                self._truth_slices,
                self._both_slices.copy(),
                self._sums,
                self._reference.voxels.sums,
            )
            surfel = self._surfel.agreement() if self._surfel is not None else None
            self._agreement = MaskAgreement(
                self._lattice.spacing_mm, overlap, self._voxel.agreement(), surfel, self._tolerance_mm
            )
        return self._agreement

    def worst(self) -> WorstPlace | None:
        """The surface voxel farthest from the other surface; None when either mask is empty."""
        farthest = self._voxel.farthest()
        if farthest is None:
            return None
        index, distance_mm, on_prediction = farthest
        z, y, x = (int(value) for value in self._lattice.coordinates(np.array([index], dtype=np.intp))[0])
        return WorstPlace(
            (z, y, x), distance_mm, "prediction" if on_prediction else "reference", self.agreement().slices.worst
        )

    def _marked(self, mask: BoolArray) -> MarkedMask:
        solid = np.ascontiguousarray(mask)
        voxels = voxels_of(solid, occupied_slices(solid), self._lattice)
        return MarkedMask.of(voxels, self._lattice, self._definitions)

    def _checked(self, box: Box, values: NDArray[Any]) -> list[int]:
        fits = len(box) == 3 and all(
            part.step in (None, 1) and 0 <= (part.start or 0) <= (size if part.stop is None else part.stop) <= size
            for part, size in zip(box, self._shape, strict=True)
        )
        if not fits:
            raise BadInputError(f"The box {box} is not inside the grid {self._shape}.", "Cut it to the grid first.")
        extent = tuple(
            (size if part.stop is None else part.stop) - (part.start or 0)
            for part, size in zip(box, self._shape, strict=True)
        )
        if np.shape(values) != extent:
            raise BadInputError(
                f"Values of shape {np.shape(values)} do not fill a box of shape {extent}.",
                "Give one value per voxel of the box.",
            )
        return [part.start or 0 for part in box]

    def _count(self, index: IndexArray, place: tuple[IndexArray, IndexArray, IndexArray], painted: BoolArray) -> None:
        sign = np.where(painted, 1, -1)
        z, y, x = place
        both = sign * ((self._reference.flags[index] & INSIDE) != 0)
        first, stop = int(z.min()), int(z.max()) + 1
        self._slices[first:stop] += np.bincount(z - first, sign, minlength=stop - first).astype(np.int64)
        self._both_slices[first:stop] += np.bincount(z - first, both, minlength=stop - first).astype(np.int64)
        sums = self._sums
        self._sums = (
            sums[0] + int((sign * z).sum()),
            sums[1] + int((sign * y).sum()),
            sums[2] + int((sign * x).sum()),
        )

    def _around(self, z: IndexArray, y: IndexArray, x: IndexArray) -> IndexArray:
        """Indices of all lattice points within one voxel of the box around the changed voxels."""
        along = [np.arange(int(part.min()) - 1, int(part.max()) + 2) for part in (z, y, x)]
        return self._lattice.index(along[0][:, None, None], along[1][None, :, None], along[2][None, None, :]).ravel()

    def _follow(self, changed: IndexArray, painted: BoolArray, around: IndexArray) -> None:
        flags, areas = self._flags, self._definitions.areas
        before = _pieces(around, flags, self._lattice.steps, areas is not None)
        flags[changed[painted]] |= INSIDE
        flags[changed[~painted]] &= ~INSIDE
        after = _pieces(around, flags, self._lattice.steps, areas is not None)
        flags[around] &= ~(SURFACE | CELL)
        flags[around[after.surface]] |= SURFACE
        ones = np.ones(256, dtype=np.int64)
        surface = _change(around, before.surface.view(np.uint8), after.surface.view(np.uint8), ones, (0,))
        if areas is not None and self._surfel is not None:
            flags[around[(after.codes != 0) & (after.codes != 255)]] |= CELL
            self._surfel.edit(_change(around, before.codes, after.codes, areas, (0, 255)))
        self._voxel.edit(surface)


@dataclass(frozen=True)
class _Pieces:
    """Which of some lattice points are surface voxels, and the codes of the cells there."""

    surface: BoolArray
    codes: ByteArray


def _pieces(around: IndexArray, flags: ByteArray, steps: tuple[int, int, int], with_cells: bool) -> _Pieces:
    inside = (flags[around] & INSIDE) != 0
    surface = np.zeros(around.size, dtype=np.bool_)
    surface[inside] = surface_of(around[inside], flags, steps)
    codes = codes_at(around, flags, steps) if with_cells else np.zeros(around.size, dtype=np.uint8)
    return _Pieces(surface, codes)


def _change(
    around: IndexArray, before: ByteArray, after: ByteArray, amounts: AmountArray, nothing: tuple[int, ...]
) -> SurfaceChange:
    """What changed between two kinds of piece per point; kinds in `nothing` are no surface."""
    differs = before != after
    where, old, new = around[differs], before[differs], after[differs]
    was, is_ = ~np.isin(old, nothing), ~np.isin(new, nothing)
    return SurfaceChange(
        removed=where[was],
        removed_amounts=amounts[old[was]],
        added=where[is_],
        added_amounts=amounts[new[is_]],
        gone=where[was & ~is_],
        come=where[is_ & ~was],
    )
