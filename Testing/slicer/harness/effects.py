"""Stand-ins for Slicer's scripted Segment Editor effects, over the real `vtkSlicerSegmentEditorLogic`.

They stand for `qSlicerSegmentEditorScriptedEffect` (with what it inherits of `qSlicerSegmentEditorAbstractEffect`),
`qSlicerSegmentEditorEffectFactory`, the part of `qMRMLSegmentEditorWidget` that keeps effects, `qMRMLSliceWidget` as an
effect sees it, and the Python base class of scripted effects; names and signatures as in Slicer's headers. Masking,
overwriting and undo are the logic's own. Options frame, parameters and activation behave as in the application; there
is no effect button, no cursor, and nothing is drawn.
"""

# ruff: noqa: N801 - the classes have Slicer's own names.
from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import slicer
from PySide6.QtCore import Property, QObject, QPoint
from PySide6.QtGui import QVector3D
from PySide6.QtWidgets import QFormLayout, QFrame, QWidget

from .proxy import ClassProxy, wrap

_Logic = slicer.vtkSlicerSegmentEditorLogic
MODES = {name: getattr(_Logic, name) for name in dir(_Logic) if name.startswith("ModificationMode") and name[16:]}


class qMRMLSliceWidget(QWidget):
    """A slice view as an effect sees it: its node, and the actors that effects put into it."""

    def __init__(self, sliceNode: Any) -> None:
        super().__init__()
        self.sliceNode = sliceNode
        self.actors: list[Any] = []


