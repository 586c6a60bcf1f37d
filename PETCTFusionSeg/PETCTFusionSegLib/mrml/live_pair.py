"""One prediction against one reference, both in nodes: brought to the reference's grid and followed while edited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from petctfusion.errors import FusionError
from petctfusion.metrics.agreement import MaskAgreement
from petctfusion.metrics.background import BackgroundThread
from petctfusion.metrics.changes import Box3, Index3, Placed, around, overlap, without
from petctfusion.metrics.following import ComparisonFollower, Engine
from petctfusion.metrics.masks import BoolArray
from petctfusion.volumes.geometry import Geometry

from .live_source import RawMask, Source, gridOf, joined
from .transforms import RAS_LPS, Matrix

# Room around both masks before the arrays have to grow; a brush seldom leaves the surroundings of a lesion.
MARGIN_VOXELS = 24
RESAMPLED = "resampled to the reference's grid"
PairState = Literal["empty", "current", "computing", "failed", "closed", "gone"]
MakeEngine = Callable[[BoolArray, tuple[float, float, float]], Engine]


@dataclass(frozen=True)
class ReferenceVoxels:
    """The reference's voxels in a tight box of its lattice."""

    lattice: Matrix
    field: Box3 | None
    placed: Placed

    def same(self, other: ReferenceVoxels | None) -> bool:
        """True when nothing would be computed differently."""
        return (
            other is not None
            and np.array_equal(self.lattice, other.lattice)
            and self.field == other.field
            and self.placed.first == other.placed.first
            and np.array_equal(self.placed.values, other.placed.values)
        )


