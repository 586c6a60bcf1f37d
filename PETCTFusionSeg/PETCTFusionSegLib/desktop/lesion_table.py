"""The table of lesions: sorted by a click on a header, chosen by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.lesion_order import FIRST_NUMBER, LesionOrder, columnTitles, placeText

from .widgets import fitHeight

_MOST_ROWS = 8


class LesionTable:
    """Shows an order; `chosen` gets the line that a user picks, `sort` the column; neither is called by `show`."""

    def __init__(self, table: Any, chosen: Callable[[int], None], sort: Callable[[int], None]) -> None:
        import qt

        self._table = table
        self._chosen = chosen
        titles = columnTitles()
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels([*titles])
        for column, text in enumerate(titles.values()):
            table.horizontalHeaderItem(column).setToolTip(text)
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.Stretch)
        for column in range(FIRST_NUMBER):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        header.setSortIndicatorShown(True)
        header.connect("sectionClicked(int)", sort)
        table.verticalHeader().setVisible(False)
        table.connect("itemSelectionChanged()", self._onSelected)
        # A second click on the chosen row goes there again.
        table.connect("cellClicked(int,int)", self._onSelected)

    def show(self, order: LesionOrder) -> None:
        """Show the rows, and which one is chosen."""
        import qt

        self._table.blockSignals(True)
        direction = qt.Qt.DescendingOrder if order.descending else qt.Qt.AscendingOrder
        self._table.horizontalHeader().setSortIndicator(order.column, direction)
        self._table.setRowCount(len(order.rows))
        for line, row in enumerate(order.rows):
            for column, text in enumerate(order.cells(row)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(_("Center: {place} mm").format(place=placeText(row.centre)))
                if column >= FIRST_NUMBER:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                if row.rejected:
                    item.setForeground(qt.QBrush(qt.QColor(128, 128, 128)))
                self._table.setItem(line, column, item)
        if order.line >= 0:
            self._table.selectRow(order.line)
        else:
            self._table.clearSelection()
            self._table.setCurrentCell(-1, -1)
        self._table.blockSignals(False)
        fitHeight(self._table, _MOST_ROWS)

    def _onSelected(self) -> None:
        self._chosen(int(self._table.currentRow()))
