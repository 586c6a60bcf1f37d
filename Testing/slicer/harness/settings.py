"""Stand-ins for ctkSettingsPanel, ctkSettingsDialog and ctkComboBox: what a module's page in the settings uses.

Names, order of arguments and behaviour as in CTK's ctkSettingsPanel.{h,cpp}: with the dialog's settings a registered
property takes the stored value, every change goes into them at once, reset goes back to the last applied values.
"""

# ruff: noqa: N801 - the classes have CTK's own names.
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import Property, QObject, QSettings, Signal
from PySide6.QtWidgets import QComboBox, QTabWidget, QWidget


class ctkComboBox(QComboBox):
    """A combo box whose current item's data is a property."""

    def _data(self) -> str:
        return str(self.currentData() or "")

    def _setData(self, value: str) -> None:
        self.setCurrentIndex(self.findData(value))

    currentUserDataAsString = Property(str, _data, _setData)


@dataclass
class _Registered:
    widget: QObject
    name: str
    default: Any
    applied: Any

    def value(self) -> Any:
        return self.widget.property(self.name)

    def set(self, value: Any) -> None:
        # An .ini file gives a flag back as a text, and Qt's variants take it.
        if isinstance(self.default, bool):
            value = str(value).lower() != "false"
        if not self.widget.setProperty(self.name, value):
            raise ValueError(f"{type(self.widget).__name__} has no property {self.name!r}")


class ctkSettingsPanel(QWidget):
    """Keeps widgets and settings in step."""

    settingChanged = Signal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._registered: dict[str, _Registered] = {}
        self._settings: QSettings | None = None

    def registerProperty(self, key: str, widget: QObject, name: str, signal: str) -> None:
        assert signal.startswith("2"), "a signal as qt.SIGNAL gives it"
        position = widget.metaObject().indexOfSignal(signal[1:])
        assert position >= 0, f"{type(widget).__name__} has no signal {signal[1:]}"
        value = widget.property(name)
        self._registered[key] = _Registered(widget, name, value, value)
        getattr(widget, signal[1:].partition("(")[0]).connect(lambda *_: self._update(key))

    def setSettings(self, settings: QSettings) -> None:
        self._settings = settings
        for key, registered in self._registered.items():
            if settings.contains(key):
                registered.set(settings.value(key))
                registered.applied = registered.value()
            else:
                self._update(key)

    def applySettings(self) -> None:
        for registered in self._registered.values():
            registered.applied = registered.value()

    def reloadSettings(self) -> None:
        if self._settings is not None:
            self.setSettings(self._settings)

    def resetSettings(self) -> None:
        for registered in self._registered.values():
            registered.set(registered.applied)

    def restoreDefaultSettings(self) -> None:
        for registered in self._registered.values():
            registered.set(registered.default)

    def _update(self, key: str) -> None:
        value = self._registered[key].value()
        if self._settings is not None:
            self._settings.setValue(key, value)
            self.settingChanged.emit(key, value)


class ctkSettingsDialog(QTabWidget):
    """The application's settings, a tab for each panel."""

    def __init__(self, settings: QSettings) -> None:
        super().__init__()
        self._settings = settings

    def addPanel(self, label: str, panel: ctkSettingsPanel) -> None:
        panel.setSettings(self._settings)
        self.addTab(panel, label)


SETTINGS_STAND_INS = (ctkComboBox, ctkSettingsPanel)
