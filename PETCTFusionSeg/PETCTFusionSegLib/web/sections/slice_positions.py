"""Where the slice views are: told at most a few times a second, so that scrolling stays fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import vtk

from PETCTFusionSegLib.workbench.bench import Workbench

Ras = tuple[float, float, float]
_PAUSE_MS = 100


class SlicePositions:
    """Observes the slice nodes of the scene; `moved` is called a little after one has moved."""

    def __init__(self, bench: Workbench, moved: Callable[[], None]) -> None:
        self._bench = bench
        self._moved = moved
        self._watched: list[tuple[Any, int]] = []
        self._timer = bench.makeTimer(_PAUSE_MS, True, moved)

    def watch(self) -> None:
        """Observe the views that there are now."""
        self.stop()
        scene = self._bench.scene
        name = "vtkMRMLSliceNode"
        nodes = [scene.GetNthNodeByClass(number, name) for number in range(scene.GetNumberOfNodesByClass(name))]
        self._watched = [(node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onMoved)) for node in nodes]

    def stop(self) -> None:
        """Observe nothing."""
        self._timer.stop()
        for node, tag in self._watched:
            node.RemoveObserver(tag)
        self._watched = []

    @property
    def nodes(self) -> list[Any]:
        """The slice nodes that are observed."""
        return [node for node, _tag in self._watched]

    def across(self, position_mm: Callable[[Ras], float]) -> float | None:
        """The position, along an axis, of the view that lies most across it; None without views.

        `position_mm` gives the position of a point (world RAS, mm) along that axis.
        """
        origin = position_mm((0.0, 0.0, 0.0))
        axis = np.array([position_mm((float(x), float(y), float(z))) - origin for x, y, z in np.eye(3)])
        best = max(self._watched, key=lambda one: abs(float(_column(one[0], 2) @ axis)), default=None)
        if best is None:
            return None
        x, y, z = (float(value) for value in _column(best[0], 3))
        return position_mm((x, y, z))

    def _onMoved(self, _caller: Any, _event: str) -> None:
        if not self._timer.isActive():
            self._timer.start()


def _column(node: Any, number: int) -> Any:
    return np.array([node.GetSliceToRAS().GetElement(row, number) for row in range(3)])
