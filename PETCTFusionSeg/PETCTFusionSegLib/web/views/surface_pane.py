"""The 3-D view: surfaces of the segments, turned with the mouse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .pane import Pane, Send

_BACKGROUND = (0.03, 0.04, 0.05)


class SurfacePane(Pane):
    """Draws no volumes: without a graphics card one such frame takes seconds."""

    def __init__(self, name: str, view: Any, send: Send) -> None:
        super().__init__(name, view, send)
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

    def wheel(self, steps: float, event: Mapping[str, Any]) -> None:
        """Nearer or farther."""
        del event
        self.view.interactor().InvokeEvent("MouseWheelForwardEvent" if steps > 0 else "MouseWheelBackwardEvent")
