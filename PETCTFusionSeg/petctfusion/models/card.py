"""What a model is, needs and may be used for: the dataclasses of `model.json`, of a network and of an ensemble."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from petctfusion.errors import ModelError, OutputError
from petctfusion.models.card_parts import (
    ClickGuidance,
    Code,
    LabelSpec,
    Member,
    MetricRow,
    Terminology,
    Training,
    Weights,
    among,
    plain_name,
    read_clicks,
    read_labels,
    read_members,
    read_metric_row,
    read_training,
    read_weights,
    triple,
)
from petctfusion.models.fields import Fields
from petctfusion.models.normalisation import Normalisation, read_normalisation

__all__ = [
    "CARD_FILE",
    "AnyCard",
    "Card",
    "ClickGuidance",
    "Code",
    "EnsembleCard",
    "LabelSpec",
    "Member",
    "MetricRow",
    "ModelCard",
    "Terminology",
    "Training",
    "Weights",
    "card_from_json",
    "read_card",
    "write_card",
]

FORMAT = 1
CARD_FILE = "model.json"
MODALITIES = ("CT", "PET", "MR")
UNITS = ("HU", "SUVbw", "arbitrary")
AXES = ("z", "y", "x")
# The smallest spacing a float can hold would make a grid of any size; a micrometre is finer than any scanner.
_SMALLEST_MM = 1e-3


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a network and an ensemble have in common. `modalities`: in the network's order.

    A voxel belongs to a label where its probability is at least `threshold`; components under `smallest_component_ml`
    or under `smallest_component_share` of the label's largest are dropped.
    """

    name: str
    version: str
    title: str
    modalities: tuple[str, ...]
    labels: tuple[LabelSpec, ...]
    training: Training
    licence: str
    not_for: tuple[str, ...]
    threshold: float = 0.5
    smallest_component_ml: float = 0.0
    smallest_component_share: float = 0.0
    fill_holes: bool = False
    metrics: tuple[MetricRow, ...] = field(default_factory=tuple)
    format: int = FORMAT

    _first: ClassVar[tuple[str, ...]] = ("format", "name", "version", "title", "licence", "not_for")
    # Left out of the file where they hold nothing: such cards stay readable for the versions that do not know them.
    _optional: ClassVar[tuple[str, ...]] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values in the order in which a person reads them."""
        values = {name: value for name, value in asdict(self).items() if value or name not in self._optional}
        return {**{key: values[key] for key in self._first}, **values}


@dataclass(frozen=True, kw_only=True)
class ModelCard(Card):
    """The card of a network. Lengths in mm, triples in array order (z, y, x).

    `flips` are the axes mirrored at inference, `overlap` the share of a window that the next one repeats. With
    `normalisation` (all modalities or none) the network is given scaled values, otherwise HU and SUV. `orientation`:
    the axes of the network's grid are the patient's (LPS), or, left empty, those of the first modality's volume.
    `clicks`: how a person's clicks are shown to the network, None where it takes none.
    """

    network: str
    arguments: dict[str, Any]
    units: dict[str, str]
    clip: dict[str, tuple[float, float]]
    spacing_mm: tuple[float, float, float]
    patch: tuple[int, int, int]
    weights: Weights
    flips: tuple[str, ...] = ()
    overlap: float = 0.5
    normalisation: dict[str, Normalisation] = field(default_factory=dict)
    orientation: str = ""
    clicks: ClickGuidance | None = None

    _first: ClassVar[tuple[str, ...]] = (*Card._first, "network", "arguments")
    _optional: ClassVar[tuple[str, ...]] = ("normalisation", "orientation", "clicks")

    @property
    def members(self) -> tuple[Member, ...]:
        """A network has none."""
        return ()

    @property
    def sha256(self) -> str:
        """The checksum of the weights."""
        return self.weights.sha256

    @classmethod
    def from_json(cls, values: Any) -> ModelCard:
        """The card of a parsed `model.json`. Raises `ModelError` naming the field that is missing or wrong."""
        card = _of_this_format(values, cls)
        common = _common(card)
        modalities = common["modalities"]
        return cls(
            **common,
            network=card.text("network"),
            arguments=card.object("arguments").values,
            units=_units(card, modalities),
            clip=_clip(card, modalities),
            spacing_mm=triple(card.numbers("spacing_mm", 3, low=_SMALLEST_MM)),
            patch=triple(card.integers("patch", 3, low=1)),
            weights=read_weights(card.object("weights")),
            flips=among(card, "flips", card.texts("flips"), AXES),
            overlap=card.number("overlap", 0.0, 0.95),
            normalisation=_normalisation(card, modalities),
            orientation=among(card, "orientation", (card.values.get("orientation", ""),), ("", "LPS"))[0],
            clicks=read_clicks(card),
        )


@dataclass(frozen=True, kw_only=True)
class EnsembleCard(Card):
    """The card of an ensemble: installed models whose probabilities are averaged with weights, on the result's grid.

    It has no weights of its own. `modalities`: all that a member is given; `training`: that of all members.
    """

    members: tuple[Member, ...]

    _first: ClassVar[tuple[str, ...]] = (*Card._first, "members")

    @property
    def network(self) -> str:
        """What a list shows in the place of a network."""
        return f"ensemble of {len(self.members)}"

    @property
    def clicks(self) -> None:
        """An ensemble takes no clicks, even if a member does."""

    @property
    def sha256(self) -> str:
        """Stands for the members' weights and how much each counts: the sha256 of the lines "sha256 weight"."""
        lines = "".join(f"{member.sha256} {member.weight!r}\n" for member in self.members)
        return hashlib.sha256(lines.encode()).hexdigest()

    @classmethod
    def from_json(cls, values: Any) -> EnsembleCard:
        """The card of a parsed `model.json`. Raises `ModelError` naming the field that is missing or wrong."""
        card = _of_this_format(values, cls)
        return cls(**_common(card), members=read_members(card))


