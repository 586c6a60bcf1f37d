"""Lesions and slices of the comparison, behind the table of segments: a click goes to the place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.live import ALL_SEGMENTS, LiveRow
from PETCTFusionSegLib.mrml.live_tables import lesionRows
from PETCTFusionSegLib.mrml.worst_place import Ras, SlicePlace, pointInSlice, slicePlaces

from .comparison_table import prepareTable
from .widgets import fillTable

_LESIONS, _SLICES = 1, 2
_KIND, _PLACE = 1, slice(6, 9)


class DetailTables:
    """Fills the tab that is in front, and only that; `complete` is False while lesions are being matched."""

    def __init__(self, ui: Any, look: Callable[[], None], jump: Callable[[Ras], None]) -> None:
        """`look` is called when another tab comes to the front, `jump` with the place of a row that was clicked."""
        self.complete = True
        self._tabs, self._jump = ui.compareTabs, jump
        self._lesionTable, self._sliceTable = ui.compareLesionTable, ui.compareSliceTable
        self._lesionPlaces: list[Ras | None] = []
        self._slices: tuple[LiveRow | None, list[SlicePlace]] = (None, [])
        prepareTable(
            self._lesionTable,
            [_("Segment"), _("Lesion"), _("Volume\n(ml)"), _("Reference\n(ml)"), _("Dice"), _("HD95\n(mm)")],
        )
        prepareTable(self._sliceTable, [_("Position\n(mm)"), _("Dice"), _("Area\n(cm²)"), _("Reference\n(cm²)")])
        ui.compareTabs.connect("currentChanged(int)", look)
        for signal in ("cellClicked(int,int)", "cellActivated(int,int)"):
            self._lesionTable.connect(signal, self._goToLesion)
            self._sliceTable.connect(signal, self._goToSlice)

    def show(self, rows: Sequence[LiveRow], chosen: LiveRow | None) -> None:
        """Show the lesions of all rows, or the slices of the chosen one."""
        front = self._tabs.currentIndex
        self.complete = True
        if front == _LESIONS:
            self._showLesions(rows)
        elif front == _SLICES:
            self._showSlices(chosen)

    def clear(self) -> None:
        """Show nothing."""
        self.complete = True
        self._lesionPlaces, self._slices = [], (None, [])
        fillTable(self._lesionTable, [])
        fillTable(self._sliceTable, [])

    def _showLesions(self, rows: Sequence[LiveRow]) -> None:
        # The row of all segments together would show every lesion twice.
        single = [row for row in rows if row.name != ALL_SEGMENTS] or list(rows)
        found = [lesionRows(row) for row in single]
        self.complete = all(
            lesions is not None or row.numbers is None for row, lesions in zip(single, found, strict=True)
        )
        cells = [lesion for lesions in found for lesion in lesions or []]
        words = {"tp": _("found"), "fp": _("not in the reference"), "fn": _("missed")}
        texts = [(one[0], words.get(one[_KIND], one[_KIND]), *one[2 : _PLACE.start]) for one in cells]
        fillTable(self._lesionTable, texts, [_("Click to go to the lesion.")] * len(texts))
        self._lesionPlaces = [_point(one[_PLACE]) for one in cells]

    def _showSlices(self, row: LiveRow | None) -> None:
        places = slicePlaces(row) if row is not None else []
        self._slices = row, places
        texts = [
            (f"{one.position_mm:.1f}", f"{one.dice:.3f}", f"{one.area_cm2:.2f}", f"{one.referenceArea_cm2:.2f}")
            for one in places
        ]
        fillTable(self._sliceTable, texts, [_("The worst slice comes first. Click to go there.")] * len(texts))

    def _goToLesion(self, line: int) -> None:
        place = self._lesionPlaces[line] if line < len(self._lesionPlaces) else None
        if place is not None:
            self._jump(place)

    def _goToSlice(self, line: int) -> None:
        row, places = self._slices
        place = pointInSlice(row, places[line].number) if row is not None and line < len(places) else None
        if place is not None:
            self._jump(place)


def _point(texts: Sequence[str]) -> Ras | None:
    """World RAS (mm) of three cells; None for a row that is a sentence."""
    if not all(texts):
        return None
    r, a, s = (float(text) for text in texts)
    return r, a, s
