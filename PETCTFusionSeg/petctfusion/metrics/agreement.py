"""Two masks on one grid: overlap, volumes, surface distances by both definitions and the slices, in one pass.

    masks --one read--> voxels --neighbours--> surface voxels --table, tree--> distances, counted --> MaskAgreement
                               --corner lattice--> surface cells (with areas) --table, tree-->

The passes over the two masks are most of the time when there is little tumour; all the rest costs what the surfaces
cost. The two masks, then the four searches, are worked on by two threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from petctfusion.errors import BadInputError
from petctfusion.metrics.distances import AmountArray, DistanceCounts, SurfaceAgreement, counted
from petctfusion.metrics.lattice import (
    CELL,
    INSIDE,
    SURFACE,
    ByteArray,
    Lattice,
    Voxels,
    as_volume,
    as_volume_spacing,
    occupied_slices,
    shell_of,
    surface_of,
    voxels_of,
)
from petctfusion.metrics.masks import BoolArray, IndexArray, as_pair, as_spacing
from petctfusion.metrics.nearest import NeighbourTable, Targets, neighbour_table
from petctfusion.metrics.slices import SliceCurve, slice_curve_from_counts
from petctfusion.metrics.surfels import area_units, cells_of

DEFAULT_TOLERANCE_MM = 2.0
# Voxels of a grid from which on two threads bring more than their start costs.
_WORTH_THREADS = 1 << 20
_T = TypeVar("_T")


@dataclass(frozen=True)
class OverlapCounts:
    """Voxels per slice of either mask and of both, and the sums of array indices: whole numbers only."""

    a: AmountArray
    b: AmountArray
    both: AmountArray
    a_sums: tuple[int, int, int]
    b_sums: tuple[int, int, int]


@dataclass(frozen=True)
class MaskAgreement:
    """Agreement of a prediction (a) with a reference (b) on one grid; `surfel` is None where it was not asked for."""

    spacing_mm: tuple[float, float, float]
    overlap: OverlapCounts
    voxel: SurfaceAgreement
    surfel: SurfaceAgreement | None
    nsd_tolerance_mm: float

    @cached_property
    def sizes(self) -> tuple[int, int, int]:
        """Voxels of the prediction, of the reference, and of both."""
        return int(self.overlap.a.sum()), int(self.overlap.b.sum()), int(self.overlap.both.sum())

    @property
    def dice(self) -> float:
        """2|A n B| / (|A| + |B|); both empty 1, one empty 0."""
        a, b, both = self.sizes
        return 2.0 * both / (a + b) if a + b else 1.0

    @property
    def jaccard(self) -> float:
        """|A n B| / |A u B|; both empty 1, one empty 0."""
        a, b, both = self.sizes
        return both / (a + b - both) if a + b else 1.0

    @property
    def volume_ml(self) -> float:
        """Volume of the prediction."""
        return self.sizes[0] * self._voxel_ml

    @property
    def reference_volume_ml(self) -> float:
        """Volume of the reference."""
        return self.sizes[1] * self._voxel_ml

    @property
    def centre_distance_mm(self) -> float | None:
        """Distance between the centres of mass; None when one is empty."""
        a, b, _ = self.sizes
        if not (a and b):
            return None
        pairs = zip(self.overlap.a_sums, self.overlap.b_sums, self.spacing_mm, strict=True)
        return math.hypot(*((first / a - second / b) * step for first, second, step in pairs))

    @property
    def hd_mm(self) -> float:
        """Hausdorff distance between the surface voxels; one empty inf, both empty 0."""
        return self.voxel.hausdorff_mm(100.0)

    @property
    def hd95_mm(self) -> float:
        """The larger directed 95th percentile between the surface voxels; one empty inf, both empty 0."""
        return self.voxel.hausdorff_mm(95.0)

    @property
    def assd_mm(self) -> float:
        """Mean of the pooled distances between the surface voxels; one empty inf, both empty 0."""
        return self.voxel.mean_mm()

    @property
    def nsd(self) -> float:
        """Part of both surfaces within `nsd_tolerance_mm`, by area (by voxels without surfels); one empty 0, both 1."""
        return (self.surfel or self.voxel).nsd(self.nsd_tolerance_mm)

    @cached_property
    def slices(self) -> SliceCurve:
        """Dice and areas slice by slice."""
        return slice_curve_from_counts(self.overlap.a, self.overlap.b, self.overlap.both, self.spacing_mm)

    @property
    def _voxel_ml(self) -> float:
        return math.prod(self.spacing_mm) / 1000.0


@dataclass(frozen=True)
class Definitions:
    """What follows from the spacing alone: neighbours by length, and the area of surface in every kind of cell."""

    spacing_mm: tuple[float, float, float]
    axes: tuple[bool, bool, bool]
    table: NeighbourTable
    areas: AmountArray | None

    @classmethod
    def of(cls, spacing_mm: tuple[float, float, float], ndim: int, surfels: bool) -> Definitions:
        """For masks of `ndim` dimensions; surface elements exist in three."""
        axes = (ndim > 2, ndim > 1, True)
        areas = area_units(spacing_mm)[0] if surfels else None
        return cls(spacing_mm, axes, neighbour_table(spacing_mm, axes), areas)

    def lattice(self, shape: tuple[int, int, int]) -> Lattice:
        """A lattice for masks of `shape`."""
        return Lattice(shape, self.spacing_mm, self.table.reach)

    def neighbours(self, lattice: Lattice) -> list[int]:
        """Index steps to the face neighbours."""
        return [step for step, moving in zip(lattice.steps, self.axes, strict=True) if moving]


@dataclass(frozen=True)
class MarkedMask:
    """A mask on the lattice: its voxels, its surface voxels, its surface cells with their codes, and their marks."""

    lattice: Lattice
    flags: ByteArray
    voxels: Voxels
    surface: IndexArray
    cells: IndexArray
    codes: ByteArray

    @classmethod
    def of(cls, voxels: Voxels, lattice: Lattice, definitions: Definitions) -> MarkedMask:
        """Mark `voxels` and find their surface."""
        flags = lattice.empty()
        flags[voxels.index] = INSIDE
        open_ = surface_of(voxels.index, flags, definitions.neighbours(lattice))
        surface = voxels.index[open_]
        cells, codes = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.uint8)
        if definitions.areas is not None:
            cells, codes = cells_of(shell_of(voxels.index, flags, lattice.steps), flags, lattice.steps)
            flags[cells] |= CELL
        flags[surface] |= SURFACE
        return cls(lattice, flags, voxels, surface, cells, codes)

    @property
    def voxel_amounts(self) -> AmountArray:
        """One unit for every surface voxel."""
        return np.ones(self.surface.size, dtype=np.int64)

    def targets(self, bit: np.uint8, table: NeighbourTable) -> Targets:
        """The surface voxels (SURFACE) or cells (CELL) as a set to search."""
        return Targets(self.lattice, table, self.flags, bit, self.surface if bit == SURFACE else self.cells)


def compare_masks(
    a: NDArray[Any],
    b: NDArray[Any],
    spacing_mm: Sequence[float],
    *,
    surfels: bool = True,
    tolerance_mm: float | None = None,
) -> MaskAgreement:
    """Compare prediction `a` with reference `b`, both (z, y, x) on one grid; `spacing_mm` in array order.

    `tolerance_mm` of the NSD is 2 mm or the longest side of a voxel if that is longer, unless given. Masks of fewer
    than three dimensions have surface voxels only. Raises `BadInputError` for shapes or a spacing that do not fit.
    """
    first, second = as_pair(a, b)
    spacing = as_spacing(spacing_mm, first.ndim)
    if not 1 <= first.ndim <= 3:
        raise BadInputError(f"Masks with {first.ndim} dimensions cannot be compared.", "Give one to three dimensions.")
    first, second = np.ascontiguousarray(as_volume(first)), np.ascontiguousarray(as_volume(second))
    definitions = Definitions.of(as_volume_spacing(spacing), spacing.size, surfels and spacing.size == 3)
    with _Threads(first.size >= _WORTH_THREADS) as threads:
        marked_a, marked_b = _marked(first, second, definitions, threads)
        voxel, surfel = _searched(marked_a, marked_b, definitions, threads)
    both = marked_a.voxels.slice_of[(marked_b.flags[marked_a.voxels.index] & INSIDE) != 0]
    depth = first.shape[0]
    overlap = OverlapCounts(
        np.bincount(marked_a.voxels.slice_of, minlength=depth),
        np.bincount(marked_b.voxels.slice_of, minlength=depth),
        np.bincount(both, minlength=depth),
        marked_a.voxels.sums,
        marked_b.voxels.sums,
    )
    return MaskAgreement(
        definitions.spacing_mm, overlap, voxel, surfel, nsd_tolerance_mm(definitions.spacing_mm, tolerance_mm)
    )


def nsd_tolerance_mm(spacing_mm: Sequence[float], tolerance_mm: float | None) -> float:
    """The tolerance asked for, or 2 mm, or the longest side of a voxel where that is longer.

    Below a voxel's side a contour one voxel off counts as wrong altogether: at 2.04 mm voxels NSD at 2 mm of voxel
    surfaces is 0.54 where surfels give 0.74.
    """
    if tolerance_mm is None:
        return max(DEFAULT_TOLERANCE_MM, *spacing_mm)
    if not 0 <= tolerance_mm < math.inf:
        raise BadInputError(f"A tolerance of {tolerance_mm} mm is not a distance.", "Give 0 or more millimetres.")
    return float(tolerance_mm)


def distance_counts(source: IndexArray, amounts: AmountArray, targets: Targets) -> DistanceCounts:
    """How much of `source` lies at which distance from `targets`."""
    table = targets.table
    ranks = targets.ranks(source)
    far = ranks == table.far
    return merged(near_amounts(ranks, amounts, table), counted(targets.far_mm2(source[far]), amounts[far]), table)


def near_amounts(ranks: NDArray[np.int32], amounts: AmountArray, table: NeighbourTable) -> AmountArray:
    """Units of surface at each length of the table; whole numbers below 2^53, so that bincount's sums are exact."""
    return np.bincount(ranks, amounts, minlength=table.far + 1)[: table.far].astype(np.int64)