AnyCard = ModelCard | EnsembleCard


def card_from_json(values: Any) -> AnyCard:
    """The card of a parsed `model.json`: an ensemble's where it names members. Raises `ModelError`."""
    is_ensemble = isinstance(values, dict) and "members" in values
    return EnsembleCard.from_json(values) if is_ensemble else ModelCard.from_json(values)


def read_card(folder: Path | str) -> AnyCard:
    """The card in a model folder. Raises `ModelError` when there is none or it is not valid."""
    path = Path(folder) / CARD_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"There is no model in {Path(folder)}: {CARD_FILE} is missing.", "Choose a folder that holds a model."
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelError(f"The model card {path} cannot be read: {error}.", "Install the model again.") from error
    return card_from_json(values)


def write_card(card: AnyCard, folder: Path | str) -> Path:
    """Writes the card into `folder`, whole or not at all, and returns its path.

    What could not be read back is not written: raises `ModelError` as `read_card` would, `OutputError` on a full disk.
    """
    # Through JSON and back, so that the checks see what a reader will see; NaN is not JSON and is refused here.
    try:
        text = json.dumps(card.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"The model card cannot be written as JSON: {error}.", "Use finite numbers and texts."
        ) from error
    card_from_json(json.loads(text))
    path = Path(folder) / CARD_FILE
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=".model-", suffix=".json", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        # mkstemp makes files that only their owner may read; a shipped card is for everybody.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise OutputError(
            f"The model card {path} cannot be written: {error}.", "Free the disk or choose another folder."
        ) from error
    return path


def _of_this_format(values: Any, kind: type[Card]) -> Fields:
    """The fields of a card, all of them known."""
    card = Fields(values)
    if card.integer("format") != FORMAT:
        raise ModelError(
            f"The model card has format {values['format']}; this version reads format {FORMAT}.",
            "Update PETCTFusionSeg, or install a model made for this version.",
        )
    card.only(f.name for f in fields(kind))
    return card


def _common(card: Fields) -> dict[str, Any]:
    """The values of the fields of `Card`."""
    return {
        "name": plain_name(card, "name"),
        "version": plain_name(card, "version"),
        "title": card.text("title"),
        "modalities": among(card, "modalities", card.texts("modalities", at_least=1), MODALITIES),
        "labels": read_labels(card),
        "training": read_training(card.object("training")),
        "licence": card.text("licence"),
        "not_for": card.texts("not_for", at_least=1),
        "threshold": card.number("threshold", 0.0, 1.0),
        "smallest_component_ml": card.number("smallest_component_ml", low=0.0),
        "smallest_component_share": card.number("smallest_component_share", 0.0, 1.0),
        "fill_holes": card.flag("fill_holes"),
        "metrics": card.objects("metrics", read_metric_row),
    }


def _units(card: Fields, modalities: tuple[str, ...]) -> dict[str, str]:
    units = card.object("units")
    _same_names(card, "units", units, modalities)
    return {kind: among(units, kind, (units.text(kind),), UNITS)[0] for kind in modalities}


def _clip(card: Fields, modalities: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    clip = card.object("clip")
    _same_names(card, "clip", clip, modalities)
    result = {}
    for kind in modalities:
        low, high = clip.numbers(kind, 2)
        if low >= high:
            raise clip.error(kind, f"runs from {low} to {high}; the first must be the smaller")
        result[kind] = (low, high)
    return result


def _normalisation(card: Fields, modalities: tuple[str, ...]) -> dict[str, Normalisation]:
    if "normalisation" not in card.values:
        return {}
    entries = card.object("normalisation")
    _same_names(card, "normalisation", entries, modalities)
    return {kind: read_normalisation(entries.object(kind)) for kind in modalities}


def _same_names(card: Fields, name: str, found: Fields, modalities: tuple[str, ...]) -> None:
    if set(found.values) != set(modalities):
        raise card.error(
            name, f"speaks of {', '.join(sorted(found.values)) or 'nothing'}, not of {', '.join(modalities)}"
        )
