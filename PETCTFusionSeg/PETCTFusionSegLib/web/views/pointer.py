"""What the mouse does in a view, as the page tells it; checked, because anybody can send anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

Kind = Literal["down", "move", "up", "leave"]
Point = tuple[float, float]
LEFT, MIDDLE, RIGHT = 0, 1, 2
_MOST_POINTS = 500


class UnusableMessage(Exception):  # noqa: N818
    """Not what our page sends; it is ignored."""


@dataclass(frozen=True)
class PointerEvent:
    """`points` are where the pointer was since the last event, in pixels of the picture from its lower left corner."""

    kind: Kind
    points: tuple[Point, ...]
    button: int = LEFT
    pressed: bool = False
    """True while a button is held, after this event."""
    shift: bool = False
    ctrl: bool = False
    alt: bool = False

    @property
    def point(self) -> Point:
        """Where the pointer is now."""
        return self.points[-1]

    @property
    def modified(self) -> bool:
        """True with Shift, Ctrl or Alt: the event belongs to the view, not to a tool."""
        return self.shift or self.ctrl or self.alt

    @classmethod
    def fromPage(cls, message: Mapping[str, Any], height: int) -> PointerEvent:
        """Of a view of this height in pixels; the page counts rows from the top. Raises `UnusableMessage`."""
        kind, points = message.get("kind"), message.get("points")
        if kind not in get_args(Kind) or not isinstance(points, list) or not 0 < len(points) <= _MOST_POINTS:
            raise UnusableMessage("no pointer event")
        if not all(isinstance(one, list) and len(one) == 2 for one in points):
            raise UnusableMessage("no points")
        places = tuple((number(x), height - 1 - number(y)) for x, y in points)
        button = message.get("button", LEFT)
        flags = (bool(message.get(name)) for name in ("pressed", "shift", "ctrl", "alt"))
        return cls(cast(Kind, kind), places, button if button in (MIDDLE, RIGHT) else LEFT, *flags)


def number(value: Any, largest: float = 1e5) -> float:
    """A finite number within reason. Raises `UnusableMessage` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= largest:
        raise UnusableMessage(f"no number: {value!r}")
    return float(value)
