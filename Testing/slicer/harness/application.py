"""Makes `qt`, `ctk`, `slicer.app` and the module base classes, so that a scripted module runs as in the application."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer.util
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from PETCTFusionSegLib.mrml.headless import HeadlessSlicer, bootHeadless

from . import effects, sample_data, scripted_module
from .path_line_edit import ctkPathLineEdit
from .proxy import ClassProxy, EnumInt, Proxy, wrap
from .settings import SETTINGS_STAND_INS, ctkSettingsDialog
from .views import Views
from .widgets import STAND_INS as WIDGET_STAND_INS

STAND_INS = (*WIDGET_STAND_INS, *SETTINGS_STAND_INS, ctkPathLineEdit)

if sys.version_info < (3, 12):
    # PySide6 6.12 takes a reference of None away with every call that returns None, as if None were immortal, which it
    # is from Python 3.12 on: -1400 a test here, until the interpreter aborts ("deallocating None"). Give it plenty.
    ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


class _Application(QtCore.QObject):
    """What modules ask of `slicer.app`."""

    startupCompleted = QtCore.Signal()
    aboutToQuit = QtCore.Signal()
    isHeadlessStandIn = QtCore.Property(bool, lambda self: True)

    def __init__(self, settingsFile: Path) -> None:
        super().__init__()
        self._settings = QtCore.QSettings(str(settingsFile), QtCore.QSettings.Format.IniFormat)
        self._applicationLogic: Any = None
        self._settingsDialog: ctkSettingsDialog | None = None

    applicationVersion = QtCore.Property(str, lambda self: "5.12.0")
    applicationName = QtCore.Property(str, lambda self: "Slicer")
    majorVersion = QtCore.Property(int, lambda self: 5)
    minorVersion = QtCore.Property(int, lambda self: 12)

    def testingEnabled(self) -> bool:
        return True

    def applicationLogic(self) -> Any:
        return self._applicationLogic

    def processEvents(self, flags: Any = QtCore.QEventLoop.ProcessEventsFlag.AllEvents) -> None:
        QtWidgets.QApplication.processEvents(flags)

    def settings(self) -> QtCore.QSettings:
        return self._settings

    def settingsDialog(self) -> ctkSettingsDialog:
        self._settingsDialog = self._settingsDialog or ctkSettingsDialog(self._settings)
        return self._settingsDialog

    def commandOptions(self) -> SimpleNamespace:
        return SimpleNamespace(noMainWindow=False, testingEnabled=True)

    def clipboard(self) -> QtGui.QClipboard:
        return QtWidgets.QApplication.clipboard()

    def startupEnvironment(self) -> QtCore.QProcessEnvironment:
        return QtCore.QProcessEnvironment.systemEnvironment()

    def topLevelWidgets(self) -> list[QtWidgets.QWidget]:
        return QtWidgets.QApplication.topLevelWidgets()


class _QtModule(ModuleType):
    """PythonQt's one module `qt` over PySide6's QtCore, QtGui and QtWidgets."""

    def __getattr__(self, name: str) -> Any:
        if name == "QUiLoader":
            return _UiLoader
        for library in (QtCore, QtGui, QtWidgets):
            if name in dir(library):
                member = getattr(library, name)
                return ClassProxy(member) if isinstance(member, type) and name != "Qt" else member
        raise AttributeError(f"module 'qt' has no attribute '{name}'")


class _UiLoader:
    """`QUiLoader` with the stand-ins. Connections that carry VTK objects are made here from the .ui's own list."""

    def load(self, file: Proxy) -> Proxy | None:
        text = bytes(file._object.readAll().data())
        tree = ElementTree.fromstring(text)
        pending = []
        block = tree.find("connections")
        for connection in list(block) if block is not None else []:
            if "vtkMRML" in (connection.findtext("signal") or ""):
                pending.append([connection.findtext(key) or "" for key in ("sender", "signal", "receiver", "slot")])
                block.remove(connection)  # type: ignore[union-attr]
        loader = QtUiTools.QUiLoader()
        for standIn in STAND_INS:
            loader.registerCustomWidget(standIn)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = loader.load(buffer)
        if widget is None:
            return None
        for sender, signal, receiver, slot in pending:
            getattr(_named(widget, sender), signal.split("(")[0]).connect(
                getattr(_named(widget, receiver), slot.split("(")[0])
            )
        return wrap(widget)


def _named(root: QtWidgets.QWidget, name: str) -> Any:
    found = root if root.objectName() == name else root.findChild(QtCore.QObject, name)
    if found is None:
        raise ValueError(f"the .ui file connects '{name}', which it does not contain")
    return found


def _qtNamespace() -> SimpleNamespace:
    """`qt.Qt`: enumerations as integers."""
    values: dict[str, Any] = {}
    for name in dir(QtCore.Qt):
        member = getattr(QtCore.Qt, name)
        if isinstance(member, type) and hasattr(member, "__members__"):
            values.update({key: EnumInt(value) for key, value in member.__members__.items()})
    return SimpleNamespace(**values)


class Desktop:
    """One application for the process, and one scene for each test."""

    def __init__(self) -> None:
        self.qtApplication = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])
        self._settings = tempfile.TemporaryDirectory(prefix="petctfusion-settings-")
        self.application = _Application(Path(self._settings.name) / "Slicer.ini")
        qtModule = _QtModule("qt")
        qtModule.Qt = _qtNamespace()  # type: ignore[attr-defined]
        ctkModule = ModuleType("ctk")
        for standIn in STAND_INS:
            owner = slicer if standIn.__name__.startswith("q") else ctkModule
            setattr(owner, standIn.__name__, ClassProxy(standIn))
        translations = ModuleType("slicer.i18n")
        translations.tr = lambda text: text  # type: ignore[attr-defined]
        translations.translate = lambda context, text: text  # type: ignore[attr-defined]
        slicer.i18n = translations
        slicer.ScriptedLoadableModule = scripted_module
        sys.modules.update(
            {
                "qt": qtModule,
                "ctk": ctkModule,
                "slicer.i18n": translations,
                "slicer.ScriptedLoadableModule": scripted_module,
                "SampleData": sample_data,
            }
        )
        effects.install()
        self.booted: HeadlessSlicer | None = None

    def newScene(self) -> Any:
        """Boot a scene and make it `slicer.mrmlScene`."""
        for name in ("app", "modules", "mrmlScene"):
            if hasattr(slicer, name):
                delattr(slicer, name)
        self.booted = bootHeadless()
        self.application._applicationLogic = self.booted.applicationLogic
        self.views = Views(self.booted.scene, self.booted.applicationLogic)
        slicer.app = wrap(self.application)
        self.application.settings().clear()
        return self.booted.scene

    def waitUntil(self, condition: Any, seconds: float) -> bool:
        """Run the event loop until `condition()` or the time is over; says whether it came true."""
        clock = QtCore.QElapsedTimer()
        clock.start()
        while not condition():
            if clock.elapsed() > seconds * 1000:
                return False
            self.qtApplication.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 20)
            self.qtApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete.value)
            QtCore.QThread.msleep(5)
        return True
