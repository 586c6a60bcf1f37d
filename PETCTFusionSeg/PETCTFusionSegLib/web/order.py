"""What the gateway hands to a session's process on its standard input: one line, never on a command line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from .start import SessionStart

SECRET_HEADER = "X-PETCTFusion-Secret"
"""The gateway sends the order's secret with every request; the session answers nobody else."""


@dataclass(frozen=True)
class SessionOrder:
    """How a session is started, and what it may do."""

    start: SessionStart
    secret: str = field(repr=False)
    uploadBytes: int
    """The most that one upload may hold."""
    testing: bool = False
    """Tests may ask the session for what is in its scene."""

    def toJson(self) -> str:
        """One line."""
        values = {"secret": self.secret, "uploadBytes": self.uploadBytes, "testing": self.testing}
        return json.dumps({**values, "start": self.start.toJson()})

    @classmethod
    def fromJson(cls, text: str) -> SessionOrder:
        """The inverse of `toJson`."""
        given = json.loads(text)
        start = SessionStart.fromJson(given["start"])
        return cls(start, given["secret"], given["uploadBytes"], given["testing"])
