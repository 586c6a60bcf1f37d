"""Reads typed values out of a JSON object and names the field when one is missing or wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from petctfusion.errors import ModelError

T = TypeVar("T")
_HINT = "Correct the model card (model.json), or install the model again."


class Fields:
    """One JSON object with the path that leads to it; every method raises `ModelError` naming the field.

    `document` and `hint`: what the object is part of, and what to do when it is wrong.
    """

    def __init__(self, values: Any, path: str = "", document: str = "The model card", hint: str = _HINT) -> None:
        self.path, self.document, self.hint = path, document, hint
        if not isinstance(values, dict):
            raise self.error("", "is not an object")
        self.values: dict[str, Any] = values

    def error(self, name: str, problem: str) -> ModelError:
        """The error that says what is wrong with the field `name`."""
        where = ".".join(part for part in (self.path, name) if part)
        return ModelError(
            f"{self.document}'s field {where!r} {problem}." if where else f"{self.document} {problem}.", self.hint
        )

    def only(self, known: Iterable[str]) -> None:
        """Refuses names that this version of the software would silently ignore."""
        unknown = sorted(set(self.values) - set(known))
        if unknown:
            raise self.error(unknown[0], "is not known to this version")

    def value(self, name: str) -> Any:
        """The raw value."""
        if name not in self.values:
            raise self.error(name, "is missing")
        return self.values[name]

    def text(self, name: str, *, empty: bool = False) -> str:
        """A string, not blank unless `empty`."""
        value = self.value(name)
        if not isinstance(value, str) or not (empty or value.strip()):
            raise self.error(name, "is not a text" if not isinstance(value, str) else "is empty")
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.value(name)
        if not isinstance(value, bool):
            raise self.error(name, "is not true or false")
        return value

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number within [low, high]."""
        return self._number(name, self.value(name), low, high)

    def integer(self, name: str, low: float = -math.inf, high: float = math.inf) -> int:
        """A whole number within [low, high]."""
        return self._integer(name, self.value(name), low, high)

    def numbers(self, name: str, count: int, low: float = -math.inf, high: float = math.inf) -> tuple[float, ...]:
        """A list of exactly `count` finite numbers within [low, high]."""
        values = self._list(name, self.value(name), count)
        return tuple(self._number(name, value, low, high) for value in values)

    def integers(self, name: str, count: int, low: float = -math.inf, high: float = math.inf) -> tuple[int, ...]:
        """A list of exactly `count` whole numbers within [low, high]."""
        values = self._list(name, self.value(name), count)
        return tuple(self._integer(name, value, low, high) for value in values)

    def texts(self, name: str, *, at_least: int = 0) -> tuple[str, ...]:
        """A list of different, non-blank strings."""
        values = self._list(name, self.value(name))
        if len(values) < at_least or len({str(value) for value in values}) != len(values):
            raise self.error(name, "names nothing" if len(values) < at_least else "names something twice")
        if not all(isinstance(value, str) and value.strip() for value in values):
            raise self.error(name, "is not a list of texts")
        return tuple(values)

    def objects(self, name: str, read: Callable[[Fields], T], *, at_least: int = 0) -> tuple[T, ...]:
        """A list of objects, each read by `read`."""
        values = self._list(name, self.value(name))
        if len(values) < at_least:
            raise self.error(name, "is empty")
        return tuple(read(self._inner(value, f"{name}[{i}]")) for i, value in enumerate(values))

    def object(self, name: str) -> Fields:
        """A nested object."""
        return self._inner(self.value(name), name)

    def _inner(self, value: Any, name: str) -> Fields:
        return Fields(value, f"{self.path}.{name}" if self.path else name, self.document, self.hint)

    def _list(self, name: str, value: Any, count: int | None = None) -> list[Any]:
        if not isinstance(value, list) or (count is not None and len(value) != count):
            raise self.error(name, f"is not a list of {count}" if count is not None else "is not a list")
        return value

    def _number(self, name: str, value: Any, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise self.error(name, "is not a finite number")
        if not low <= value <= high:
            raise self.error(name, f"is {value}, outside [{low}, {high}]")
        return float(value)

    def _integer(self, name: str, value: Any, low: float, high: float) -> int:
        number = self._number(name, value, low, high)
        if number != int(number):
            raise self.error(name, f"is {value}, not a whole number")
        return int(number)
