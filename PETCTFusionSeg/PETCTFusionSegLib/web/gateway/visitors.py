"""The visitors and their sessions: one process each, at most so many, ended when nobody is connected for long."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from dataclasses import dataclass, field

from petctfusion.errors import DeviceError
from PETCTFusionSegLib.i18n import _

from .child import SessionProcess
from .settings import GatewaySettings

_MOST_REMEMBERED = 1000


@dataclass
class Visitor:
    """One browser; `name` is the value of its cookie."""

    name: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    session: SessionProcess | None = None
    connections: int = 0
    lastSeen: float = field(default_factory=time.monotonic)

    @property
    def isRunning(self) -> bool:
        """True while its session lives or starts."""
        return self.session is not None and not self.session.ended.is_set()


class Visitors:
    """Everybody who came with the token since the gateway started."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._known: dict[str, Visitor] = {}
        self._watch = asyncio.create_task(self._endIdle())

    def find(self, name: str) -> Visitor | None:
        """The visitor with this cookie."""
        visitor = self._known.get(name)
        if visitor is not None:
            visitor.lastSeen = time.monotonic()
        return visitor

    def admit(self) -> Visitor:
        """A new one."""
        visitor = Visitor()
        self._known[visitor.name] = visitor
        for name in list(self._known)[: max(0, len(self._known) - _MOST_REMEMBERED)]:
            if not self._known[name].isRunning:
                del self._known[name]
        return visitor

    def begin(self, visitor: Visitor) -> None:
        """Start a session for the visitor who has none. Raises `DeviceError` when there are too many already."""
        if visitor.isRunning:
            return
        if sum(other.isRunning for other in self._known.values()) >= self._settings.sessions:
            raise DeviceError(
                _("All {n} sessions of this server are in use.").format(n=self._settings.sessions),
                _("Try again when somebody has closed the page, or start the server with more --sessions."),
            )
        visitor.lastSeen = time.monotonic()
        visitor.session = SessionProcess(self._settings)

    async def close(self) -> None:
        """End every session and remove its files."""
        self._watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watch
        farewell = _("The server has been stopped.")
        sessions = [visitor.session for visitor in self._known.values() if visitor.session is not None]
        await asyncio.gather(*(session.close(farewell) for session in sessions))

    async def _endIdle(self) -> None:
        farewell = _("The session was ended because nobody had been connected for {n} minutes.")
        minutes = f"{self._settings.idleS / 60:.3g}"
        while True:
            await asyncio.sleep(min(10.0, self._settings.idleS / 4))
            since = time.monotonic() - self._settings.idleS
            for visitor in list(self._known.values()):
                idle = visitor.connections == 0 and visitor.lastSeen < since
                if idle and visitor.isRunning and visitor.session is not None:
                    await visitor.session.close(farewell.format(n=minutes))
