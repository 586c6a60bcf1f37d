"""The circle around the mouse that shows how large the brush is."""

from __future__ import annotations

from typing import Any

import vtk

_SIDES = 48
_COLOUR = (0.9, 0.62, 0.0)


class BrushOutline:
    """A circle in each slice view that the mouse has been in; positions and lengths in screen pixels."""

    def __init__(self, scriptedEffect: Any) -> None:
        self._effect = scriptedEffect
        self._shown: dict[Any, tuple[Any, Any]] = {}

    def show(self, view: Any, xy: tuple[int, int], radius: float) -> None:
        """Draw the circle at a place of a slice view."""
        if view not in self._shown:
            self._shown[view] = _circle()
            self._effect.addActor2D(view, self._shown[view][1])
        source, actor = self._shown[view]
        source.SetCenter(float(xy[0]), float(xy[1]), 0.0)
        source.SetRadius(radius)
        actor.VisibilityOn()
        self._effect.scheduleRender(view)

    def hide(self, view: Any) -> None:
        """The mouse left this view."""
        if view in self._shown and self._shown[view][1].GetVisibility():
            self._shown[view][1].VisibilityOff()
            self._effect.scheduleRender(view)

    def clear(self) -> None:
        """Leave nothing in any view."""
        for view, (_source, actor) in self._shown.items():
            self._effect.removeActor2D(view, actor)
        self._shown.clear()


def _circle() -> tuple[Any, Any]:
    source = vtk.vtkRegularPolygonSource()
    source.SetNumberOfSides(_SIDES)
    source.GeneratePolygonOff()
    mapper = vtk.vtkPolyDataMapper2D()
    mapper.SetInputConnection(source.GetOutputPort())
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*_COLOUR)
    actor.GetProperty().SetLineWidth(2)
    return source, actor
