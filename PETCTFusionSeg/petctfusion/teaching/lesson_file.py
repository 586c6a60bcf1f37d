"""The instructor's file: JSON to a lesson. What it does not know is refused, with the nearest word it knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from petctfusion.errors import BadInputError
from petctfusion.phantom.settings import LesionSpec
from petctfusion.tables import did_you_mean, read_table
from petctfusion.teaching.lesson import Case, CaseFiles, Hint, Lesson, PassingMarks, PhantomCase, ShownWhen
from petctfusion.volumes.units import UNIT_CHOICES

EXAMPLE = Path(__file__).parents[1] / "resources" / "lessons" / "first_contours.json"
_LESSON_KEYS = ("title", "about", "show", "passing", "model", "cases")
_CASE_KEYS = ("title", "task", "phantom", "files", "hints", "show", "passing", "model")
_MOST_BYTES = 1 << 20
_Part = TypeVar("_Part")


def read_lesson(path: Path | None = None) -> Lesson:
    """The lesson in an instructor's file; without one, the lesson of the package.

    Files of a case are found relative to the instructor's file, and must be there. Raises `BadInputError`.
    """
    path = EXAMPLE if path is None else Path(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BadInputError(f"{path.name} is too large for a lesson.", "Choose the instructor's JSON file.")
        values = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_no_number)
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadInputError(f"The lesson {path.name} cannot be read: {reason}.", "Correct the JSON file.") from error
    return lesson_of(values, path.parent)


def lesson_of(values: Any, folder: Path) -> Lesson:
    """The lesson in the values of a JSON file that lies in `folder`. Raises `BadInputError`."""
    table = _object(values, "The lesson", _LESSON_KEYS)
    common = _Common(
        _part(ShownWhen(), table.get("show", {}), "The lesson's 'show'"),
        _part(PassingMarks(), table.get("passing", {}), "The lesson's 'passing'"),
        _text(table, "model", "The lesson"),
    )
    cases = _list(table, "cases", "The lesson")
    if not cases:
        raise BadInputError("The lesson has no cases.", 'Write them as a list: "cases": [{...}, {...}].')
    read = tuple(_case(value, f"Case {number}", common, folder) for number, value in enumerate(cases, start=1))
    return Lesson(_text(table, "title", "The lesson", True), _text(table, "about", "The lesson"), read)


@dataclass(frozen=True)
class _Common:
    """What the lesson says for all of its cases."""

    show: ShownWhen
    passing: PassingMarks
    model: str


def _case(value: Any, where: str, common: _Common, folder: Path) -> Case:
    table = _object(value, where, _CASE_KEYS)
    if ("phantom" in table) == ("files" in table):
        raise BadInputError(f"{where} needs either 'phantom' or 'files'.", "Say where its images come from.")
    return Case(
        title=_text(table, "title", where, True),
        task=_text(table, "task", where, True),
        source=_phantom(table["phantom"], where) if "phantom" in table else _files(table["files"], where, folder),
        hints=tuple(
            _made(Hint, {"text": one} if isinstance(one, str) else one, f"{where}, hint {number},")
            for number, one in enumerate(_list(table, "hints", where), start=1)
        ),
        show=_part(common.show, table.get("show", {}), f"{where}, 'show',"),
        passing=_part(common.passing, table.get("passing", {}), f"{where}, 'passing',"),
        model=_text(table, "model", where) or common.model,
    )


def _phantom(value: Any, where: str) -> PhantomCase:
    where = f"{where}, 'phantom',"
    table = dict(_object(value, where, None))
    lesions = _list(table, "lesions", where) if "lesions" in table else None
    table.pop("lesions", None)
    phantom = _made(PhantomCase, table, where)
    if lesions is None:
        return phantom
    specs = [_made(LesionSpec, one, f"{where} lesion {number},") for number, one in enumerate(lesions, start=1)]
    return _told(where, lambda: replace(phantom, lesions=tuple(specs)))


def _files(value: Any, where: str, folder: Path) -> CaseFiles:
    where = f"{where}, 'files',"
    table = _object(value, where, ("ct", "pet", "reference", "pet_units"))
    paths = {}
    for key in ("ct", "pet", "reference"):
        paths[key] = folder / _text(table, key, where, True)
        if not paths[key].exists():
            raise BadInputError(f"{where} names {table[key]}, which is not there.", "Give it relative to the lesson.")
    units = _text(table, "pet_units", where) or UNIT_CHOICES[0]
    if units not in UNIT_CHOICES:
        raise BadInputError(f"{where} does not know the unit {units!r}.", did_you_mean(units, UNIT_CHOICES))
    return CaseFiles(**paths, pet_units=units)


def _part(common: _Part, value: Any, where: str) -> _Part:
    """`common` with what a part of the file says otherwise."""
    said = _made(type(common), value, where)
    return replace(common, **{key: getattr(said, key) for key in value})  # type: ignore[type-var]


def _made(kind: type[_Part], value: Any, where: str) -> _Part:
    table = _object(value, where, None)
    return _told(where, lambda: read_table(kind, table, where))


def _told(where: str, make: Callable[[], _Part]) -> _Part:
    """What `make` makes; its own complaints name the place in the file."""
    try:
        return make()
    except BadInputError as error:
        if error.message.startswith(where):
            raise
        raise BadInputError(f"{where.rstrip(',')}: {error.message}", error.hint) from error


def _object(value: Any, where: str, known: tuple[str, ...] | None) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadInputError(f"{where.rstrip(',')} is not an object.", "Write it in braces: {...}.")
    unknown = sorted(set(value) - set(known)) if known is not None else []
    if unknown:
        raise BadInputError(f"{where} does not know {unknown[0]!r}.", did_you_mean(unknown[0], known or ()))
    return value


def _list(table: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = table.get(key, [])
    if not isinstance(value, list):
        raise BadInputError(f"{where} takes {key!r} as a list.", f'Write "{key}": [...].')
    return value


def _text(table: Mapping[str, Any], key: str, where: str, needed: bool = False) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise BadInputError(f"{where} takes {key!r} as text in quotes.", "Correct the value.")
    if needed and not value.strip():
        raise BadInputError(f"{where} lacks {key!r}.", f'Write "{key}": "...".')
    return value


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")
