"""The 3-D view: surfaces of the segments, turned with the mouse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .pane import Pane, Send
from .pointer import PointerEvent

_BACKGROUND = (0.03, 0.04, 0.05)
# What has shrunk below this share of what the view was framed for is a speck in it.
_SPECK = 0.4

Bounds = tuple[float, ...]
"""Least and greatest x, y and z (RAS, mm)."""


class SurfacePane(Pane):
    """Draws no volumes: without a graphics card one such frame takes seconds."""

    def __init__(self, name: str, view: Any, send: Send) -> None:
        super().__init__(name, view, send)
        self._framed: Bounds | None = None
        self._turned = False
        view.render_window().SetAlphaBitPlanes(1)
        node = self.node
        node.SetBoxVisible(False)
        node.SetAxisLabelsVisible(False)
        node.SetBackgroundColor(*_BACKGROUND)
        node.SetBackgroundColor2(*_BACKGROUND)
        node.SetOrientationMarkerType(node.OrientationMarkerTypeAxes)
        node.SetOrientationMarkerSize(node.OrientationMarkerSizeSmall)

    @property
    def node(self) -> Any:
        """The view node."""
        return self.view.get_view_node()

    @property
    def renderer(self) -> Any:
        """Where surfaces are added."""
        return self.view.first_renderer()

    def fit(self) -> None:
        """Everything in view, seen from the front."""
        self.view.fit_view_to_content()
        self._turned = False

    def follow(self, bounds: Bounds | None) -> None:
        """Frame what is drawn now where it would be out of sight, or a speck; what a person turned stays turned.

        Other surfaces in another place, or the first ones, are framed in any case. Without any, `bounds` is None.
        """
        framed, self._framed = self._framed, bounds
        if bounds is None:
            return
        if framed is None or _apart(framed, bounds) or not (self._turned or _fits(framed, bounds)):
            self.fit()
        else:
            self._framed = framed

    def mouse(self, event: PointerEvent) -> None:
        """Turned, moved or zoomed by hand."""
        self._turned = self._turned or (event.pressed and event.kind == "move")
        super().mouse(event)

    def wheel(self, steps: float, event: Mapping[str, Any]) -> None:
        """Nearer or farther."""
        del event
        self._turned = True
        self.view.interactor().InvokeEvent("MouseWheelForwardEvent" if steps > 0 else "MouseWheelBackwardEvent")


def _apart(a: Bounds, b: Bounds) -> bool:
    return any(a[2 * axis + 1] < b[2 * axis] or b[2 * axis + 1] < a[2 * axis] for axis in range(3))


def _fits(framed: Bounds, bounds: Bounds) -> bool:
    """Inside of what was framed, and large enough there to be seen."""
    inside = all(
        framed[2 * axis] <= bounds[2 * axis] and bounds[2 * axis + 1] <= framed[2 * axis + 1] for axis in range(3)
    )
    return inside and _longest(bounds) >= _SPECK * _longest(framed)


def _longest(bounds: Bounds) -> float:
    return max(bounds[2 * axis + 1] - bounds[2 * axis] for axis in range(3))
