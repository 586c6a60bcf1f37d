"""Stand-in for CTK's line edit for paths."""

# ruff: noqa: N801 - the class has CTK's own name.
from __future__ import annotations

import enum

from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QToolButton, QWidget


class _Filter(enum.IntFlag):
    Dirs = 0x001
    Files = 0x002
    Writable = 0x020


class ctkPathLineEdit(QWidget):
    """`ctkPathLineEdit` without its history, completion and dialog: a line, a button, the current path as property."""

    currentPathChanged = Signal(str)
    Dirs, Files, Writable = _Filter.Dirs, _Filter.Files, _Filter.Writable

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._filters, self._history = 0, True
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._line = QLineEdit(self)
        button = QToolButton(self)
        button.setText("...")
        row.addWidget(self._line)
        row.addWidget(button)
        self._line.textChanged.connect(self.currentPathChanged)

    def setCurrentPath(self, path: str) -> None:
        self._line.setText(path)

    def _getPath(self) -> str:
        return self._line.text()

    def _getFilters(self) -> int:
        return self._filters

    def _setFilters(self, filters: int) -> None:
        self._filters = int(filters)

    def _getHistory(self) -> bool:
        return self._history

    def _setHistory(self, shown: bool) -> None:
        self._history = shown

    currentPath = Property(str, _getPath, setCurrentPath, notify=currentPathChanged, user=True)
    filters = Property(int, _getFilters, _setFilters)
    showHistoryButton = Property(bool, _getHistory, _setHistory)
