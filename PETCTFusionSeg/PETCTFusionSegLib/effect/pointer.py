"""What the mouse does in a slice view while the effect is active."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import vtk

from .brush import Point
from .options import LEAST_MM, MOST_MM, EffectOptions, readOptions

if TYPE_CHECKING:
    from .fusion import FusionEffect

_WHEEL_STEP = 1.2
# Stamps lie closer than their own size, so that a stroke has no gaps, and not at every pixel.
_STAMPS_PER_DIAMETER = 8


class Pointer:
    """Paints with the brush, clicks with the click tools, and leaves everything else to the view."""

    def __init__(self, scriptedEffect: Any, fusion: FusionEffect) -> None:
        self._effect = scriptedEffect
        self._fusion = fusion
        self._painting = False
        self._last: Point = (0.0, 0.0, 0.0)

    def release(self) -> None:
        """Whatever button was pressed, it counts no more."""
        self._painting = False

    def event(self, interactor: Any, event: int, view: Any, point: Point) -> bool:
        """A mouse event at a world point (RAS mm); True when it was for the effect and for nobody else."""
        options = readOptions(self._effect)
        if options.tool == "brush":
            return self._brushEvent(interactor, event, view, point, options)
        if options.tool in ("add", "remove") and _pressed(interactor, event):
            self._fusion.click(point, options.tool == "add")
            return True
        return False

    def _brushEvent(self, interactor: Any, event: int, view: Any, point: Point, options: EffectOptions) -> bool:
        command, toRas = vtk.vtkCommand, self._effect.viewNode(view).GetXYToRAS()
        if event == command.LeaveEvent:
            self._fusion.outline.hide(view)
        elif event in (command.MouseWheelForwardEvent, command.MouseWheelBackwardEvent) and interactor.GetShiftKey():
            factor = _WHEEL_STEP if event == command.MouseWheelForwardEvent else 1 / _WHEEL_STEP
            diameterMm = min(max(options.diameterMm * factor, LEAST_MM), MOST_MM)
            self._effect.setParameter("DiameterMm", f"{diameterMm:.1f}")
            self._outline(interactor, view, toRas, diameterMm)
            return True
        elif _pressed(interactor, event):
            self._painting = bool(self._effect.confirmCurrentSegmentVisible()) and self._fusion.beginStroke()
            self._stamp(point, toRas, options)
            return True
        elif event == command.MouseMoveEvent:
            self._outline(interactor, view, toRas, options.diameterMm)
            if np.linalg.norm(np.subtract(point, self._last)) * _STAMPS_PER_DIAMETER >= options.diameterMm:
                self._stamp(point, toRas, options)
            return self._painting
        elif event == command.LeftButtonReleaseEvent and self._painting:
            self._painting = False
            return True
        return False

    def _stamp(self, point: Point, toRas: Any, options: EffectOptions) -> None:
        """Paint here; a stroke that fails ends, so that its sentence stays readable."""
        normal = (toRas.GetElement(0, 2), toRas.GetElement(1, 2), toRas.GetElement(2, 2))
        if self._painting:
            self._last = point
            self._painting = self._fusion.paint(point, normal if options.shape == "circle" else None)

    def _outline(self, interactor: Any, view: Any, toRas: Any, diameterMm: float) -> None:
        pixelMm = float(np.linalg.norm([toRas.GetElement(row, 0) for row in range(3)])) or 1.0
        self._fusion.outline.show(view, interactor.GetEventPosition(), diameterMm / 2 / pixelMm)


def _pressed(interactor: Any, event: int) -> bool:
    """The left button alone: with Shift, Ctrl or Alt it belongs to the view."""
    modified = interactor.GetShiftKey() or interactor.GetControlKey() or interactor.GetAltKey()
    return bool(event == vtk.vtkCommand.LeftButtonPressEvent and not modified)