class LivePair:
    """Call `refresh` after edits; the numbers are those of `follower`. Used by the thread of the interface only."""

    def __init__(
        self, prediction: Source, reference: Source, thread: BackgroundThread, makeEngine: MakeEngine | None = None
    ) -> None:
        self.prediction = prediction
        self.reference = reference
        self.follower: ComparisonFollower | None = None
        self.resampled = False
        self.outside_ml = 0.0
        self._thread = thread
        self._makeEngine = makeEngine
        self._prints: tuple[Any, Any] = (None, None)
        self._truth: ReferenceVoxels | None = None
        self._box: Box3 = (slice(0, 0), slice(0, 0), slice(0, 0))
        self._own_ml: float | None = None
        self._problem: tuple[PairState, str] | None = None

    @property
    def state(self) -> PairState:
        """`gone` when a node or segment is, `failed` with a sentence, otherwise that of the follower."""
        if self._problem is not None:
            return self._problem[0]
        return self.follower.state if self.follower is not None else "empty"

    @property
    def sentence(self) -> str:
        """Why there are no numbers; empty when there are."""
        if self._problem is not None:
            return self._problem[1]
        return self.follower.sentence if self.follower is not None else ""

    @property
    def note(self) -> str:
        """What has to be said beside the numbers; mostly empty."""
        parts = [RESAMPLED] if self.resampled else []
        if self.outside_ml > 0:
            parts.append(f"{self.outside_ml:.1f} ml lie outside the reference's field of view")
        return ", ".join(parts)

    def numbers(self) -> MaskAgreement | None:
        """The current numbers, or None."""
        return self.follower.numbers() if self._problem is None and self.follower is not None else None

    def volume_ml(self) -> float | None:
        """Volume of the prediction as it is in its node, also what lies beyond the reference's field of view."""
        numbers = self.numbers()
        if numbers is None:
            return None
        return self._own_ml if self._own_ml is not None else numbers.volume_ml + self.outside_ml

    def grid(self) -> Geometry:
        """The world grid (LPS) of the follower's arrays."""
        return gridOf(self._lattice(), self._box)

    def ras(self, index_zyx: tuple[float, float, float]) -> tuple[float, float, float]:
        """World RAS (mm) of a voxel of the follower's arrays."""
        x, y, z = (float(v) for v in (self.grid().points(np.array([index_zyx[::-1]])) @ RAS_LPS[:3, :3])[0])
        return x, y, z

    def slicePositions_mm(self, slices: Any) -> Any:
        """Positions along the slice axis (mm) of slices of the follower's arrays, growing towards head, front or right.

        Where that axis is one of the body these are world RAS coordinates.
        """
        unit, axis = self._sliceAxis(), self._lattice()[:3, 2]
        first = np.array([self._box[2].start, self._box[1].start, self._box[0].start, 1.0])
        return float(unit @ (self._lattice() @ first)[:3]) + np.asarray(slices) * float(unit @ axis)

    def slicePosition_mm(self, ras: tuple[float, float, float]) -> float:
        """Position along the slice axis (mm) of a world point (RAS)."""
        return float(self._sliceAxis() @ np.array(ras))

    def refresh(self, forced: bool = False) -> bool:
        """Read what may have changed; True when something did. `forced` looks also where nothing says so."""
        before = (self.state, self.follower, self.follower.revision if self.follower is not None else 0)
        gone = self.prediction.gone or self.reference.gone
        if gone:
            self._give_up("gone", gone)
        else:
            try:
                self._refresh(forced)
            except FusionError as error:
                self._give_up("failed", str(error))
        return before != (self.state, self.follower, self.follower.revision if self.follower is not None else 0)

    def close(self) -> None:
        """Let go of the arrays."""
        if self.follower is not None:
            self.follower.close()
            self.follower = None

    def _give_up(self, state: PairState, sentence: str) -> None:
        self._problem = (state, sentence)
        self._prints = (None, None)
        self._truth = None
        self.close()

    def _refresh(self, forced: bool) -> None:
        self._problem = None
        prints = (self.prediction.fingerprint(), self.reference.fingerprint())
        changed = [forced or new != old for new, old in zip(prints, self._prints, strict=True)]
        # An empty reference has no grid of its own and takes the prediction's.
        if changed[1] or (changed[0] and self._truth is not None and not self._truth.placed.values.size):
            truth = self._read_reference()
            if not truth.same(self._truth):
                self._truth = truth
                self.close()
        if self.follower is None or changed[0]:
            self._feed()
        self._prints = prints

    def _read_reference(self) -> ReferenceVoxels:
        lattice, field = self.reference.lattice() or self.prediction.lattice() or (np.eye(4), None)
        masks = self.reference.raw()
        placed = joined(masks, lattice) if masks is not None else None
        if placed is None:
            box = field or _reach(self.reference, masks, lattice)
            placed = Placed(self.reference.onGrid(gridOf(lattice, box)), _starts(box))
        tight = placed.tight()
        if tight is not None and field is not None:
            tight = overlap(tight, field)
        if tight is None:
            return ReferenceVoxels(lattice, field, Placed(np.zeros((0, 0, 0), dtype=np.bool_)))
        return ReferenceVoxels(lattice, field, Placed(placed.on_box(tight), _starts(tight)))

    def _feed(self) -> None:
        """Give the follower the prediction as it is now; its arrays grow when the prediction leaves them."""
        masks = self.prediction.raw()
        placed = joined(masks, self._lattice()) if masks is not None else None
        self.resampled = placed is None
        self._own_ml = None
        if placed is not None:
            self._feed_placed(placed)
        else:
            self._feed_resampled(masks)
        self.outside_ml = self._outside(placed, masks)

    def _feed_placed(self, placed: Placed) -> None:
        field = self._truth.field if self._truth is not None else None
        seen = placed.cut(field) if field is not None else placed
        follower = self.follower
        if follower is not None:
            follower.set_prediction(seen.moved(self._box))
        if follower is None or follower.leaves:
            self._rebuild(seen.tight()).set_prediction(seen.moved(self._box))

    def _feed_resampled(self, masks: list[RawMask] | None) -> None:
        reach = self._within_field(_reach(self.prediction, masks, self._lattice()))
        follower = self.follower
        if follower is None or (reach is not None and around(reach, self._box) != self._box):
            follower = self._rebuild(reach)
        if masks is None:
            follower.set_prediction(Placed(self.prediction.onGrid(self.grid())))
            return
        self._own_ml = sum(_volume_ml(mask) for mask in masks)
        copies, grid = [_copied(mask) for mask in masks], self.grid()
        follower.set_prediction_later(lambda: Placed(_union(copies, grid)))

    def _rebuild(self, reach: Box3 | None) -> ComparisonFollower:
        truth = self._truth
        assert truth is not None
        box = around(truth.placed.box if truth.placed.values.size else None, reach)
        grown = self._within_field(_grown(box)) if box is not None else None
        self._box = grown or (truth.field and _one(truth.field)) or _one(_grown(_NOWHERE))
        shape = tuple(s.stop - s.start for s in self._box)
        reference = truth.placed.on_box(self._box)
        self.close()
        make = self._makeEngine
        spacing = self.grid().spacing_zyx
        self.follower = ComparisonFollower(
            reference.reshape(shape),
            spacing,
            thread=self._thread,
            engine=None if make is None else lambda: make(reference, spacing),
        )
        return self.follower

    def _outside(self, placed: Placed | None, masks: list[RawMask] | None) -> float:
        """Volume of the prediction beyond the reference's field of view, ml."""
        field = self._truth.field if self._truth is not None else None
        if field is None or masks is None:
            return 0.0
        if placed is None:
            return sum(_beyond_ml(mask, self._lattice(), field) for mask in masks)
        beyond = without(placed.box, field) if placed.values.size else []
        return sum(placed.count(box) for box in beyond) * self.grid().voxel_ml

    def _within_field(self, box: Box3 | None) -> Box3 | None:
        field = self._truth.field if self._truth is not None else None
        return box if field is None or box is None else overlap(box, field)

    def _sliceAxis(self) -> Matrix:
        """Unit vector across the slices, towards head, front or right."""
        axis = self._lattice()[:3, 2]
        unit = axis / np.linalg.norm(axis)
        return np.asarray(unit * np.sign(unit[np.abs(unit).argmax()]))

    def _lattice(self) -> Matrix:
        return self._truth.lattice if self._truth is not None else np.eye(4)


