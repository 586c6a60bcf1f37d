"""The module's keys in the application's window, active while the module is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PETCTFusionSegLib.workbench.keys import Binding, Keys

_DIGITS = "0123456789"
RESERVED = frozenset(
    (
        # The Segment Editor: effects, undo and redo, previous and next segment, intensity mask.
        *_DIGITS,
        *(f"Shift+{digit}" for digit in _DIGITS),
        *("Esc", "Space", "Z", "Y", "Ctrl+Z", "Ctrl+Y", "Ctrl+Shift+Z", "Q", "W", "/", "*", ",", ".", ">", "<", "I"),
        # Slice and 3-D views, and markups under the mouse.
        *("B", "F", "V", "R", "G", "T", "[", "]", "{", "}", "+", "-", "S", "Del", "Backspace", "Shift+Del"),
        *("Left", "Right", "Up", "Down", "Shift+Left", "Shift+Right", "Shift+Up", "Shift+Down", "Ctrl+B"),
        *("Home", "End", "PgUp", "PgDown", "Ins", "Shift+Home", "Shift+End", "Shift+PgDown"),
        # The application.
        *(f"Ctrl+{key}" for key in "FOSWH012345`"),
    )
)
"""Keys of Slicer itself, which a module must not take: two owners of a key in one window silence both."""


class Shortcuts(Keys):
    """The keys work between `activate` and `deactivate`."""

    reserved = RESERVED

    def __init__(self) -> None:
        super().__init__()
        self._window: Any = None
        self._active: list[Any] = []

    def add(self, key: str, what: str, function: Callable[[], object]) -> None:
        """As for all keys; it works at once when the module is open."""
        super().add(key, what, function)
        if self._window is not None:
            self._install(self.bindings[-1])

    def activate(self, window: Any) -> None:
        """Listen in a window, as long as the module is the one in it."""
        self.deactivate()
        self._window = window
        for binding in self.bindings:
            self._install(binding)

    def deactivate(self) -> None:
        """Leave the keys to others."""
        for shortcut in self._active:
            shortcut.enabled = False
            shortcut.deleteLater()
        self._active = []
        self._window = None

    def _install(self, binding: Binding) -> None:
        import qt

        shortcut = qt.QShortcut(qt.QKeySequence(binding.key), self._window)
        shortcut.connect("activated()", binding.function)
        self._active.append(shortcut)
