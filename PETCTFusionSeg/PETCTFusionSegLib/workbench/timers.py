"""What a timer does, wherever the event loop comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """As a `QTimer` with its interval and its function: stopped when it is made, and `start` begins anew."""

    def start(self) -> None:
        """Call the function after the interval, counted from now."""

    def stop(self) -> None:
        """Do not call it any more."""

    def isActive(self) -> bool:
        """True from `start` until `stop`, or until the function was called once where that is all it does."""


MakeTimer = Callable[[int, bool, Callable[[], None]], Timer]
"""Milliseconds, whether it calls once after each start or again and again, and the function: a stopped timer."""
