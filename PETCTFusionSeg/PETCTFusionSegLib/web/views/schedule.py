"""Which view is drawn when: at once while there is nothing else to do, the one in the user's hand before all others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

QUIET_S = 0.15
"""Other views wait until the one in the user's hand has had no event for so long, so that its frames come first."""
REST_S = 0.25
"""After so long without a new frame the last one is sent again, sharp."""
ANSWER_S = 1.0
"""A page that has not confirmed a frame for so long gets the next one all the same."""
_UNDER_WAY = 2


class Drawn(Protocol):
    """What a view lets the schedule do with it."""

    @property
    def shown(self) -> bool:
        """False while it has no place in the page."""

    def draw(self) -> bool:
        """Draw and send; False when the picture is the one that the page has."""

    def sharpen(self) -> None:
        """Send the last picture again, sharp."""


class _Turn:
    """What is known of one view."""

    def __init__(self) -> None:
        self.changed = False
        self.underWay = 0
        self.sentAt = 0.0
        self.sharpenAt: float | None = None


class FrameSchedule:
    """Lives on the event loop. Changes that come faster than frames are drawn become one frame."""

    def __init__(self, now: Callable[[], float] | None = None) -> None:
        self._turns: dict[Drawn, _Turn] = {}
        self._now = now or (lambda: asyncio.get_running_loop().time())
        self._inHand: Drawn | None = None
        self._inHandUntil = 0.0
        self._next: asyncio.Handle | None = None
        self._nextAt = 0.0
        self._stopped = False

    def add(self, view: Drawn) -> None:
        """Take care of a view."""
        self._turns[view] = _Turn()

    def changed(self, view: Drawn) -> None:
        """Something in the view looks different now."""
        self._turns[view].changed = True
        self._wake()

    def inHand(self, view: Drawn) -> None:
        """The user acts in this view."""
        self._inHand, self._inHandUntil = view, self._now() + QUIET_S

    def arrived(self, view: Drawn) -> None:
        """The page shows a frame of the view."""
        turn = self._turns[view]
        turn.underWay = max(0, turn.underWay - 1)
        if turn.changed:
            self._wake()

    def restart(self, view: Drawn) -> None:
        """The page knows nothing of the view: it was loaded, or the view came back into it."""
        self._turns[view].underWay = 0
        self.changed(view)

    def stop(self) -> None:
        """Draw nothing any more."""
        if self._next is not None:
            self._next.cancel()
        self._next, self._stopped = None, True

    def _wake(self, at: float = 0.0) -> None:
        """Look at the views at a time of the loop, at once by default; a nearer appointment stays."""
        try:
            loop: Any = asyncio.get_running_loop()
        except RuntimeError:
            # Before the server runs nobody looks; the page's first message wakes this again.
            return
        if self._stopped:
            return
        if self._next is not None:
            if self._nextAt <= at:
                return
            self._next.cancel()
        self._nextAt = at
        self._next = loop.call_soon(self._turn) if at <= self._now() else loop.call_at(at, self._turn)

    def _turn(self) -> None:
        self._next = None
        now = self._now()
        view = self._due(now)
        try:
            if view is not None:
                self._draw(view, self._turns[view])
        finally:
            # A view that fails must not keep the others from being drawn.
            self._appoint(now)

    def _appoint(self, now: float) -> None:
        later = [self._nextTime(one, turn, now) for one, turn in self._turns.items() if one.shown]
        appointments = [time for time in later if time is not None]
        if appointments:
            self._wake(min(appointments))

    def _due(self, now: float) -> Drawn | None:
        due = [one for one, turn in self._turns.items() if one.shown and turn.changed and self._ready(one, turn) <= now]
        return self._inHand if self._inHand in due else next(iter(due), None)

    def _draw(self, view: Drawn, turn: _Turn) -> None:
        turn.changed = False
        if view.draw():
            now = self._now()
            turn.underWay = min(turn.underWay + 1, _UNDER_WAY)
            turn.sentAt, turn.sharpenAt = now, now + REST_S

    def _ready(self, view: Drawn, turn: _Turn) -> float:
        """When a changed view may be drawn."""
        free = turn.sentAt + ANSWER_S if turn.underWay >= _UNDER_WAY else 0.0
        return free if view is self._inHand else max(free, self._inHandUntil)

    def _nextTime(self, view: Drawn, turn: _Turn, now: float) -> float | None:
        if turn.changed:
            return self._ready(view, turn)
        if turn.sharpenAt is None:
            return None
        if turn.sharpenAt > now:
            return turn.sharpenAt
        turn.sharpenAt = None
        view.sharpen()
        return None
