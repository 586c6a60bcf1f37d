"""A small stand-in for `slicer.ScriptedLoadableModule`: what the module's four classes inherit and use."""

from __future__ import annotations

import unittest
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtWidgets

from .proxy import wrap


class ScriptedLoadableModule:
    """Holds the module's description; `parent` is a plain object whose attributes the application would read."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent


class ScriptedLoadableModuleWidget:
    """Gives a module its parent widget and layout, and itself to the layout's user interface."""

    def __init__(self, parent: Any = None) -> None:
        if parent is None:
            holder = QtWidgets.QWidget()
            box = QtWidgets.QVBoxLayout(holder)
            box.setContentsMargins(0, 0, 0, 0)
            self.parent = wrap(holder)
        else:
            self.parent = parent
        self.layout = self.parent.layout()
        self.logic: Any = None
        self.modulePath = ""

    def resourcePath(self, name: str) -> str:
        """A file in the module's `Resources` folder."""
        import sys

        return str(Path(sys.modules[type(self).__module__].__file__ or "").parent / "Resources" / name)

    def setup(self) -> None:
        """The reload section of the application is not part of the stand-in."""

    def cleanup(self) -> None:
        """Overridden by modules."""


class ScriptedLoadableModuleLogic:
    """A module's logic without a parent."""

    def __init__(self, parent: Any = None) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        """The module's one parameter node in the scene, made when it is missing."""
        tag = f"{self.moduleName}ModuleName"
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetModuleName(self.moduleName)
            node.SetName(tag)
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """A module's own tests, started by `runTest`."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)

    def runTest(self) -> None:
        """Overridden by modules."""

    def delayDisplay(self, message: str, *_unused: Any) -> None:
        """The application shows the message for a moment."""
        print(message)