_NOWHERE: Box3 = (slice(0, 1), slice(0, 1), slice(0, 1))


def _one(box: Box3) -> Box3:
    """A voxel of a box."""
    return (
        slice(box[0].start, box[0].start + 1),
        slice(box[1].start, box[1].start + 1),
        slice(box[2].start, box[2].start + 1),
    )


def _grown(box: Box3) -> Box3:
    low, high = (tuple(getattr(s, end) for s in box) for end in ("start", "stop"))
    return tuple(slice(a - MARGIN_VOXELS, b + MARGIN_VOXELS) for a, b in zip(low, high, strict=True))  # type: ignore[return-value]


def _starts(box: Box3) -> Index3:
    return box[0].start, box[1].start, box[2].start


def _reach(source: Source, masks: list[RawMask] | None, lattice: Matrix) -> Box3:
    """A box of a lattice that holds masks of other grids: corners of their tight boxes, two voxels wider."""
    boxes: list[Box3 | None] = []
    if masks is None:
        own = source.lattice()
        boxes = [_mapped(own[0], own[1], lattice)] if own is not None and own[1] is not None else []
    else:
        for mask in masks:
            tight = mask.placed.tight()
            boxes.append(_mapped(mask.ijkToWorld, tight, lattice) if tight is not None else None)
    return around(*boxes) or _NOWHERE


def _mapped(ijkToWorld: Matrix, box: Box3, lattice: Matrix) -> Box3:
    corners = np.array(
        [[x, y, z, 1.0] for z in _ends(box[0]) for y in _ends(box[1]) for x in _ends(box[2])], dtype=np.float64
    )
    there = (corners @ (np.linalg.inv(lattice) @ ijkToWorld).T)[:, :3]
    low, high = np.floor(there.min(axis=0)).astype(int) - 2, np.ceil(there.max(axis=0)).astype(int) + 3
    return slice(int(low[2]), int(high[2])), slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _ends(axis: slice) -> tuple[float, float]:
    return axis.start - 0.5, axis.stop - 0.5


def _volume_ml(mask: RawMask) -> float:
    return mask.placed.count() * abs(float(np.linalg.det(mask.ijkToWorld[:3, :3]))) / 1000.0


def _beyond_ml(mask: RawMask, lattice: Matrix, field: Box3) -> float:
    """Voxels whose centres lie beyond the outer voxel edges of the field."""
    tight = mask.placed.tight()
    if tight is None or around(_mapped(mask.ijkToWorld, tight, lattice), field) == field:
        return 0.0
    index = np.argwhere(mask.placed.on_box(tight)) + _starts(tight)
    matrix = np.linalg.inv(lattice) @ mask.ijkToWorld
    there = (index[:, ::-1] @ matrix[:3, :3].T + matrix[:3, 3])[:, ::-1]
    # A thousandth of a voxel, so that rounding does not put a shared edge outside.
    low, high = np.array([s.start - 0.501 for s in field]), np.array([s.stop - 0.499 for s in field])
    beyond = int(np.count_nonzero(np.any((there < low) | (there > high), axis=1)))
    return beyond * abs(float(np.linalg.det(mask.ijkToWorld[:3, :3]))) / 1000.0


def _copied(mask: RawMask) -> RawMask:
    """The voxels as they are now, for a thread that must not see later edits."""
    tight = mask.placed.tight()
    if tight is None:
        return RawMask(Placed(np.zeros((0, 0, 0), dtype=np.bool_)), mask.ijkToWorld)
    return RawMask(Placed(mask.placed.on_box(tight), _starts(tight)), mask.ijkToWorld)


def _union(masks: list[RawMask], grid: Geometry) -> BoolArray:
    result = np.zeros(grid.shape, dtype=np.bool_)
    for mask in masks:
        result |= mask.onGrid(grid)
    return result