def merged(near: AmountArray, far: DistanceCounts, table: NeighbourTable) -> DistanceCounts:
    """Amounts at the table's lengths and what lies beyond the table as one."""
    present = near > 0
    return DistanceCounts(
        np.concatenate([table.lengths_mm2[present], far.squares_mm2]), np.concatenate([near[present], far.amounts])
    )


class _Threads:
    """`map` in two threads, or one after the other where starting threads costs more than it brings."""

    def __init__(self, worth_it: bool) -> None:
        self._executor = ThreadPoolExecutor(2) if worth_it else None

    def __enter__(self) -> _Threads:
        return self

    def __exit__(self, *error: object) -> None:
        if self._executor is not None:
            self._executor.shutdown()

    def map(self, function: Callable[..., _T], *arguments: Iterable[Any]) -> list[_T]:
        """The results of `function` over `arguments`, in order."""
        return list(map(function, *arguments) if self._executor is None else self._executor.map(function, *arguments))


def _marked(a: BoolArray, b: BoolArray, definitions: Definitions, threads: _Threads) -> tuple[MarkedMask, MarkedMask]:
    occupied = threads.map(occupied_slices, (a, b))
    either = np.concatenate(occupied)
    first, stop = (int(either.min()), int(either.max()) + 1) if either.size else (0, 1)
    lattice = definitions.lattice((stop - first, a.shape[1], a.shape[2]))

    def mark(mask: BoolArray, slices: IndexArray) -> MarkedMask:
        return MarkedMask.of(voxels_of(mask, slices, lattice, first), lattice, definitions)

    marked_a, marked_b = threads.map(mark, (a, b), occupied)
    return marked_a, marked_b


def _searched(
    a: MarkedMask, b: MarkedMask, definitions: Definitions, threads: _Threads
) -> tuple[SurfaceAgreement, SurfaceAgreement | None]:
    table, areas = definitions.table, definitions.areas
    searches = [(one.surface, one.voxel_amounts, other.targets(SURFACE, table)) for one, other in ((a, b), (b, a))]
    if areas is not None:
        searches += [(one.cells, areas[one.codes], other.targets(CELL, table)) for one, other in ((a, b), (b, a))]
    found = threads.map(lambda search: distance_counts(*search), searches)
    surfel = SurfaceAgreement(found[2], found[3], weighted=True) if areas is not None else None
    return SurfaceAgreement(found[0], found[1], weighted=False), surfel
