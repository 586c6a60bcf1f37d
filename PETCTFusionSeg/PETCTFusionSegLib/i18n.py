"""`_`: Slicer's translation (which finds its context by the caller's file); headless the text as it stands."""

from __future__ import annotations

import sys

__all__ = ["_"]

try:
    # In the desktop it is there already; elsewhere it has no translations, and importing it takes a second.
    if "slicer" not in sys.modules:
        raise ImportError
    from slicer.i18n import tr as _
except ImportError:

    def _(text: str) -> str:
        """The text itself."""
        return text
