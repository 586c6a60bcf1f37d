"""Small helpers for tables, labels and timers that several sections share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def setHeaders(table: Any, titles: Sequence[str]) -> None:
    """Column titles of a read-only table whose first column takes the room that is left."""
    import qt

    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels([*titles])
    table.verticalHeader().setVisible(False)
    header = table.horizontalHeader()
    header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    header.setSectionResizeMode(0, qt.QHeaderView.Stretch)


def fillTable(table: Any, rows: Sequence[Sequence[str]], toolTips: Sequence[str] = ()) -> None:
    """Show rows of texts; `toolTips` has one for each row, or none."""
    import qt

    table.setRowCount(len(rows))
    for line, row in enumerate(rows):
        for column, text in enumerate(row):
            cell = qt.QTableWidgetItem(text)
            cell.setToolTip(toolTips[line] if line < len(toolTips) else text)
            table.setItem(line, column, cell)


def fitHeight(table: Any, most: int) -> None:
    """Make the table as high as its rows, `most` of them at the most: no empty field, no second scroll bar."""
    shown = min(max(table.rowCount, 1), most)
    rowHeight = table.rowHeight(0) if table.rowCount else table.verticalHeader().defaultSectionSize
    table.setFixedHeight(table.horizontalHeader().sizeHint.height() + shown * rowHeight + 6)


def makeQuiet(label: Any) -> None:
    """Show a label as a remark: greyer than other texts, and still readable in light and dark palettes."""
    import qt

    # Not every PythonQt knows this role of Qt 5.12.
    label.setForegroundRole(getattr(qt.QPalette, "PlaceholderText", qt.QPalette.WindowText))


def makeTimer(intervalMs: int, once: bool, function: Callable[[], None]) -> Any:
    """A stopped timer that calls `function`, once after each start or again and again."""
    import qt

    timer = qt.QTimer()
    timer.setSingleShot(once)
    timer.setInterval(intervalMs)
    timer.connect("timeout()", function)
    return timer
