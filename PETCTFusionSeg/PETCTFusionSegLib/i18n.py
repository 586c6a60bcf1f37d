"""`_`: Slicer's translation (which finds its context by the caller's file); headless the text as it stands."""

from __future__ import annotations

__all__ = ["_"]

try:
    from slicer.i18n import tr as _
except ImportError:  # slicer-core has no translations

    def _(text: str) -> str:
        """The text itself."""
        return text
