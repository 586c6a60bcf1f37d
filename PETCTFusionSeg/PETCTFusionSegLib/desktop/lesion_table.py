"""The table of lesions: sorted by a click on a header, chosen by row, the choice kept through edits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.lesion_decisions import Decision
from PETCTFusionSegLib.mrml.lesion_rows import LesionRow, rowAt

from .widgets import fitHeight

_MOST_ROWS = 8
Key = Callable[[LesionRow], Any]


def decisionNames() -> dict[Decision, str]:
    """Decisions as the table names them."""
    return {"open": _("open"), "accepted": _("accepted"), "flagged": _("flagged"), "rejected": _("rejected")}


class LesionTable:
    """Shows rows; `chosen` is called when the user picks one (not when the table is filled again)."""

    def __init__(self, table: Any, chosen: Callable[[LesionRow], None]) -> None:
        import qt

        self._table = table
        self._chosen = chosen
        self._decisions: Mapping[int, Decision] = {}
        self._sorting = (0, False)
        self.rows: list[LesionRow] = []
        """In the order of the table."""
        titles = list(_titles())
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels(titles)
        for column, text in enumerate(_titles().values()):
            table.horizontalHeaderItem(column).setToolTip(text)
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.Stretch)
        for column in (0, 1):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(0, qt.Qt.AscendingOrder)
        header.connect("sectionClicked(int)", self._onHeader)
        table.verticalHeader().setVisible(False)
        table.connect("itemSelectionChanged()", self._onSelected)
        # A second click on the chosen row goes there again.
        table.connect("cellClicked(int,int)", self._onSelected)

    def fill(self, rows: Sequence[LesionRow], decisions: Sequence[Decision]) -> None:
        """Show these rows; the chosen lesion stays chosen wherever it is now."""
        before = self.current()
        self._decisions = {row.number: decision for row, decision in zip(rows, decisions, strict=True)}
        self.rows = self._sorted(rows)
        self._show(rowAt(self.rows, before.samples) if before is not None else None)

    def current(self) -> LesionRow | None:
        """The chosen lesion."""
        line = int(self._table.currentRow())
        return self.rows[line] if 0 <= line < len(self.rows) else None

    def step(self, by: int) -> bool:
        """Choose the row `by` rows further down; the first one when none is chosen; False at the end."""
        line = int(self._table.currentRow()) + by if self.current() is not None else 0
        if not 0 <= line < len(self.rows):
            return False
        self._table.selectRow(line)
        return True

    def decision(self, row: LesionRow) -> Decision:
        """The decision shown for a row."""
        return self._decisions.get(row.number, "open")

    def _show(self, chosen: LesionRow | None) -> None:
        import qt

        names = decisionNames()
        self._table.blockSignals(True)
        self._table.setRowCount(len(self.rows))
        for line, row in enumerate(self.rows):
            for column, text in enumerate(_cells(row, names[self.decision(row)])):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(_("Center: {place} mm").format(place=placeText(row.centre)))
                if column > 1:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                if row.rejected:
                    item.setForeground(qt.QBrush(qt.QColor(128, 128, 128)))
                self._table.setItem(line, column, item)
        if chosen is not None:
            self._table.selectRow(self.rows.index(chosen))
        else:
            self._table.clearSelection()
            self._table.setCurrentCell(-1, -1)
        self._table.blockSignals(False)
        fitHeight(self._table, _MOST_ROWS)

    def _onSelected(self) -> None:
        row = self.current()
        if row is not None:
            self._chosen(row)

    def _onHeader(self, column: int) -> None:
        import qt

        descending = not self._sorting[1] if column == self._sorting[0] else _startsDescending(column)
        self._sorting = (column, descending)
        order = qt.Qt.DescendingOrder if descending else qt.Qt.AscendingOrder
        self._table.horizontalHeader().setSortIndicator(column, order)
        chosen = self.current()
        self.rows = self._sorted(self.rows)
        self._show(chosen)

    def _sorted(self, rows: Sequence[LesionRow]) -> list[LesionRow]:
        column, descending = self._sorting
        byNumber = sorted(rows, key=lambda row: row.number)
        return sorted(byNumber, key=self._keys()[column], reverse=descending)

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


def _titles() -> dict[str, str]:
    """Titles and what they mean."""
    return {
        _("#"): _("Number from the largest lesion. Lesions are 18-connected parts of the segment."),
        _("Decision"): _("Yours, kept with the segmentation. It lapses when the lesion changes much."),
        _("MTV ml"): _("Metabolic tumor volume: the volume of the contour."),
        _("SUVmax"): _("Highest SUV of a PET voxel whose center lies in the lesion."),
        _("mean"): _("SUVmean: mean SUV of the PET voxels whose centers lie in the lesion."),
        _("peak"): _("SUVpeak: highest mean of a 1 ml sphere centered on a PET voxel of the lesion."),
        _("TLG"): _("Total lesion glycolysis: SUVmean x MTV."),
    }


def _startsDescending(column: int) -> bool:
    """The largest numbers first."""
    return column >= 2


def _known(value: float | None) -> float:
    return -1.0 if value is None else value


def _cells(row: LesionRow, decision: str) -> tuple[str, ...]:
    lesion = row.lesion
    values = (lesion.suv_max, lesion.suv_mean, lesion.suv_peak)
    tlg = "" if lesion.tlg is None else f"{lesion.tlg:.1f}"
    return (
        str(row.number),
        decision,
        f"{lesion.volume_ml:.2f}",
        *("" if value is None else f"{value:.2f}" for value in values),
        tlg,
    )


def placeText(ras: tuple[float, float, float]) -> str:
    """A place in mm as readers say it: "L 20, P 10, S 5"."""
    letters = (("R", "L"), ("A", "P"), ("S", "I"))
    return ", ".join(f"{pair[value < 0]} {abs(value):.0f}" for pair, value in zip(letters, ras, strict=True))
