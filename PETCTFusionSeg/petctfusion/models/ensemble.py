"""Installed models become an ensemble: one card that names them, and no weights. Imports no torch."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from petctfusion.errors import BadInputError, ModelError, OutputError
from petctfusion.models.card import EnsembleCard, Member, ModelCard, Training, write_card
from petctfusion.models.folders import own_models_folder
from petctfusion.models.installed import InstalledModel, channels
from petctfusion.models.store import ModelStore

Adjust = Callable[[Path], None]


@dataclass(frozen=True)
class EnsembleChoices:
    """What the user may say. `weights` None: all equal; `threshold` None: the weighted mean of the members'."""

    name: str
    version: str = "1.0.0"
    title: str | None = None
    weights: tuple[float, ...] | None = None
    threshold: float | None = None


def make_ensemble(
    members: Sequence[str], choices: EnsembleChoices, output: Path | None = None, adjust: Adjust | None = None
) -> InstalledModel:
    """Install an ensemble of installed models, or write it to the new folder `output`, whole or not at all.

    `adjust` may rewrite the card of the folder it is given, before anybody else sees it. Raises `BadInputError` and
    `ModelError` for members that do not go together, `OutputError` where nothing can be written.
    """
    store = ModelStore.default()
    card = ensemble_card([store.find(member) for member in members], choices)
    if output is None:
        store.refuse_installed(card)
    elif output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise OutputError(f"{output} is already there.", "Choose a new folder.")
    place = own_models_folder() if output is None else output.absolute().parent
    work: Path | None = None
    try:
        place.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".incoming-", dir=place))
        work.chmod(0o755)
        write_card(card, work)
        store.verify(work)
        if adjust is not None:
            adjust(work)
        if output is None:
            return store.add(work)
        if output.exists():
            output.rmdir()  # Windows renames onto no folder, not even an empty one
        work.rename(output)
        return store.open(output)
    except OSError as error:
        raise OutputError(f"The ensemble cannot be written to {place}: {error}.", "Choose another folder.") from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


def ensemble_card(models: Sequence[InstalledModel], choices: EnsembleChoices) -> EnsembleCard:
    """The card of an ensemble of `models`. Raises `BadInputError` and `ModelError` where they do not go together.

    Every limit of a member is one of the ensemble. Small components are dropped as the most cautious member does it.
    """
    weights = choices.weights or (1.0,) * len(models)
    _check_choices(models, weights, choices)
    cards = _cards_that_go_together(models)
    names = [model.reference for model in models]
    mean = sum(w * card.threshold for w, card in zip(weights, cards, strict=True)) / sum(weights)
    return EnsembleCard(
        name=choices.name,
        version=choices.version,
        title=choices.title or f"Ensemble of {' and '.join(names)}",
        members=tuple(Member(m.name, m.version, m.card.sha256, w) for m, w in zip(models, weights, strict=True)),
        modalities=_unique(kind for card in cards for kind in card.modalities),
        labels=cards[0].labels,
        training=_training(names, cards, weights, choices),
        licence="; ".join(_unique(card.licence for card in cards)),
        not_for=_unique(limit for card in cards for limit in card.not_for),
        threshold=mean if choices.threshold is None else choices.threshold,
        smallest_component_ml=min(card.smallest_component_ml for card in cards),
        smallest_component_share=min(card.smallest_component_share for card in cards),
        fill_holes=all(card.fill_holes for card in cards),
    )


def _check_choices(models: Sequence[InstalledModel], weights: Sequence[float], choices: EnsembleChoices) -> None:
    names = [model.reference for model in models]
    if len(names) < 2:
        raise BadInputError("An ensemble needs two models or more.", "Name another one: petctfusion models list.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInputError(f"The model {twice} is named twice.", "Name it once, and give it more weight: --weights.")
    if len(weights) != len(names):
        raise BadInputError(
            f"There are {len(weights)} weights for {len(names)} models.", "Give one weight a model, in their order."
        )
    if not all(math.isfinite(weight) and weight > 0 for weight in weights):
        raise BadInputError("A weight is not above 0.", "Leave out a model that is not to count.")
    if choices.threshold is not None and not 0.0 <= choices.threshold <= 1.0:
        raise BadInputError(f"The threshold is {choices.threshold:g}.", "Choose a number from 0 to 1.")


def _cards_that_go_together(models: Sequence[InstalledModel]) -> list[ModelCard]:
    cards: list[ModelCard] = []
    units: dict[str, str] = {}
    for model in models:
        card = model.card
        if isinstance(card, EnsembleCard):
            raise ModelError(f"{model.reference} is an ensemble itself.", "Name its members instead.")
        if cards and channels(card) != channels(cards[0]):
            raise ModelError(
                f"{models[0].reference} marks {_labels(cards[0])}, {model.reference} marks {_labels(card)}.",
                "Join models that mark the same, with the same label values.",
            )
        for kind, unit in card.units.items():
            if units.setdefault(kind, unit) != unit:
                raise ModelError(
                    f"{model.reference} wants {kind} in {unit}, a model before it in {units[kind]}.",
                    "Join models that want the same units.",
                )
        cards.append(card)
    return cards


def _training(
    names: Sequence[str], cards: Sequence[ModelCard], weights: Sequence[float], choices: EnsembleChoices
) -> Training:
    """What the members were trained on, and the command that joins them again. Nothing is drawn: the seed is 0."""
    command = ["petctfusion", "models", "ensemble", choices.name, *names]
    if choices.weights is not None:
        command += ["--weights", *(f"{weight:g}" for weight in weights)]
    if choices.threshold is not None:
        command += ["--threshold", f"{choices.threshold:g}"]
    return Training(
        data="; ".join(_unique(card.training.data for card in cards)),
        licence="; ".join(_unique(card.training.licence for card in cards)),
        attribution="; ".join(_unique(card.training.attribution for card in cards)),
        patients=_unique(patient for card in cards for patient in card.training.patients),
        command=" ".join(command),
        commit="",
        seed=0,
    )


def _labels(card: ModelCard) -> str:
    return ", ".join(f"{label.name} ({label.value})" for label in card.labels)


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
