"""The list of lesions as a reader sees it: in the order he chose, with the one he chose, which stays through edits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.lesion_decisions import Decision
from PETCTFusionSegLib.mrml.lesion_rows import LesionRow, rowAt

Key = Callable[[LesionRow], Any]
FIRST_NUMBER = 2
"""From this column on there are measurements, of which the largest come first."""


class LesionOrder:
    """Sorted by one column; `current` is the chosen lesion."""

    def __init__(self) -> None:
        self.rows: list[LesionRow] = []
        """In the order in which they are shown."""
        self.column, self.descending = 0, False
        self.current: LesionRow | None = None
        self._decisions: Mapping[int, Decision] = {}

    def fill(self, rows: Sequence[LesionRow], decisions: Sequence[Decision]) -> None:
        """Take these rows; the chosen lesion stays chosen wherever it is now."""
        before = self.current
        self._decisions = {row.number: decision for row, decision in zip(rows, decisions, strict=True)}
        self.rows = self._sorted(rows)
        self.current = rowAt(self.rows, before.samples) if before is not None else None

    @property
    def line(self) -> int:
        """The line of the chosen lesion; -1 when none is."""
        return next((line for line, row in enumerate(self.rows) if row is self.current), -1)

    def choose(self, line: int) -> bool:
        """Choose a line; False when there is no such line."""
        if not 0 <= line < len(self.rows):
            return False
        self.current = self.rows[line]
        return True

    def step(self, by: int) -> bool:
        """Choose the lesion `by` lines further down, the first one when none is chosen; False at the end."""
        return self.choose(self.line + by if self.current is not None else 0)

    def sortBy(self, column: int) -> None:
        """Sort by a column; a second time turns the order round."""
        self.descending = not self.descending if column == self.column else column >= FIRST_NUMBER
        self.column = column
        self.rows = self._sorted(self.rows)

    def decision(self, row: LesionRow) -> Decision:
        """The decision about a row."""
        return self._decisions.get(row.number, "open")

    def cells(self, row: LesionRow) -> tuple[str, ...]:
        """The texts of a row's line."""
        lesion = row.lesion
        values = (lesion.suv_max, lesion.suv_mean, lesion.suv_peak)
        return (
            str(row.number),
            decisionNames()[self.decision(row)],
            f"{lesion.volume_ml:.2f}",
            *("" if value is None else f"{value:.2f}" for value in values),
            "" if lesion.tlg is None else f"{lesion.tlg:.1f}",
        )

    def _sorted(self, rows: Sequence[LesionRow]) -> list[LesionRow]:
        byNumber = sorted(rows, key=lambda row: row.number)
        return sorted(byNumber, key=self._keys()[self.column], reverse=self.descending)

    def _keys(self) -> tuple[Key, ...]:
        order = list(decisionNames())
        return (
            lambda row: row.number,
            lambda row: order.index(self.decision(row)),
            lambda row: row.lesion.volume_ml,
            lambda row: _known(row.lesion.suv_max),
            lambda row: _known(row.lesion.suv_mean),
            lambda row: _known(row.lesion.suv_peak),
            lambda row: _known(row.lesion.tlg),
        )


def decisionNames() -> dict[Decision, str]:
    """Decisions as the list names them."""
    return {"open": _("open"), "accepted": _("accepted"), "flagged": _("flagged"), "rejected": _("rejected")}


def columnTitles() -> dict[str, str]:
    """Titles of the columns and what they mean."""
    return {
        _("#"): _("Number from the largest lesion. Lesions are 18-connected parts of the segment."),
        _("Decision"): _("Yours, kept with the segmentation. It lapses when the lesion changes much."),
        _("MTV ml"): _("Metabolic tumor volume: the volume of the contour."),
        _("SUVmax"): _("Highest SUV of a PET voxel whose center lies in the lesion."),
        _("mean"): _("SUVmean: mean SUV of the PET voxels whose centers lie in the lesion."),
        _("peak"): _("SUVpeak: highest mean of a 1 ml sphere centered on a PET voxel of the lesion."),
        _("TLG"): _("Total lesion glycolysis: SUVmean x MTV."),
    }


def placeText(ras: tuple[float, float, float]) -> str:
    """A place in mm as readers say it: "L 20, P 10, S 5"."""
    letters = (("R", "L"), ("A", "P"), ("S", "I"))
    return ", ".join(f"{pair[value < 0]} {abs(value):.0f}" for pair, value in zip(letters, ras, strict=True))


def summary(rows: Sequence[LesionRow], decisions: Sequence[Decision]) -> str:
    """How many lesions there are and what they add up to; rejected ones are counted, not added."""
    kept = [row.lesion for row in rows if not row.rejected]
    if not rows:
        return _("There is no lesion in this segment.")
    parts = [_("1 lesion") if len(kept) == 1 else _("{n} lesions").format(n=len(kept))]
    parts.append(_("MTV {ml} ml").format(ml=f"{sum(one.volume_ml for one in kept):.1f}"))
    tlg, maxima = [one.tlg for one in kept if one.tlg is not None], [one.suv_max for one in kept]
    known = [value for value in maxima if value is not None]
    if known:
        parts.append(_("TLG {tlg}").format(tlg=f"{sum(tlg):.1f}"))
        parts.append(_("SUVmax {suv}").format(suv=f"{max(known):.2f}"))
    counts = [f"{list(decisions).count(one)} {name}" for one, name in decisionNames().items() if one in decisions]
    return f"{', '.join(parts)}. {', '.join(counts).capitalize()}."


def _known(value: float | None) -> float:
    return -1.0 if value is None else value
