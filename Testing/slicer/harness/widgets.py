"""Stand-ins for the Slicer widgets that the module's .ui file names, over the real scene and the real editor logic."""

# ruff: noqa: N801 - the classes have Slicer's own names.
from __future__ import annotations

from typing import Any

import slicer
from PySide6.QtCore import Property, Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QFrame, QGroupBox, QLabel, QToolButton, QVBoxLayout, QWidget

from .effects import EditorEffects


class ctkCollapsibleButton(QWidget):
    """A button above its children that shows and hides them."""

    contentsCollapsed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._collapsed = False
        self._button = QToolButton(self)
        self._button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._button.setStyleSheet("QToolButton { border: none; background: #d8dce2; font-weight: bold; }")
        self._button.clicked.connect(lambda: self._setCollapsed(not self._collapsed))
        self._showArrow()

    def resizeEvent(self, event: Any) -> None:
        """Keep the button as wide as the widget; contents lie below it."""
        self._button.setFixedSize(self.width(), 24)
        self.setContentsMargins(0, 26, 0, 0)
        super().resizeEvent(event)

    def _showArrow(self) -> None:
        self._button.setArrowType(Qt.ArrowType.RightArrow if self._collapsed else Qt.ArrowType.DownArrow)

    def _text(self) -> str:
        return self._button.text()

    def _setText(self, text: str) -> None:
        self._button.setText(text)

    def _getCollapsed(self) -> bool:
        return self._collapsed

    def _setCollapsed(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        for child in self.children():
            if isinstance(child, QWidget) and child is not self._button:
                child.setVisible(not collapsed)
        self.setMaximumHeight(26 if collapsed else 16777215)
        self._showArrow()
        self.contentsCollapsed.emit(collapsed)

    text = Property(str, _text, _setText)
    collapsed = Property(bool, _getCollapsed, _setCollapsed)


class ctkCollapsibleGroupBox(QGroupBox):
    """A group box that can be folded."""

    def _getCollapsed(self) -> bool:
        return self.isCheckable() and not self.isChecked()

    def _setCollapsed(self, collapsed: bool) -> None:
        self.setCheckable(True)
        self.setChecked(not collapsed)

    collapsed = Property(bool, _getCollapsed, _setCollapsed)


class qMRMLWidget(QWidget):
    """Holds a scene and tells the widgets connected to it."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


def _flag(name: str, kind: type) -> Any:
    """A property that is kept in the widget's `_flags`."""

    def read(self: Any) -> Any:
        return self._flags.get(name, kind())

    def write(self: Any, value: Any) -> None:
        self._flags[name] = value
        self._refresh()

    return Property(kind, read, write)


class qMRMLNodeComboBox(QComboBox):
    """Lists the nodes of a scene by class; follows nodes that come, go and change their name."""

    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._tags: list[int] = []
        self._nodeTypes: list[str] = []
        self._flags: dict[str, Any] = {}
        self._current: str = ""
        self.currentIndexChanged.connect(self._picked)

    def setMRMLScene(self, scene: Any) -> None:
        if self._scene is not None:
            for tag in self._tags:
                self._scene.RemoveObserver(tag)
        self._tags = []
        self._scene = scene
        if scene is not None:
            for event in ("NodeAddedEvent", "NodeRemovedEvent", "EndCloseEvent", "EndBatchProcessEvent"):
                number = getattr(slicer.vtkMRMLScene, event)
                self._tags.append(scene.AddObserver(number, lambda *_unused: self._refresh()))
        self._refresh()

    def mrmlScene(self) -> Any:
        return self._scene

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._current) if self._scene is not None and self._current else None

    def setCurrentNode(self, node: Any) -> None:
        self._setCurrentID(node.GetID() if node is not None else "")

    def addNode(self) -> Any:
        node = self._scene.AddNewNodeByClass(self._nodeTypes[0], self._flags.get("baseName", ""))
        if self._flags.get("selectNodeUponCreation", True):
            self.setCurrentNode(node)
        return node

    def _refresh(self) -> None:
        nodes = []
        if self._scene is not None and not self._scene.IsClosing():
            for className in self._nodeTypes:
                nodes += [node for node in slicer.util.getNodesByClass(className, self._scene) if self._shown(node)]
        self.blockSignals(True)
        self.clear()
        if self._flags.get("noneEnabled", False):
            self.addItem(self._flags.get("noneDisplay", "None"), "")
        for node in nodes:
            self.addItem(node.GetName(), node.GetID())
        known = self.findData(self._current)
        position = known if known >= 0 else (0 if self.count() else -1)
        self.setCurrentIndex(position)
        self.blockSignals(False)
        self._picked()

    def _shown(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self._flags.get("showHidden", False):
            return False
        return self._flags.get("showChildNodeTypes", True) or node.GetClassName() in self._nodeTypes

    def _picked(self, *_unused: Any) -> None:
        chosen = self.currentData() or ""
        if chosen != self._current:
            self._current = chosen
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(chosen)

    def _getCurrentID(self) -> str:
        return self._current

    def _setCurrentID(self, nodeId: str) -> None:
        position = self.findData(nodeId or "")
        self.setCurrentIndex(position)

    def _getTypes(self) -> list[str]:
        return self._nodeTypes

    def _setTypes(self, types: list[str]) -> None:
        self._nodeTypes = list(types)
        self._refresh()

    currentNodeID = Property(str, _getCurrentID, _setCurrentID, notify=currentNodeIDChanged)
    nodeTypes = Property("QStringList", _getTypes, _setTypes)
    noneEnabled = _flag("noneEnabled", bool)
    addEnabled = _flag("addEnabled", bool)
    removeEnabled = _flag("removeEnabled", bool)
    renameEnabled = _flag("renameEnabled", bool)
    editEnabled = _flag("editEnabled", bool)
    showHidden = _flag("showHidden", bool)
    showChildNodeTypes = _flag("showChildNodeTypes", bool)
    selectNodeUponCreation = _flag("selectNodeUponCreation", bool)
    noneDisplay = _flag("noneDisplay", str)
    baseName = _flag("baseName", str)


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """Selectors of the Segment Editor over the real editor node and logic; its effects' own interface is absent."""

    segmentationNodeChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.calls: list[str] = []
        self._node: Any = None
        self._undoStates = 0
        self._flags: dict[str, bool] = {}
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        frame = QFrame(self)
        frame.setFrameShape(QFrame.Shape.StyledPanel)
        frame.setMinimumHeight(110)
        inner = QVBoxLayout(frame)
        self._title = QLabel("Segment Editor (stand-in): no segmentation", frame)
        inner.addWidget(self._title)
        box.addWidget(frame)
        self._effects = EditorEffects(self, self.logic)

    def setMRMLScene(self, scene: Any) -> None:
        super().setMRMLScene(scene)
        self.logic.SetMRMLScene(scene)

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self._node = node
        self.logic.SetSegmentEditorNode(node)
        self._effects.setNode(node)
        self.updateWidgetFromMRML()

    def mrmlSegmentEditorNode(self) -> Any:
        return self._node

    def setSegmentationNode(self, node: Any) -> None:
        if self._node is None:
            raise RuntimeError("a segmentation was set before the segment editor node")
        if node is not self._node.GetSegmentationNode():
            self.setActiveEffect(None)
        self._node.SetAndObserveSegmentationNode(node)
        if node is not None and node.GetSegmentation().GetNumberOfSegments():
            self._node.SetSelectedSegmentID(node.GetSegmentation().GetNthSegmentID(0))
        self.updateWidgetFromMRML()
        self.segmentationNodeChanged.emit(node)

    def segmentationNode(self) -> Any:
        return self._node.GetSegmentationNode() if self._node is not None else None

    def setSourceVolumeNode(self, node: Any) -> None:
        self._node.SetAndObserveSourceVolumeNode(node)

    def sourceVolumeNode(self) -> Any:
        return self._node.GetSourceVolumeNode() if self._node is not None else None

    def setCurrentSegmentID(self, segmentId: str) -> None:
        self._node.SetSelectedSegmentID(segmentId)

    def currentSegmentID(self) -> str:
        return str(self._node.GetSelectedSegmentID() or "")

    def setActiveEffect(self, effect: Any) -> None:
        self._node.SetActiveEffectName("" if effect is None else effect.name)

    def activeEffect(self) -> Any:
        return self._effects.active

    def effectByName(self, name: str) -> Any:
        return self._effects.byName(name)

    def setActiveEffectByName(self, name: str) -> None:
        self._node.SetActiveEffectName(name)

    def setMaximumNumberOfUndoStates(self, count: int) -> None:
        self._undoStates = count
        self.logic.SetMaximumNumberOfUndoStates(count)

    def setupViewObservations(self) -> None:
        self.calls.append("setupViewObservations")

    def removeViewObservations(self) -> None:
        self.calls.append("removeViewObservations")

    def installKeyboardShortcuts(self) -> None:
        self.calls.append("installKeyboardShortcuts")

    def uninstallKeyboardShortcuts(self) -> None:
        self.calls.append("uninstallKeyboardShortcuts")

    def updateWidgetFromMRML(self) -> None:
        node = self.segmentationNode()
        if node is None:
            self._title.setText("Segment Editor (stand-in): no segmentation")
            return
        segmentation = node.GetSegmentation()
        names = [segmentation.GetNthSegment(i).GetName() for i in range(segmentation.GetNumberOfSegments())]
        self._title.setText(f"Segment Editor (stand-in)\n{node.GetName()}: {', '.join(names)}")

    @Slot()
    def saveStateForUndo(self) -> None:
        self.logic.SaveStateForUndo()

    @Slot()
    def undo(self) -> None:
        self.logic.Undo()

    @Slot()
    def redo(self) -> None:
        self.logic.Redo()


STAND_INS = (ctkCollapsibleButton, ctkCollapsibleGroupBox, qMRMLWidget, qMRMLNodeComboBox, qMRMLSegmentEditorWidget)
