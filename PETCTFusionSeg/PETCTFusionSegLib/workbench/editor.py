"""What the workbench asks of the editor in which a segmentation is drawn, and the node that both fronts keep for it."""

from __future__ import annotations

from typing import Any, Protocol

EDITOR_TAG = "PETCTFusionSegEditor"


def editorNode(scene: Any) -> Any:
    """Our own segment editor node of the scene, found or made; Slicer's module keeps another one."""
    node = scene.GetSingletonNode(EDITOR_TAG, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
        node.UnRegister(None)
        node.SetSingletonTag(EDITOR_TAG)
        node = scene.AddNode(node)
    return node


class Editor(Protocol):
    """Slicer's Segment Editor in the panel, the page's own tools in the browser."""

    def connectScene(self, scene: Any) -> None:
        """Find or make the editor's node in the scene; called again after a scene was closed."""

    def letGo(self) -> None:
        """Forget every node; the scene is closing."""

    def edit(self, segmentation: Any, sourceVolume: Any) -> None:
        """Show this segmentation, painted on this volume."""

    def segmentation(self) -> Any:
        """The segmentation that is edited, or None."""

    def working(self) -> bool:
        """True while a tool is active: the user is drawing."""

    def selectedSegmentId(self) -> str:
        """The segment that is selected; empty when none is."""

    def putAwayEffect(self) -> None:
        """No tool is active any more, so that a click into a view is nobody else's."""

    def saveStateForUndo(self) -> None:
        """Call before the segmentation is changed: `undo` comes back to now."""

    def undo(self) -> None:
        """Take back the last change, with whichever tool it was made."""

    def redo(self) -> None:
        """Do again what `undo` took back."""
