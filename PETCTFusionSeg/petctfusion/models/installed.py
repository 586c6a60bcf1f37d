"""What an installed model is, and how an ensemble finds its members among the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from petctfusion.errors import ModelError
from petctfusion.models.card import CARD_FILE, AnyCard, EnsembleCard, ModelCard

_MAKE_AGAIN = "Make the ensemble again: petctfusion models ensemble NAME MEMBER MEMBER."


@dataclass(frozen=True)
class InstalledModel:
    """A model that can be used: its folder and its card, and the models of an ensemble in the order of its card.

    `shipped` ones belong to the package.
    """

    name: str
    version: str
    folder: Path
    card: AnyCard
    shipped: bool = False
    members: tuple[InstalledModel, ...] = ()

    @property
    def reference(self) -> str:
        """`name@version`, which `find_model` understands."""
        return f"{self.name}@{self.version}"

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that decides what the model answers: its card, its weights, and the files of its members."""
        own = [self.folder / CARD_FILE]
        if isinstance(self.card, ModelCard):
            own.append(self.folder / self.card.weights.file)
        return (*own, *(file for member in self.members for file in member.files))


@dataclass(frozen=True)
class DamagedModel:
    """A folder in the store that cannot be used, with the reason."""

    folder: Path
    error: ModelError


def with_members(model: InstalledModel, models: Iterable[InstalledModel]) -> InstalledModel:
    """An ensemble with its members, looked up among `models`; any other model as it is. Raises `ModelError`."""
    card = model.card
    if not isinstance(card, EnsembleCard):
        return model
    installed = {other.reference: other for other in reversed([*models])}
    members = tuple(_member(card, number, installed) for number in range(len(card.members)))
    if {kind for member in members for kind in member.card.modalities} != set(card.modalities):
        raise ModelError(f"The ensemble {model.reference} and its members disagree on the modalities.", _MAKE_AGAIN)
    if any(channels(member.card) != channels(card) for member in members):
        raise ModelError(f"The ensemble {model.reference} and its members disagree on the labels.", _MAKE_AGAIN)
    return replace(model, members=members)


def _member(card: EnsembleCard, number: int, installed: dict[str, InstalledModel]) -> InstalledModel:
    wanted = card.members[number]
    found = installed.get(wanted.reference)
    if found is None:
        raise ModelError(
            f"The ensemble {card.name} needs the model {wanted.reference}, which is not installed.",
            f"Install it with 'petctfusion models add FOLDER'; its weights have the sha256 {wanted.sha256}.",
        )
    if isinstance(found.card, EnsembleCard):
        raise ModelError(
            f"The member {wanted.reference} of the ensemble {card.name} is an ensemble itself.", _MAKE_AGAIN
        )
    if found.card.sha256 != wanted.sha256:
        raise ModelError(
            f"The ensemble {card.name} was made of other weights of {wanted.reference} than those installed here.",
            f"Install those with the sha256 {wanted.sha256}, or make the ensemble again.",
        )
    return found


def channels(card: AnyCard) -> tuple[tuple[int, str], ...]:
    """Value and name of every label, in the order of the network's channels: what members of an ensemble share."""
    return tuple((label.value, label.name) for label in card.labels)
