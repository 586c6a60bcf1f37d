"""The keys of the workbench: one list, from which the keyboard works and its help is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Binding:
    """A key (as `QKeySequence` writes it), what a person gets from it, and the function."""

    key: str
    what: str
    function: Callable[[], object]


class Keys:
    """Sections add their keys when they are made; who listens to the keyboard is up to the front."""

    reserved: frozenset[str] = frozenset()
    """Keys that have another owner."""

    def __init__(self) -> None:
        self.bindings: list[Binding] = []

    def add(self, key: str, what: str, function: Callable[[], object]) -> None:
        """Give a key a meaning; `what` is a short phrase for the help. A key that is taken is a `ValueError`."""
        if key in self.reserved:
            raise ValueError(f"the key {key} belongs to Slicer")
        if key in (binding.key for binding in self.bindings):
            raise ValueError(f"the key {key} has a meaning already")
        self.bindings.append(Binding(key, what, function))

    def rows(self) -> list[tuple[str, str]]:
        """Key and meaning, in the order in which they were added."""
        return [(binding.key, binding.what) for binding in self.bindings]
