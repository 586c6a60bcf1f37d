"""Which lesions were found: components of a prediction against those of a reference, on one grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from petctfusion.errors import BadInputError
from petctfusion.metrics.components import Components, find_components, overlaps
from petctfusion.metrics.masks import as_spacing
from petctfusion.metrics.runs import IndexArray
from petctfusion.metrics.surface import hd95_mm
from petctfusion.volumes.box import Box

Kind = Literal["tp", "fp", "fn"]


@dataclass(frozen=True)
class LesionRow:
    """One group of matched lesions, one false one ("fp") or one missed one ("fn")."""

    kind: Kind
    prediction_ids: tuple[int, ...]
    """Ids (1 is the largest) of the predicted lesions of the group; empty for a missed one."""
    reference_ids: tuple[int, ...]
    """Ids of the reference lesions of the group; empty for a false one."""
    volume_ml: float
    """Of the predicted lesions of the group."""
    reference_volume_ml: float
    dice: float
    """Of the group's lesions alone; 0 for a false or a missed one."""
    hd95_mm: float | None
    """Of the group's lesions alone (`surface.hd95_mm`); infinite for a false or missed one, None when not asked for."""
    centre_index: tuple[float, float, float]
    """Mean array index (z, y, x) of the reference lesions' voxels; of the predicted ones' for a false one."""

    def to_json(self) -> dict[str, Any]:
        """Plain values under the names of the fields; an infinite HD95 is null."""
        hd95 = self.hd95_mm
        return {
            **asdict(self),
            "prediction_ids": list(self.prediction_ids),
            "reference_ids": list(self.reference_ids),
            "hd95_mm": hd95 if hd95 is not None and math.isfinite(hd95) else None,
            "centre_index": list(self.centre_index),
        }


