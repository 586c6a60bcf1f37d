"""Timers on the session's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class LoopTimer:
    """As a `QTimer`: `start` begins anew, and calls of a repeating one that were missed are not made up for."""

    def __init__(self, intervalMs: int, once: bool, function: Callable[[], None]) -> None:
        self._interval_s, self._once, self._function = intervalMs / 1000, once, function
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Call the function after the interval, counted from now."""
        self.stop()
        self._handle = asyncio.get_running_loop().call_later(self._interval_s, self._ring)

    def stop(self) -> None:
        """Do not call it any more."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None

    def isActive(self) -> bool:
        """True until it is stopped, or has called once where that is all it does."""
        return self._handle is not None

    def _ring(self) -> None:
        # Set before the call, which may stop the timer or start it anew.
        self._handle = None
        if not self._once:
            self.start()
        self._function()


def makeTimer(intervalMs: int, once: bool, function: Callable[[], None]) -> LoopTimer:
    """A stopped timer that calls `function`, once after each start or again and again."""
    return LoopTimer(intervalMs, once, function)
