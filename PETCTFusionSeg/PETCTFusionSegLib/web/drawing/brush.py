"""The brush and a stroke with it: voxels of one segment, written where the pointer went."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.boxes import RAS_LPS_SIGNS, boxAround, subGrid
from PETCTFusionSegLib.mrml.brush_shape import Triple, alongAxes, sweptBox, sweptVoxels
from PETCTFusionSegLib.mrml.live_source import SegmentSource, gridOf
from PETCTFusionSegLib.mrml.segment_grid import SegmentGrid
from PETCTFusionSegLib.mrml.suv_brush import SuvRule
from PETCTFusionSegLib.mrml.suv_stamp import SuvStamp

# Stamps of a brush that looks at the PET lie closer than its own size, so that a stroke has no gaps.
_STAMPS_PER_DIAMETER = 4
# Room around a segment that has no reference volume to say how far it may reach.
_ROOM = 64
_AT_ONCE = 8


@dataclass
class BrushSettings:
    """What the user chose. With a `rule` only voxels are painted whose PET value passes it; lengths in mm."""

    diameterMm: float = 15.0
    sphere: bool = False
    rule: SuvRule | None = None


@dataclass
class Stroke:
    """From button down to button up; every point is joined to the one before."""

    segment: SegmentGrid
    settings: BrushSettings
    inside: bool
    normalRas: Triple
    """Across the slice in which the user draws, world RAS."""
    pet: Any
    stamp: SuvStamp
    changed: int = 0
    """Voxels that have changed so far."""
    _last: list[Triple] = field(default_factory=list)

    def draw(self, points: Sequence[Triple]) -> None:
        """Go on to world points (RAS, mm). Raises `BadInputError`."""
        path = [*self._last, *points]
        if self.inside and self.settings.rule is not None:
            for point in _spaced(path, self.settings.diameterMm / _STAMPS_PER_DIAMETER)[len(self._last) :]:
                self._stampAt(point, self.settings.rule)
        else:
            # In short parts: the box around a long way would be mostly empty.
            for start in range(0, max(1, len(path) - 1), _AT_ONCE):
                self._sweep(path[start : start + _AT_ONCE + 1])
        self._last = [path[-1]]

    def _sweep(self, path: Sequence[Triple]) -> None:
        grid = self.segment.grid
        places = grid.indices(np.asarray(path) * RAS_LPS_SIGNS)[:, ::-1]
        normal = None if self.settings.sphere else alongAxes(grid, self.normalRas)
        spacing, radius = grid.spacing_zyx, self.settings.diameterMm / 2
        box = sweptBox(grid.shape, spacing, _triples(places), radius, normal)
        if box is not None:
            inBox = _triples(places - [part.start for part in box])
            mask = sweptVoxels([part.stop - part.start for part in box], spacing, inBox, radius, normal)
            self.changed += self.segment.paint(box, mask, self.inside)

    def _stampAt(self, point: Triple, rule: SuvRule) -> None:
        grid, radius = self.segment.grid, self.settings.diameterMm / 2
        box = boxAround(grid, np.asarray([point]) * RAS_LPS_SIGNS, radius + self.stamp.margin_mm(rule))
        if box is None:
            return
        normal = None if self.settings.sphere else self.normalRas
        mask = self.stamp.voxels(self.pet, subGrid(grid, box), point, radius, normal, rule)
        self.changed += self.segment.paint(box, mask, True)


def gridOfSegment(node: Any, segmentId: str) -> SegmentGrid:
    """The grid on which a segment is drawn: that of its voxels, as far as its segmentation reaches.

    Raises `BadInputError` where there is none, or where a transform bends it.
    """
    source = SegmentSource(node, [segmentId])
    lattice = source.lattice()
    if lattice is None:
        raise BadInputError(_("The segmentation has no grid yet."), _("Open a CT first."))
    matrix, field_ = lattice
    if field_ is None:
        raw = source.raw() or []
        boxes = [one.moved((0, 0, 0)).box for one in raw]
        if not boxes:
            raise BadInputError(_("The segmentation has no grid yet."), _("Open a CT first."))
        z, y, x = (slice(part.start - _ROOM, part.stop + _ROOM) for part in boxes[0])
        field_ = z, y, x
    return SegmentGrid(node, segmentId, gridOf(matrix, field_))


def _triples(places: Any) -> list[Triple]:
    return [(float(z), float(y), float(x)) for z, y, x in places]


def _spaced(path: Sequence[Triple], step_mm: float) -> list[Triple]:
    """The points and, between two that are farther apart than a step, more of them."""
    found = [path[0]]
    for start, end in itertools.pairwise(path):
        number = max(1, int(np.ceil(np.linalg.norm(np.subtract(end, start)) / step_mm)))
        shares = np.linspace(0, 1, number + 1)[1:, None]
        found += _triples(np.asarray(start) + shares * np.subtract(end, start))
    return found
