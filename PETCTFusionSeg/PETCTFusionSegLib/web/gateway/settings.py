"""How the gateway is run."""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass, field

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.web.start import SessionStart

_TOKEN = re.compile(r"[A-Za-z0-9_\-]{16,200}")


@dataclass(frozen=True)
class GatewaySettings:
    """Made once, by the command line or a test."""

    start: SessionStart
    """What every session begins with; each gets a folder of its own."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """Who has it may begin a session."""
    host: str = "127.0.0.1"
    port: int | None = None
    """None: the usual one, or a free one where that is taken. 0: a free one."""
    sessions: int = 4
    """The most sessions at a time."""
    idleS: float = 1800.0
    """A session without a connection ends after this many seconds."""
    uploadBytes: int = 2 << 30
    testing: bool = False
    program: tuple[str, ...] = ("-m", "PETCTFusionSegLib.web.process")
    """What Python runs as a session."""

    def __post_init__(self) -> None:
        """Refuse what cannot be safe or cannot work."""
        if _TOKEN.fullmatch(self.token) is None:
            raise BadInputError(
                _("The token cannot be used: it needs at least 16 letters, digits, _ or -."),
                _("Leave --token away: a good one is made."),
            )
        if self.sessions < 1 or self.idleS <= 0 or self.uploadBytes < 1:
            raise BadInputError(
                _("The number of sessions, the idle time and the upload limit must be positive."),
                _("Leave them away for the usual values."),
            )

    @property
    def isLocal(self) -> bool:
        """True when only this computer can connect."""
        return isLoopback(self.host)


def isLoopback(host: str) -> bool:
    """True for 127.0.0.1, ::1, localhost and the like."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
