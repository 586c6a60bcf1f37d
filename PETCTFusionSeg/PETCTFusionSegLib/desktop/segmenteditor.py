"""The embedded Segment Editor with a parameter node of its own, which leaves the Segment Editor module alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PETCTFusionSegLib.workbench.editor import editorNode

UNDO_STATES = 20


class EmbeddedEditor:
    """Wires a `qMRMLSegmentEditorWidget` to its node and tells when another segmentation is edited."""

    def __init__(self, widget: Any, changed: Callable[[], None]) -> None:
        self._widget = widget
        self._changed = changed
        self._node: Any = None
        self._tag = 0
        self._last: Any = None
        widget.setMaximumNumberOfUndoStates(UNDO_STATES)

    def connectScene(self, scene: Any) -> None:
        """Find or make the editor's node in the scene; called again after a scene was closed."""
        import vtk

        self.letGo()
        node = editorNode(scene)
        self._node = node
        self._widget.setMRMLSegmentEditorNode(node)
        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onModified)

    def letGo(self) -> None:
        """Forget the node; the scene is closing or the module goes."""
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
            self._widget.setMRMLSegmentEditorNode(None)
        self._node = None
        self._last = None

    def edit(self, segmentation: Any, sourceVolume: Any) -> None:
        """Show this segmentation, painted on this volume."""
        if self._node is None:
            return
        self._widget.setSegmentationNode(segmentation)
        self._widget.setSourceVolumeNode(sourceVolume)

    def segmentation(self) -> Any:
        """The segmentation that is edited, or None."""
        return self._node.GetSegmentationNode() if self._node is not None else None

    def working(self) -> bool:
        """True while an effect is active: the user is drawing."""
        return self._node is not None and bool(self._node.GetActiveEffectName())

    def selectedSegmentId(self) -> str:
        """The segment that is selected in the editor's table; empty when none is."""
        return str(self._node.GetSelectedSegmentID() or "") if self._node is not None else ""

    def putAwayEffect(self) -> None:
        """No effect is active any more, so that a click into a view is nobody else's."""
        if self._node is not None:
            self._widget.setActiveEffect(None)

    def saveStateForUndo(self) -> None:
        """Call before the segmentation is changed: `undo` and the editor's own button come back to now."""
        if self.segmentation() is not None:
            self._widget.saveStateForUndo()

    def undo(self) -> None:
        """Take back the last change, with whichever tool it was made."""
        if self.segmentation() is not None:
            self._widget.undo()

    def redo(self) -> None:
        """Do again what `undo` took back."""
        if self.segmentation() is not None:
            self._widget.redo()

    def enter(self) -> None:
        """The module became visible: effects may listen to the views."""
        self._widget.setupViewObservations()
        self._widget.installKeyboardShortcuts()

    def exit(self) -> None:
        """The module is left: no effect stays active behind the user's back."""
        self.putAwayEffect()
        self._widget.uninstallKeyboardShortcuts()
        self._widget.removeViewObservations()

    def _onModified(self, _caller: Any, _event: str) -> None:
        current = self.segmentation()
        if current is not self._last:
            self._last = current
            self._changed()