class qSlicerSegmentEditorScriptedEffect(QObject):
    """The C++ half of an effect; the Python half is made by `setPythonSource`, and `self()` gives it."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._texts = {"name": "UnnamedScriptedEffect", "title": ""}
        self._flags = {"perSegment": True, "requireSegments": True}
        self._self: Any = None
        self._node: Any = None
        self._active = False
        self.logic: Any = None
        self.frame = QFrame()
        QFormLayout(self.frame)

    name = Property(str, lambda self: self._texts["name"], lambda self, text: self._texts.update(name=text))
    title = Property(
        str, lambda self: self._texts["title"] or self._texts["name"], lambda self, text: self._texts.update(title=text)
    )
    perSegment = Property(
        bool, lambda self: self._flags["perSegment"], lambda self, value: self._flags.update(perSegment=value)
    )
    requireSegments = Property(
        bool, lambda self: self._flags["requireSegments"], lambda self, value: self._flags.update(requireSegments=value)
    )

    def setPythonSource(self, path: str) -> bool:
        """The module is named after the file's folder, the class after the file, as in the C++ source."""
        file = Path(path)
        moduleName = file.parent.name
        className = file.stem if file.stem.endswith("Effect") else f"{file.stem}Effect"
        module = sys.modules.get(moduleName)
        if not hasattr(module, className):
            spec = importlib.util.spec_from_file_location(moduleName, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[moduleName] = module
            spec.loader.exec_module(module)
        self._self = getattr(module, className)(wrap(self))
        setattr(slicer, moduleName, self._self)
        return True

    def self(self) -> Any:
        return self._self

    # --- called by the editor, passed on to Python

    def activate(self) -> None:
        self.frame.setVisible(True)
        self._active = True
        self._self.updateGUIFromMRML()
        self._self.activate()

    def deactivate(self) -> None:
        self.frame.setVisible(False)
        self._active = False
        self._self.deactivate()

    def active(self) -> bool:
        return self._active

    # --- called by the effect

    def parameterSetNode(self) -> Any:
        return self._node

    def setParameterSetNode(self, node: Any) -> None:
        self._node = node

    def scene(self) -> Any:
        return self._node.GetScene() if self._node is not None else None

    def optionsFrame(self) -> QFrame:
        return self.frame

    def addOptionsWidget(self, widget: QWidget) -> None:
        self.frame.layout().addRow(widget)  # type: ignore[union-attr]

    def parameterDefined(self, name: str) -> bool:
        return bool(self._node is not None and self._node.GetAttribute(f"{self.name}.{name}"))

    def parameter(self, name: str) -> str:
        if not self.parameterDefined(name):
            raise KeyError(f"Parameter named {name} cannot be found for effect {self.name}")
        return str(self._node.GetAttribute(f"{self.name}.{name}"))

    def setParameter(self, name: str, value: Any) -> None:
        if self._node is None:
            raise RuntimeError("a parameter was set on an effect without a segment editor node")
        key, text = f"{self.name}.{name}", str(value)
        if self._node.GetAttribute(key) != text:
            was = self._node.GetDisableModifiedEvent()
            self._node.SetDisableModifiedEvent(1)
            self._node.SetAttribute(key, text)
            self._node.SetDisableModifiedEvent(was)
            self._node.InvokeCustomModifiedEvent(self._node.EffectParameterModified)

    def setParameterDefault(self, name: str, value: Any) -> None:
        if not self.parameterDefined(name):
            self.setParameter(name, value)

    def nodeReference(self, name: str) -> Any:
        if self._node is None:
            return None
        return self._node.GetNodeReference(f"{self.name}.{name}") or self._node.GetNodeReference(name)

    def setNodeReference(self, name: str, node: Any) -> None:
        role = f"{self.name}.{name}"
        if self._node.GetNodeReference(role) is not node:
            self._node.SetNodeReferenceID(role, node.GetID() if node is not None else None)
            self._node.InvokeCustomModifiedEvent(self._node.EffectParameterModified)

    def referenceGeometryImage(self) -> Any:
        return self.logic.GetReferenceGeometryImage() if self.logic.UpdateReferenceGeometryImage() else None

    def saveStateForUndo(self) -> None:
        self.logic.SaveStateForUndo()

    def modifySegmentByLabelmap(
        self, segmentation: Any, segmentId: str, labelmap: Any, mode: int, bypassMasking: bool = False
    ) -> None:
        if mode not in MODES.values():
            raise ValueError(f"there is no modification mode {mode}")
        self.logic.ModifySegmentByLabelmap(segmentation, segmentId, labelmap, mode, self.perSegment, bypassMasking)

    def confirmCurrentSegmentVisible(self) -> int:
        """1: confirmed without a dialog. The application asks when the segment is hidden."""
        return 1 if self.logic.IsSelectedSegmentVisible() else 0

    # --- views

    def viewNode(self, view: qMRMLSliceWidget) -> Any:
        return view.sliceNode

    def xyToRas(self, xy: QPoint, view: qMRMLSliceWidget) -> QVector3D:
        ras = view.sliceNode.GetXYToRAS().MultiplyPoint((xy.x(), xy.y(), 0.0, 1.0))
        return QVector3D(*ras[:3])

    def addActor2D(self, view: qMRMLSliceWidget, actor: Any) -> None:
        view.actors.append(actor)

    def removeActor2D(self, view: qMRMLSliceWidget, actor: Any) -> None:
        view.actors.remove(actor)

    def scheduleRender(self, view: qMRMLSliceWidget) -> None:
        """Nothing is drawn."""


class AbstractScriptedSegmentEditorEffect:
    """The Python base class of scripted effects, as far as it is used."""

    def __init__(self, scriptedEffect: Any) -> None:
        self.scriptedEffect = scriptedEffect

    def register(self) -> None:
        slicer.qSlicerSegmentEditorEffectFactory.instance().registerEffect(self.scriptedEffect)

    def cleanup(self) -> None:
        """Overridden by effects."""

    def xyToRas(self, xy: Any, view: Any) -> list[float]:
        import qt

        ras = self.scriptedEffect.xyToRas(qt.QPoint(xy[0], xy[1]), view)
        return [ras.x(), ras.y(), ras.z()]


class qSlicerSegmentEditorEffectFactory(QObject):
    """Knows the registered effects, and tells the editors of new ones."""

    _only: qSlicerSegmentEditorEffectFactory | None = None

    def __init__(self) -> None:
        super().__init__()
        self.effects: list[qSlicerSegmentEditorScriptedEffect] = []
        self.editors: list[EditorEffects] = []

    @classmethod
    def instance(cls) -> qSlicerSegmentEditorEffectFactory:
        cls._only = cls._only or cls()
        return cls._only

    def registerEffect(self, effect: qSlicerSegmentEditorScriptedEffect) -> bool:
        if any(known.name == effect.name for known in self.effects):
            return False
        self.effects.append(effect)
        for editor in self.editors:
            editor.update()
        return True


class EditorEffects:
    """An editor widget's own copies of the registered effects."""

    def __init__(self, editor: QWidget, logic: Any) -> None:
        self._editor = editor
        self._logic = logic
        self._node: Any = None
        self._tags: list[int] = []
        self._copies: list[qSlicerSegmentEditorScriptedEffect] = []
        self.active: qSlicerSegmentEditorScriptedEffect | None = None
        factory = qSlicerSegmentEditorEffectFactory.instance()
        factory.editors.append(self)
        editor.destroyed.connect(lambda: factory.editors.remove(self))
        self.update()

    def update(self) -> None:
        for effect in qSlicerSegmentEditorEffectFactory.instance().effects:
            if self.byName(str(effect.name)) is None:
                copy = effect.self().clone()._object
                copy.logic = self._logic
                self._copies.append(copy)
                copy.setParameterSetNode(self._node)
                if self._node is not None:
                    copy.self().setMRMLDefaults()
                copy.frame.setVisible(False)
                self._editor.layout().addWidget(copy.frame)  # type: ignore[union-attr]

    def byName(self, name: str) -> qSlicerSegmentEditorScriptedEffect | None:
        return next((copy for copy in self._copies if str(copy.name) == name), None)

    def setNode(self, node: Any) -> None:
        for tag in self._tags:
            self._node.RemoveObserver(tag)
        self._node, self._tags = node, []
        for copy in self._copies:
            copy.setParameterSetNode(node)
            if node is not None:
                copy.self().setMRMLDefaults()
        if node is not None:
            changed = node.AddObserver(node.EffectParameterModified, self._onParameters)
            self._tags = [changed, node.AddObserver("ModifiedEvent", self._onModified)]
        self._onModified()

    def _onParameters(self, *_unused: Any) -> None:
        for copy in self._copies:
            copy.self().updateGUIFromMRML()

    def _onModified(self, *_unused: Any) -> None:
        """Without a source volume, or segments where they are needed, no effect is active."""
        wanted = self.byName(self._node.GetActiveEffectName() or "") if self._node is not None else None
        if wanted is not None:
            segmentation = self._node.GetSegmentationNode()
            empty = segmentation is None or segmentation.GetSegmentation().GetNumberOfSegments() == 0
            if self._node.GetSourceVolumeNode() is None or (empty and wanted.requireSegments):
                wanted = None
        if wanted is self.active:
            return
        if self.active is not None:
            self.active.deactivate()
        self.active = wanted
        if wanted is not None:
            wanted.activate()


def install() -> None:
    """Make the modules and names that effects import."""
    effects = ModuleType("qSlicerSegmentationsEditorEffectsPythonQt")
    effects.qSlicerSegmentEditorScriptedEffect = ClassProxy(qSlicerSegmentEditorScriptedEffect)  # type: ignore[attr-defined]
    base = ModuleType("SegmentEditorEffects")
    base.AbstractScriptedSegmentEditorEffect = AbstractScriptedSegmentEditorEffect  # type: ignore[attr-defined]
    slicer.qSlicerSegmentEditorEffectFactory = ClassProxy(qSlicerSegmentEditorEffectFactory)
    slicer.qSlicerSegmentEditorAbstractEffect = SimpleNamespace(**MODES)
    sys.modules.update({effects.__name__: effects, base.__name__: base})
