"""The module's keys: one list, from which the keyboard works and its help is shown. Active while the module is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Binding:
    """A key (as `QKeySequence` reads it), what a person gets from it, and the function."""

    key: str
    what: str
    function: Callable[[], object]


class Shortcuts:
    """Sections add their keys when they are made; the keys work between `activate` and `deactivate`."""

    def __init__(self) -> None:
        self.bindings: list[Binding] = []
        self._window: Any = None
        self._active: list[Any] = []

    def add(self, key: str, what: str, function: Callable[[], object]) -> None:
        """Give a key a meaning; `what` is a short phrase for the help. A key that is taken is a `ValueError`."""
        if key in RESERVED:
            raise ValueError(f"the key {key} belongs to Slicer")
        if key in (binding.key for binding in self.bindings):
            raise ValueError(f"the key {key} has a meaning already")
        self.bindings.append(Binding(key, what, function))
        if self._window is not None:
            self._install(self.bindings[-1])

    def rows(self) -> list[tuple[str, str]]:
        """Key and meaning, in the order in which they were added."""
        return [(binding.key, binding.what) for binding in self.bindings]

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
