"""The lesions of a contour as a list: copied from the nodes in one thread, measured in any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.errors import BadInputError
from petctfusion.metrics.changes import Placed
from petctfusion.metrics.components import find_components
from petctfusion.metrics.lesions import Lesion, lesion_rows
from PETCTFusionSegLib.i18n import _

from .live_source import RawMask, SegmentSource, gridOf
from .rejected import Place, rejectedSegmentOf
from .suv_scale import SuvScale
from .transforms import RAS_LPS, Matrix, linearToWorld

Ras = tuple[float, float, float]
SAMPLES = 16


@dataclass(frozen=True)
class LesionRow:
    """One lesion of a contour; `number` counts from the largest, the rejected ones included."""

    number: int
    segmentId: str
    """The contour to which it belongs, or belonged before it was rejected."""
    rejected: bool
    lesion: Lesion
    centre: Ras
    """Mean of the voxel centres, world RAS in mm."""
    point: Ras
    """The voxel of the lesion that is nearest to the centre, world RAS in mm: in the lesion whatever its shape."""
    samples: NDArray[np.float64]
    """Up to `SAMPLES` of its voxels (N, 3), RAS in mm below the segmentation's parent transforms."""
    place: Place


@dataclass(frozen=True)
class SegmentCopy:
    """The voxels of a segment as they were, in a tight box; touches no node."""

    segmentId: str
    """The contour."""
    holderId: str
    """The segment with the voxels: the contour, or that of its rejected lesions."""
    raw: RawMask
    ijkToLocal: Matrix

    @property
    def rejected(self) -> bool:
        """True for the rejected lesions of the contour."""
        return self.holderId != self.segmentId


def copySegment(node: Any, segmentId: str) -> list[SegmentCopy]:
    """A contour and its rejected lesions, as far as they have voxels.

    Raises `BadInputError` when a parent transform bends or shears the segmentation, or it cannot be read.
    """
    found = []
    for one in (segmentId, rejectedSegmentOf(node, segmentId)):
        raw = SegmentSource(node, [one]).raw() if one else []
        toWorld = linearToWorld(node)
        if raw is None or toWorld is None:
            raise BadInputError(
                _('A transform bends "{name}", so its lesions cannot be listed.').format(name=node.GetName()),
                _("Harden the transform first."),
            )
        for mask in raw:
            box = mask.placed.tight()
            if box is not None:
                values = Placed(mask.placed.on_box(box), (box[0].start, box[1].start, box[2].start))
                local = np.linalg.inv(toWorld) @ mask.ijkToWorld
                found.append(SegmentCopy(segmentId, one, RawMask(values, mask.ijkToWorld), local))
    return found


def measureLesions(copies: Sequence[SegmentCopy], pet: sitk.Image | None, scale: SuvScale | None) -> list[LesionRow]:
    """The lesions (18-connected components), largest first, with their uptake where there is a PET; any thread.

    Raises `BadInputError` for DICOM headers that give no SUV and for a PET that cannot be read.
    """
    factor = scale.factor() if scale is not None and pet is not None and copies else 1.0
    rows = [row for copy in copies for row in _rowsOf(copy, pet, factor)]
    rows.sort(key=lambda row: -row.lesion.volume_ml)
    return [replace(row, number=number) for number, row in enumerate(rows, start=1)]


def rowAt(rows: Sequence[LesionRow], samples: NDArray[np.float64]) -> LesionRow | None:
    """The lesion that holds the most of these points, if it holds at least half of them."""
    best, most = None, 0
    matrix: Matrix | None = None
    index, low, high = np.empty((0, 3), dtype=np.intp), [0], [0]
    for row in rows:
        # All rows of a segment share one: fifty decisions about fifty lesions are looked up after every edit.
        if row.place.ijkToLocal is not matrix:
            matrix = row.place.ijkToLocal
            index = _indices(matrix, samples)
            low, high = index.min(axis=0).tolist(), index.max(axis=0).tolist()
        hits = _hits(row.place, index, low, high)
        if hits > most:
            best, most = row, hits
    return best if 2 * most >= len(samples) else None


def _rowsOf(copy: SegmentCopy, pet: sitk.Image | None, factor: float) -> list[LesionRow]:
    placed = copy.raw.placed
    grid = gridOf(copy.raw.ijkToWorld, placed.box)
    parts = find_components(placed.values)
    found = []
    for k, lesion in enumerate(lesion_rows(parts, grid, pet)):
        index = parts.index(k)
        away = (index - parts.centres[k]) * grid.spacing_zyx
        nearest = index[np.argmin((away * away).sum(axis=1))]
        x, y, z = (grid.points(nearest[None, ::-1].astype(np.float64)) @ RAS_LPS[:3, :3])[0]
        chosen = index[np.unique(np.linspace(0, len(index) - 1, SAMPLES).round().astype(int))] + placed.first
        samples = chosen[:, ::-1] @ copy.ijkToLocal[:3, :3].T + copy.ijkToLocal[:3, 3]
        box = tuple(slice(s.start + f, s.stop + f) for s, f in zip(parts.boxes[k], placed.first, strict=True))
        place = Place((box[0], box[1], box[2]), parts.drawn([k], parts.boxes[k]), copy.ijkToLocal)
        left, posterior, superior = lesion.centre_mm
        found.append(
            LesionRow(
                0, copy.segmentId, copy.rejected, _scaled(lesion, factor), (-left, -posterior, superior),
                (float(x), float(y), float(z)), samples, place,
            )
        )  # fmt: skip
    return found


def _indices(ijkToLocal: Matrix, points: NDArray[np.float64]) -> NDArray[np.intp]:
    """The voxels (z, y, x) in which points (N, 3) lie."""
    inverse = np.linalg.inv(ijkToLocal)
    index = (points @ inverse[:3, :3].T + inverse[:3, 3])[:, ::-1]
    return np.floor(index + 0.5).astype(np.intp)


def _hits(place: Place, index: NDArray[np.intp], low: list[int], high: list[int]) -> int:
    """How many voxels `index` (N, 3), which lie between `low` and `high`, are in the lesion."""
    if any(b < axis.start or a >= axis.stop for axis, a, b in zip(place.box, low, high, strict=True)):
        return 0
    local = index - [axis.start for axis in place.box]
    inside = np.all((local >= 0) & (local < place.mask.shape), axis=1)
    return int(np.count_nonzero(place.mask[tuple(local[inside].T)]))


def _scaled(lesion: Lesion, factor: float) -> Lesion:
    if lesion.suv_max is None or lesion.suv_mean is None or factor == 1.0:
        return lesion
    peak = None if lesion.suv_peak is None else lesion.suv_peak * factor
    return replace(lesion, suv_max=lesion.suv_max * factor, suv_mean=lesion.suv_mean * factor, suv_peak=peak)
