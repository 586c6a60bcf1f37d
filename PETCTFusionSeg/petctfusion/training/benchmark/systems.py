"""The systems of the benchmark by name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from petctfusion.errors import BadInputError
from petctfusion.networks.entries import ENTRIES
from petctfusion.training.benchmark.system import System
from petctfusion.training.recipe import recipe_names
from petctfusion.training.settings import did_you_mean

BASELINES = "baselines"
_FROM_RECIPE = "petctfusion.training.benchmark.recipe_system:RecipeSystem"


class Candidate(Protocol):
    """Something that a campaign can train: `name` is a word, `option` what chooses it on the command line."""

    @property
    def name(self) -> str:
        """The name of its result and of its folder."""

    @property
    def title(self) -> str:
        """What a reader of the table sees."""

    @property
    def option(self) -> str:
        """Option and value."""

    def system(self) -> System:
        """What is trained. Raises `BadInputError` where it cannot be run here."""


@dataclass(frozen=True)
class Entry:
    """A system to choose by `name`; `missing` says in one sentence why it cannot be run here, "" where it can.

    `source` is "module:class"; `recipe` the training recipe, "" for a system that brings its own.
    """

    name: str
    title: str
    source: str
    recipe: str = ""
    missing: str = ""

    @property
    def option(self) -> str:
        """Option and value."""
        return f"--system {self.name}"

    def system(self) -> System:
        """The system itself; its code is imported now. Raises `BadInputError` where it cannot be run."""
        if self.missing:
            raise BadInputError(f"{self.name} cannot be run: {self.missing}", "--list shows what can be run here.")
        module, name = self.source.split(":")
        kind = getattr(import_module(module), name)
        system: System = kind(self.name, self.title, self.recipe) if self.recipe else kind()
        return system


def entries() -> list[Entry]:
    """Every network with its recipe, then nnU-Net itself. The rules (`BASELINES`) need no training and are not here."""
    recipes = set(recipe_names())
    found = []
    for network in ENTRIES:
        recipe = f"sts_{network.id}"
        missing = "" if recipe in recipes else f"There is no recipe {recipe}."
        found.append(Entry(network.id, network.system, _FROM_RECIPE, recipe, missing))
    missing = "" if find_spec("nnunetv2") else "Its package is missing: pip install 'petctfusion[nnunet]'."
    peer = "petctfusion.training.benchmark.nnunet_peer:NnUNetPeer"
    return [*found, Entry("nnunet", "nnU-Net v2 from its own package", peer, missing=missing)]


def wanted_entries(names: list[str]) -> list[Entry]:
    """The entries of these names, each once; without names all that can be run here. Raises `BadInputError`."""
    known = {entry.name: entry for entry in entries()}
    for name in names:
        if name not in known and name != BASELINES:
            raise BadInputError(
                f"There is no system {name!r} in the benchmark.", did_you_mean(name, [*known, BASELINES])
            )
    if not names:
        return [entry for entry in known.values() if not entry.missing]
    return [known[name] for name in dict.fromkeys(names) if name != BASELINES]
