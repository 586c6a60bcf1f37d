"""The crosshair of the slice views, where the three of them meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def isCrosshairShown(scene: Any) -> bool:
    """True when the views draw it."""
    node = _node(scene)
    return node is not None and node.GetCrosshairMode() != node.NoCrosshair


def showCrosshair(scene: Any, shown: bool) -> None:
    """Let the views draw it, or not."""
    node = _node(scene)
    if node is not None:
        node.SetCrosshairMode(node.ShowBasic if shown else node.NoCrosshair)


def placeCrosshair(scene: Any, views: Sequence[Any]) -> None:
    """Move it to the point that slice nodes have in common; nothing happens where they have none, or a whole line."""
    node = _node(scene)
    planes = [(_column(view, 2), _column(view, 3)) for view in views]
    if node is None or len(planes) != 3:
        return
    normals = np.array([normal for normal, _origin in planes])
    if abs(np.linalg.det(normals)) < 1e-3:
        return
    place = np.linalg.solve(normals, [float(normal @ origin) for normal, origin in planes])
    if np.abs(place - node.GetCrosshairRAS()).max() > 1e-3:
        node.SetCrosshairRAS(*(float(value) for value in place))


def _node(scene: Any) -> Any:
    return scene.GetSingletonNode("default", "vtkMRMLCrosshairNode")


def _column(view: Any, number: int) -> Any:
    return np.array([view.GetSliceToRAS().GetElement(row, number) for row in range(3)])
