"""How contours are drawn: filled or as lines, in 3-D or not, and which segmentations at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def listedSegmentations(scene: Any) -> list[Any]:
    """The segmentations that a user may know of: what is hidden from editors, as an overlay is, is left out."""
    name = "vtkMRMLSegmentationNode"
    nodes = [scene.GetNthNodeByClass(number, name) for number in range(scene.GetNumberOfNodesByClass(name))]
    return [node for node in nodes if not node.GetHideFromEditors()]


def fillOpacity(nodes: Sequence[Any]) -> float:
    """How opaque segmentations are filled (0 to 1), the one that is filled most."""
    shown = [display.GetOpacity2DFill() for display in _displays(nodes) if display.GetVisibility2DFill()]
    return float(max(shown, default=0.0))


def outlineOpacity(nodes: Sequence[Any]) -> float:
    """How opaque the lines of segmentations are (0 to 1), the one whose are most."""
    shown = [display.GetOpacity2DOutline() for display in _displays(nodes) if display.GetVisibility2DOutline()]
    return float(max(shown, default=0.0))


def setFillOpacity(nodes: Sequence[Any], opacity: float) -> None:
    """Fill segmentations more or less opaquely; 0 leaves the lines."""
    for display in _displays(nodes):
        display.SetOpacity2DFill(opacity)
        display.SetVisibility2DFill(opacity > 0)


def setOutlineOpacity(nodes: Sequence[Any], opacity: float) -> None:
    """Draw the lines of segmentations more or less opaquely."""
    for display in _displays(nodes):
        display.SetOpacity2DOutline(opacity)
        display.SetVisibility2DOutline(opacity > 0)


def isShown(node: Any) -> bool:
    """True when a segmentation is drawn at all."""
    return node.GetDisplayNode() is not None and bool(node.GetDisplayNode().GetVisibility())


def setShown(node: Any, shown: bool) -> None:
    """Draw a segmentation in all views, or in none."""
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetVisibility(shown)


def isShownIn3d(nodes: Sequence[Any]) -> bool:
    """True when any segmentation has surfaces in the 3-D view."""
    return any(display.GetVisibility3D() for display in _displays(nodes))


def setShownIn3d(nodes: Sequence[Any], shown: bool) -> None:
    """Draw surfaces of segmentations in the 3-D view, or of none."""
    for display in _displays(nodes):
        display.SetVisibility3D(shown)


def _displays(nodes: Sequence[Any]) -> Iterator[Any]:
    return (node.GetDisplayNode() for node in nodes if node.GetDisplayNode() is not None)
