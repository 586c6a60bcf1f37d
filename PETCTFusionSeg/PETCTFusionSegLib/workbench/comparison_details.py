"""Lesions and slices of a comparison, as lines of text with the places behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.live import ALL_SEGMENTS, LiveRow
from PETCTFusionSegLib.mrml.live_tables import lesionRows
from PETCTFusionSegLib.mrml.worst_place import Ras, SlicePlace, pointInSlice, slicePlaces

Front = Literal["", "lesions", "slices"]
_KIND, _PLACE = 1, slice(6, 9)


class ComparisonDetails:
    """Computes what is in front, and only that; `complete` is False while lesions are being matched."""

    def __init__(self) -> None:
        self.front: Front = ""
        self.complete = True
        self.lesions: list[tuple[str, ...]] = []
        """Segment, what it is, volume and reference volume (ml), Dice, HD95 (mm)."""
        self.slices: list[SlicePlace] = []
        """The worst one first."""
        self._places: list[Ras | None] = []
        self._row: LiveRow | None = None

    def update(self, rows: Sequence[LiveRow], chosen: LiveRow | None) -> None:
        """The lesions of all rows, or the slices of the chosen one."""
        self.complete = True
        if self.front == "lesions":
            self._updateLesions(rows)
        elif self.front == "slices":
            self._row = chosen
            self.slices = slicePlaces(chosen) if chosen is not None else []

    def clear(self) -> None:
        """Nothing is known."""
        self.complete = True
        self.lesions, self._places = [], []
        self.slices, self._row = [], None

    def lesionPlace(self, line: int) -> Ras | None:
        """The center of a lesion (world RAS, mm); None for a line that is a sentence."""
        return self._places[line] if 0 <= line < len(self._places) else None

    def slicePlace(self, line: int) -> Ras | None:
        """Where to look in a slice (world RAS, mm)."""
        known = self._row is not None and 0 <= line < len(self.slices)
        return pointInSlice(self._row, self.slices[line].number) if self._row is not None and known else None

    def nearestSlice(self, position_mm: float) -> int:
        """The line of the slice nearest to a position along the slice axis; -1 without slices."""
        away = [abs(one.position_mm - position_mm) for one in self.slices]
        return away.index(min(away)) if away else -1

    def _updateLesions(self, rows: Sequence[LiveRow]) -> None:
        # The row of all segments together would show every lesion twice.
        single = [row for row in rows if row.name != ALL_SEGMENTS] or list(rows)
        found = [lesionRows(row) for row in single]
        self.complete = all(
            lesions is not None or row.numbers is None for row, lesions in zip(single, found, strict=True)
        )
        cells = [lesion for lesions in found for lesion in lesions or []]
        words = {"tp": _("found"), "fp": _("not in the reference"), "fn": _("missed")}
        self.lesions = [(one[0], words.get(one[_KIND], one[_KIND]), *one[2 : _PLACE.start]) for one in cells]
        self._places = [_point(one[_PLACE]) for one in cells]


def _point(texts: Sequence[str]) -> Ras | None:
    """World RAS (mm) of three cells; None for a row that is a sentence."""
    if not all(texts):
        return None
    r, a, s = (float(text) for text in texts)
    return r, a, s
