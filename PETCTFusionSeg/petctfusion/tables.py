"""Tables of plain values (TOML, JSON) into dataclasses that refuse what they do not know, naming the nearest known."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from petctfusion.errors import BadInputError

Settings = TypeVar("Settings")


def read_table(kind: type[Settings], values: Mapping[str, Any], where: str) -> Settings:
    """`values` as the dataclass `kind`; a field that is a dataclass itself is a table inside the table.

    `where` names the table in a message. Whole numbers are taken for fractions, lists for tuples. Raises
    `BadInputError` for unknown or missing keys and for values of another type.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise BadInputError(f"{where} does not know {', '.join(unknown)}.", did_you_mean(unknown[0], fields))
    missing = sorted(name for name, f in fields.items() if is_required(f) and name not in values)
    if missing:
        raise BadInputError(f"{where} lacks {', '.join(missing)}.", "Add what is missing.")
    hints = typing.get_type_hints(kind)
    return kind(**{name: _converted(hints[name], value, where, name) for name, value in values.items()})


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint for a word that is not one of `known`."""
    names = list(known)
    near = difflib.get_close_matches(word, names, 1) or [name for name in names if word and name.startswith(word)]
    return f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(names)}."


def is_required(f: dataclasses.Field[Any]) -> bool:
    """Whether a dataclass cannot be made without this field."""
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def _converted(hint: Any, value: Any, where: str, name: str) -> Any:
    # A table that may be missing.
    hint = next((part for part in typing.get_args(hint) if dataclasses.is_dataclass(part)), hint)
    if dataclasses.is_dataclass(hint):
        if isinstance(value, typing.cast("type[Any]", hint)):
            return value
        if isinstance(value, Mapping):
            return read_table(typing.cast("type[Any]", hint), value, f"{where}, table [{name}],")
        raise BadInputError(f"{where} takes {name} as a table, got {value!r}.", f"Write [{name}] on a line of its own.")
    try:
        return _value(hint, value)
    except TypeError as error:
        raise BadInputError(f"{where} takes {error} for {name}, got {value!r}.", "Correct the value.") from None


def _value(hint: Any, value: Any) -> Any:
    """`value` as `hint`. Raises `TypeError` that says in words what is taken."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _value(next(part for part in inner if part is not type(None)), value)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise TypeError("a table")
        return {str(key): _value(inner[1], one) for key, one in value.items()}
    if origin is tuple:
        return _tuple(inner, value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        words = {float: "a number", int: "a whole number", bool: "true or false", str: "text in quotes"}
        raise TypeError(words[hint])
    return value


def _tuple(inner: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    words = {float: "numbers", int: "whole numbers", str: "texts in quotes"}[inner[0]]
    length = None if Ellipsis in inner else len(inner)
    if not isinstance(value, (list, tuple)) or (length is not None and len(value) != length):
        raise TypeError(f"a list of {words}" if length is None else f"a list of {length} {words}")
    try:
        return tuple(_value(inner[0], one) for one in value)
    except TypeError:
        raise TypeError(f"a list of {words}") from None
