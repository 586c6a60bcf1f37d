"""A study: one question, a recipe, and rows that each change one thing of it; a short TOML file. No torch here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from petctfusion.errors import BadInputError
from petctfusion.training.settings import did_you_mean, read_table, read_toml, toml_names

if TYPE_CHECKING:
    from petctfusion.training.benchmark.recipe_system import RecipeSystem

_STUDIES = Path(__file__).parents[1] / "ablations"
_NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")


@dataclass(frozen=True)
class AblationRow:
    """One line of the study's table. `pretraining`: the recipe of the encoders that it begins with, "" for none.

    `changes`: what is laid over the study's recipe, key by key.
    """

    name: str
    title: str
    pretraining: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ablation:
    """`recipe` is what the rows change; the others are compared with the first."""

    name: str
    question: str
    recipe: str
    rows: tuple[AblationRow, ...]

    def entries(self, names: Sequence[str] = ()) -> list[AblationEntry]:
        """The rows of these names, or all, in the study's order. Raises `BadInputError`."""
        known = [row.name for row in self.rows]
        for name in names:
            if name not in known:
                raise BadInputError(f"The study {self.name} has no row {name!r}.", did_you_mean(name, known))
        return [AblationEntry(self, row) for row in self.rows if not names or row.name in names]


@dataclass(frozen=True)
class AblationEntry:
    """A row as the campaign trains it (`systems.Candidate`)."""

    study: Ablation
    row: AblationRow

    @property
    def name(self) -> str:
        """The name of its result and of its folder."""
        return f"{self.study.name}-{self.row.name}"

    @property
    def title(self) -> str:
        """What a reader of the table sees."""
        return self.row.title

    @property
    def option(self) -> str:
        """Option and value."""
        return f"--row {self.row.name}"

    def system(self) -> RecipeSystem:
        """What is trained."""
        from petctfusion.training.benchmark.recipe_system import RecipeSystem

        named = {"name": self.name.replace("_", "-"), "title": f"{self.study.name}: {self.row.title}"}
        return RecipeSystem(
            self.name, self.title, self.study.recipe, {**self.row.changes, **named}, self.row.pretraining
        )


@dataclass(frozen=True)
class _Head:
    question: str
    recipe: str


@dataclass(frozen=True)
class _RowHead:
    name: str
    title: str
    pretraining: str = ""


def read_ablation(name_or_path: str) -> Ablation:
    """A study of the package by name, or a TOML file. Raises `BadInputError`."""
    path, values = read_toml(name_or_path, _STUDIES, "study")
    where = f"The study {path.name}"
    tables = values.pop("row", None)
    head = read_table(_Head, values, where)
    if not isinstance(tables, list) or len(tables) < 2 or not all(isinstance(table, dict) for table in tables):
        raise BadInputError(f"{where} needs two rows or more.", "Write each under [[row]], the first to compare with.")
    rows = tuple(_row(table, f"{where}, row {number},") for number, table in enumerate(tables, start=1))
    names = [row.name for row in rows]
    for name in (path.stem, *names):
        if not _NAME.fullmatch(name) or names.count(name) > 1:
            raise BadInputError(
                f"{where} cannot use the name {name!r}.", "Names are small letters, digits and hyphens, each once."
            )
    return Ablation(path.stem, head.question, head.recipe, rows)


def ablation_names() -> list[str]:
    """Names of the studies of the package."""
    return toml_names(_STUDIES)


def _row(table: dict[str, Any], where: str) -> AblationRow:
    own = ("name", "title", "pretraining")
    head = read_table(_RowHead, {key: value for key, value in table.items() if key in own}, where)
    changes = {key: value for key, value in table.items() if key not in own}
    return AblationRow(head.name, head.title, head.pretraining, changes)
