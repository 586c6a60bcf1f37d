"""One view of the page: its window on the server, and what the page is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import vtk
from vtkmodules.util.numpy_support import vtk_to_numpy

from .frames import JPEG, Picture
from .pointer import LEFT, MIDDLE, PointerEvent, number

Send = Callable[[dict[str, Any]], None]
MOST_PIXELS = 1_200_000
"""A page on a screen with many pixels gets its frames a little smaller, and scales them up."""
_LEAST = 32
_BUTTONS = {LEFT: "LeftButton", MIDDLE: "MiddleButton"}


class Pane:
    """Around one view of trame-slicer; subclasses say what is special about slices and surfaces."""

    def __init__(self, name: str, view: Any, send: Send) -> None:
        self.name = name
        self.view = view
        self._send = send
        self._number = 0
        self._buffer = vtk.vtkUnsignedCharArray()
        self._last: Picture | None = None
        self._size: tuple[int, int] | None = None
        self._placed = False
        self.window.SetMultiSamples(0)

    @property
    def window(self) -> Any:
        """The view's render window."""
        return self.view.render_window()

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels; None until the page has said how large it is."""
        return self._size

    @property
    def shown(self) -> bool:
        """True while the page has a place for it."""
        return self._placed and self._size is not None

    def resize(self, message: Mapping[str, Any]) -> None:
        """The page has so much room (CSS pixels, and device pixels in each). Raises `UnusableMessage`."""
        width, height = number(message.get("w")), number(message.get("h"))
        ratio = min(max(number(message.get("ratio", 1)), 0.5), 4.0)
        self._placed = width >= _LEAST and height >= _LEAST
        # The page may be a new one, which knows no picture yet.
        self._last = None
        if not self._placed:
            return
        ratio = min(ratio, (MOST_PIXELS / (width * height)) ** 0.5)
        size = max(_LEAST, round(width * ratio)), max(_LEAST, round(height * ratio))
        if size != self._size:
            before, self._size = self._size, size
            self.view.interactor().UpdateSize(*size)
            self.resized(before)

    def resized(self, before: tuple[int, int] | None) -> None:
        """The window has another size now; `before` is None the first time."""

    def fit(self) -> None:
        """Everything in view."""

    def info(self) -> dict[str, Any]:
        """What the page writes beside the picture."""
        return {}

    def picture(self) -> Picture:
        """Draw the view as it is now."""
        self.window.Render()
        return self.pixels()

    def pixels(self) -> Picture:
        """What was drawn last."""
        width, height = self.window.GetSize()
        self.window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, self._buffer)
        return Picture(vtk_to_numpy(self._buffer).reshape(height, width, 4).copy())

    def draw(self) -> bool:
        """Draw and send; False when the page has this picture already."""
        picture = self.picture()
        if picture.same(self._last):
            # The numbers beside it may have changed all the same.
            self._send({"name": self.name, "info": self.info()})
            return False
        self._last = picture
        self._number += 1
        self._sendPicture(picture, sharp=False)
        return True

    def sharpen(self) -> None:
        """Send the last picture again, sharp."""
        if self._last is not None and self.shown:
            self._sendPicture(self._last, sharp=True)

    def mouse(self, event: PointerEvent) -> None:
        """Let Slicer's own interaction have an event."""
        x, y = (round(value) for value in event.point)
        interactor = self.view.interactor()
        interactor.SetEventInformation(x, y, int(event.ctrl), int(event.shift), "\0", 0, None)
        interactor.SetAltKey(int(event.alt))
        if event.kind == "leave":
            interactor.InvokeEvent("LeaveEvent")
            return
        interactor.InvokeEvent("MouseMoveEvent")
        if event.kind != "move":
            button = _BUTTONS.get(event.button, "RightButton")
            interactor.InvokeEvent(f"{button}{'Press' if event.kind == 'down' else 'Release'}Event")

    def wheel(self, steps: float, event: Mapping[str, Any]) -> None:
        """The wheel was turned; positive is away from the user."""
        raise NotImplementedError

    def _sendPicture(self, picture: Picture, sharp: bool) -> None:
        self._send(
            {
                "name": self.name,
                "number": self._number,
                "sharp": sharp,
                "w": picture.width,
                "h": picture.height,
                "type": JPEG,
                "bytes": picture.jpeg(sharp),
                "info": self.info(),
            }
        )


def unit(vector: Any) -> Any:
    """A vector of length 1."""
    return np.asarray(vector) / np.linalg.norm(vector)
