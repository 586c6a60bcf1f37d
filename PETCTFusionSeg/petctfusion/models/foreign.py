"""What models made elsewhere have in common: how they are recognised, and what a card says of them. No torch."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from petctfusion.errors import ModelError
from petctfusion.models.card import CARD_FILE, Code, LabelSpec, ModelCard, Terminology
from petctfusion.models.fields import Fields

Kind = Literal["nnunet", "monai"]
# A clip that no value reaches: the card wants two finite numbers.
NO_CLIP = (-1e9, 1e9)
UNITS = {"CT": "HU", "PET": "SUVbw", "MR": "arbitrary"}
NOT_STATED = "not stated by its makers"
NOT_FOR = (
    "Not a medical device: research and teaching only.",
    "Made elsewhere and not measured here: compare it with reference contours of your own before you rely on it.",
    "PET is given in SUVbw (body weight): wrong for a network that was trained on other units.",
)
_NAMES = {
    "CT": ("ct", "ctres", "computed tomography"),
    "PET": ("pet", "pt", "suv", "suvbw", "pet_suv", "pet suv", "fdg", "fdg-pet", "petsuv"),
}
_COLORS = ((230, 80, 60), (60, 200, 230), (240, 180, 40), (120, 200, 80), (200, 60, 160), (110, 110, 240))
_ALTERED = Code("SCT", "49755003", "Morphologically Altered Structure")
_NEOPLASM = Terminology(_ALTERED, Code("SCT", "108369006", "Neoplasm"))
# Slicer's own code for "nothing more is known".
_TISSUE = Terminology(Code("SCT", "85756007", "Tissue"), Code("SCT", "85756007", "Tissue"))
_TUMOUR_WORDS = ("tumor", "tumour", "lesion", "cancer", "gtv", "neoplas", "metast", "malignan")


@dataclass(frozen=True)
class Provenance:
    """What those who published the weights say of their licence, data and makers."""

    licence: str
    data: str
    attribution: str

    def written_into(self, card: ModelCard) -> ModelCard:
        """`card` with these instead of what the folder says: its licence is often that of nobody in particular."""
        training = replace(card.training, data=self.data, attribution=self.attribution)
        return replace(card, licence=self.licence, training=training)


@dataclass(frozen=True)
class ForeignChoices:
    """What a foreign folder does not say: the model's `name`, the `channels`, the `folds` to use, the `provenance`."""

    name: str | None = None
    channels: tuple[str, ...] | None = None
    folds: tuple[str, ...] | None = None
    provenance: Provenance | None = None


def foreign_kind(folder: Path | str) -> Kind | None:
    """Whose model a folder holds; None for one of our own, or for no model at all."""
    path = Path(folder).expanduser()
    if (path / CARD_FILE).exists():
        return None
    if (path / "plans.json").is_file() and (path / "dataset.json").is_file():
        return "nnunet"
    if (path / "configs" / "metadata.json").is_file():
        return "monai"
    return None


def read_document(path: Path) -> Fields:
    """A JSON file of a foreign folder. Raises `ModelError` naming the file and what is wrong with it."""
    hint = "Copy the whole folder again from where it was trained or published."
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelError(f"The file {path} cannot be read: {error}.", hint) from error
    return Fields(values, "", f"The file {path.name}", hint)


def modalities_of(names: Sequence[str], choices: ForeignChoices) -> tuple[str, ...]:
    """The modalities of a folder's channels, in their order. Raises `ModelError` where they are not CT and PET."""
    found = choices.channels or tuple(modality_of(name) for name in names)
    if len(found) != len(names):
        raise ModelError(
            f"The model has {len(names)} channels ({', '.join(names)}), not {len(found)}.", "Name each of them."
        )
    if sorted(found) != ["CT", "PET"]:
        raise ModelError(
            f"The channels of the model are {', '.join(names)}; one CT and one PET are needed.",
            "Where they are CT and PET under other names, say so in their order: --channels CT PET.",
        )
    return found


def label_of(value: int, name: str, index: int) -> LabelSpec:
    """A label with a colour, coded as a neoplasm where its name says so and as tissue otherwise."""
    is_tumour = any(word in name.lower() for word in _TUMOUR_WORDS)
    return LabelSpec(value, name, _NEOPLASM if is_tumour else _TISSUE, _COLORS[index % len(_COLORS)])


def plain_name(text: str) -> str:
    """`text` as a model's name: letters, digits and . _ - + only."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip(".-") or "foreign"


def stated(values: dict[str, Any], *names: str) -> str:
    """The first of these texts that the makers wrote, or that they wrote none."""
    texts = [values[name] for name in names if isinstance(values.get(name), str) and values[name].strip()]
    return texts[0].strip() if texts else NOT_STATED


def modality_of(name: str) -> str:
    """ "CT" or "PET" where a channel's name means that, otherwise the name as it is."""
    return next((kind for kind, names in _NAMES.items() if name.strip().lower() in names), name)