@dataclass(frozen=True)
class LesionMatching:
    """Detection lesion by lesion. Every reference lesion is a TP or an FN; FP are predicted lesions.

    `minimum_iou` 0, the default: any shared voxel matches, many to many. `tp` counts the reference lesions that are
    hit, `fn` those that are not, `fp` the predicted lesions that hit nothing. One predicted lesion over two reference
    lesions gives tp 2, fp 0; two predicted lesions in one reference lesion tp 1, fp 0: merging and splitting are not
    punished here but seen in the rows, where such lesions share one row.

    `minimum_iou` > 0: pairs with IoU = |P n R| / |P u R| above it are matched one to one, as many pairs as possible and
    among those the largest sum of IoU (assignment; HECKTOR 2025 counts with IoU > 0.3). `tp` are the pairs, everything
    else is `fp` or `fn`.
    """

    tp: int
    fp: int
    fn: int
    fpv_ml: float
    """Volume of the predicted lesions that share no voxel with the reference, whatever `minimum_iou` (`fpv_ml`)."""
    fnv_ml: float
    """Volume of the reference lesions that share no voxel with the prediction, whatever `minimum_iou` (`fnv_ml`)."""
    connectivity: int | None
    """None when the lesions came with their own ids."""
    minimum_iou: float
    rows: list[LesionRow]
    """Matched groups, then missed lesions, then false ones, each by id."""

    @property
    def sensitivity(self) -> float | None:
        """TP / (TP + FN); None when the reference has no lesion."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else None

    @property
    def precision(self) -> float | None:
        """TP / (TP + FP), the precision of `f1`; None when nothing is a TP or an FP."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else None

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); 1 when there is no lesion on either side: nothing to find, and nothing found."""
        return f1_score(self.tp, self.fp, self.fn)

    def to_json(self) -> dict[str, Any]:
        """Plain values, the derived ones included."""
        return {
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
            "sensitivity": self.sensitivity,
            "precision": self.precision,
            "f1": self.f1,
            "fpv_ml": self.fpv_ml,
            "fnv_ml": self.fnv_ml,
            "connectivity": self.connectivity,
            "minimum_iou": self.minimum_iou,
            "rows": [row.to_json() for row in self.rows],
        }


def f1_score(tp: int, fp: int, fn: int) -> float:
    """2 TP / (2 TP + FP + FN); 1 when all are 0."""
    total = 2 * tp + fp + fn
    return 2 * tp / total if total else 1.0


def match_lesions(
    prediction: NDArray[Any],
    reference: NDArray[Any],
    spacing_mm: Sequence[float],
    connectivity: int = 18,
    minimum_iou: float = 0.0,
    *,
    distances: bool = True,
) -> LesionMatching:
    """The lesions of two masks (z, y, x) on one grid matched; `spacing_mm` in array order. See `LesionMatching`.

    `distances=False` leaves out the rows' HD95. Raises `BadInputError` on shapes that differ, NaN, a spacing that is
    not three positive numbers, a connectivity other than 6, 18, 26 and a `minimum_iou` outside [0, 1).
    """
    _check_pair(prediction, reference)
    found = find_components(prediction, connectivity), find_components(reference, connectivity)
    return match_components(*found, spacing_mm, minimum_iou, connectivity=connectivity, distances=distances)


def match_components(
    prediction: Components,
    reference: Components,
    spacing_mm: Sequence[float],
    minimum_iou: float = 0.0,
    *,
    connectivity: int | None = None,
    distances: bool = True,
) -> LesionMatching:
    """`match_lesions` for components already found, or numbered by somebody else (`components_of_labels`)."""
    spacing = as_spacing(spacing_mm, 3)
    if not 0 <= minimum_iou < 1:
        raise BadInputError(
            f"No two lesions have an IoU above {minimum_iou}.", "Give a minimum IoU of at least 0 and below 1."
        )
    p, r, shared = overlaps(prediction, reference)
    p_hit, r_hit = np.zeros(prediction.count, dtype=np.bool_), np.zeros(reference.count, dtype=np.bool_)
    p_hit[p], r_hit[r] = True, True
    volume = float(np.prod(spacing)) / 1000.0
    fpv, fnv = (int(side.sizes[~hit].sum()) * volume for side, hit in ((prediction, p_hit), (reference, r_hit)))
    if minimum_iou > 0:
        kept = _one_to_one(p, r, shared / (prediction.sizes[p] + reference.sizes[r] - shared), minimum_iou)
        p, r, shared = p[kept], r[kept], shared[kept]
        p_hit[:], r_hit[:] = False, False
        p_hit[p], r_hit[r] = True, True
    drawing = _Rows(prediction, reference, spacing, distances)
    rows = [drawing.matched(*group) for group in _groups(p, r, shared, prediction.count, reference.count)]
    missed, false = np.flatnonzero(~r_hit).tolist(), np.flatnonzero(~p_hit).tolist()
    rows += [drawing.alone("fn", reference, k) for k in missed] + [drawing.alone("fp", prediction, k) for k in false]
    return LesionMatching(int(r_hit.sum()), len(false), len(missed), fpv, fnv, connectivity, float(minimum_iou), rows)


def fpv_ml(
    prediction: NDArray[Any], reference: NDArray[Any], spacing_mm: Sequence[float], connectivity: int = 18
) -> float:
    """False positive volume, ml: the predicted components that share no voxel with the reference (autoPET).

    v * sum of |c| over components c of the prediction with |c n reference| = 0. An empty reference: the whole
    prediction; an empty prediction: 0. Raises what `match_lesions` raises.
    """
    return match_lesions(prediction, reference, spacing_mm, connectivity, distances=False).fpv_ml


def fnv_ml(
    prediction: NDArray[Any], reference: NDArray[Any], spacing_mm: Sequence[float], connectivity: int = 18
) -> float:
    """False negative volume, ml: the reference components that share no voxel with the prediction (autoPET).

    An empty reference: 0, where the scripts of autoPET III and IV print NaN; an empty prediction: the whole reference.
    Raises what `match_lesions` raises.
    """
    return match_lesions(prediction, reference, spacing_mm, connectivity, distances=False).fnv_ml


@dataclass(frozen=True)
class _Rows:
    """Makes the rows of one comparison."""

    prediction: Components
    reference: Components
    spacing: NDArray[np.float64]
    distances: bool

    def matched(self, p: list[int], r: list[int], shared: int) -> LesionRow:
        p_size, r_size = int(self.prediction.sizes[p].sum()), int(self.reference.sizes[r].sum())
        hd95 = None
        if self.distances:
            box = _union([*(self.prediction.boxes[k] for k in p), *(self.reference.boxes[k] for k in r)])
            hd95 = hd95_mm(self.prediction.drawn(p, box), self.reference.drawn(r, box), tuple(self.spacing))
        return LesionRow(
            "tp",
            tuple(self.prediction.ids[k] for k in p),
            tuple(self.reference.ids[k] for k in r),
            p_size * self._voxel_ml,
            r_size * self._voxel_ml,
            2.0 * shared / (p_size + r_size),
            hd95,
            _centre(self.reference, r),
        )

    def alone(self, kind: Kind, side: Components, k: int) -> LesionRow:
        volume, ids = int(side.sizes[k]) * self._voxel_ml, (side.ids[k],)
        hd95 = math.inf if self.distances else None
        if kind == "fn":
            return LesionRow(kind, (), ids, 0.0, volume, 0.0, hd95, _centre(side, [k]))
        return LesionRow(kind, ids, (), volume, 0.0, 0.0, hd95, _centre(side, [k]))

    @cached_property
    def _voxel_ml(self) -> float:
        return float(np.prod(self.spacing)) / 1000.0


def _check_pair(prediction: NDArray[Any], reference: NDArray[Any]) -> None:
    if np.shape(prediction) != np.shape(reference):
        raise BadInputError(
            f"Masks of shape {np.shape(prediction)} and {np.shape(reference)} are not on one grid.",
            "Bring one to the grid of the other first, or compare the images with metrics.compare.",
        )


def _one_to_one(p: IndexArray, r: IndexArray, iou: NDArray[np.float64], minimum: float) -> IndexArray:
    """Which of the overlapping pairs are matched when each lesion may be matched once."""
    able = np.flatnonzero(iou > minimum)
    rows, i = np.unique(p[able], return_inverse=True)
    columns, j = np.unique(r[able], return_inverse=True)
    # Every admissible pair is worth more than all IoUs together: first the number of pairs, then their sum.
    worth = np.zeros((rows.size, columns.size))
    worth[i, j] = iou[able] + min(rows.size, columns.size)
    pair_at = np.full(worth.shape, -1, dtype=np.intp)
    pair_at[i, j] = able
    chosen = pair_at[linear_sum_assignment(worth, maximize=True)]
    return np.sort(chosen[chosen >= 0])


def _groups(
    p: IndexArray, r: IndexArray, shared: IndexArray, p_count: int, r_count: int
) -> list[tuple[list[int], list[int], int]]:
    """Lesions joined by overlaps, directly or through others: positions on either side and the voxels they share."""
    size = p_count + r_count
    graph = coo_matrix((np.ones(p.size, dtype=np.int8), (r, r_count + p)), shape=(size, size))
    group = connected_components(graph, directed=False)[1]
    common = np.bincount(group[r], weights=shared)
    members: dict[int, tuple[list[int], list[int]]] = {}
    # In order of the group's largest reference lesion.
    for k in np.unique(r).tolist():
        members.setdefault(int(group[k]), ([], []))[1].append(k)
    for k in np.unique(p).tolist():
        members[int(group[r_count + k])][0].append(k)
    return [(*lesions, int(common[number])) for number, lesions in members.items()]


def _union(boxes: list[Box]) -> Box:
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*boxes, strict=True))


def _centre(side: Components, positions: list[int]) -> tuple[float, float, float]:
    if len(positions) == 1:
        z, y, x = side.centres[positions[0]].tolist()
    else:
        z, y, x = np.average(side.centres[positions], axis=0, weights=side.sizes[positions]).tolist()
    return z, y, x
