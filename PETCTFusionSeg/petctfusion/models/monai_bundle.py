"""A MONAI bundle: configs/{metadata.json, inference.json}, models/model.pt or model.ts; what a card says of it.

Supported: a network of `monai.networks.nets` with plain arguments, or TorchScript; one CT and one PET channel,
Orientationd to RAS or LPS, Spacingd, fixed or per-study scaling, a sliding window, softmax or sigmoid
(https://docs.monai.io/en/stable/mb_specification.html). Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petctfusion.errors import ModelError
from petctfusion.models.card import LabelSpec, ModelCard, Training, Weights
from petctfusion.models.fields import Fields
from petctfusion.models.foreign import (
    NOT_FOR,
    UNITS,
    ForeignChoices,
    label_of,
    modalities_of,
    plain_name,
    read_document,
    stated,
)
from petctfusion.models.monai_config import component, transforms
from petctfusion.models.monai_transforms import Preprocessing, read_preprocessing

SCRIPT_NOTE = "It is a program (TorchScript), not weights alone: add it only from makers you trust."


@dataclass(frozen=True)
class Bundle:
    """A bundle that can become a model; `window` and the spacing inside `preprocessing` are in MONAI's (x, y, z)."""

    name: str
    version: str
    network: str
    settings: dict[str, Any]
    head: str
    modalities: tuple[str, ...]
    labels: tuple[LabelSpec, ...]
    window: tuple[int, int, int]
    overlap: float
    preprocessing: Preprocessing
    file: Path
    metadata: dict[str, Any]

    @property
    def is_script(self) -> bool:
        """True where the network is a TorchScript program instead of weights for a network that is known here."""
        return self.file.suffix == ".ts"

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of the network `monai_bundle`."""
        return {
            "network": self.network,
            "settings": self.settings,
            "head": self.head,
            "modalities": list(self.modalities),
            "orientation": self.preprocessing.orientation,
            "divisor": list(self.window[::-1]),
        }

    def card(self, weights: Weights) -> ModelCard:
        """The card of the model with these weights."""
        kinds, (x, y, z) = self.modalities, self.preprocessing.spacing_xyz_mm
        licence = stated(self.metadata, "license", "licence")
        return ModelCard(
            name=self.name,
            version=self.version,
            title=f"MONAI bundle, {stated(self.metadata, 'name', 'task')}",
            network="monai_bundle",
            arguments=self.arguments,
            modalities=kinds,
            units={kind: UNITS[kind] for kind in kinds},
            clip={kind: self.preprocessing.clip[kind] for kind in kinds},
            spacing_mm=(z, y, x),
            patch=(self.window[2], self.window[1], self.window[0]),
            labels=self.labels,
            weights=weights,
            training=Training(
                data=stated(self.metadata, "data_source", "description"),
                licence=licence,
                attribution=stated(self.metadata, "copyright", "authors"),
                patients=(),
                command="",
                commit="",
                seed=0,
            ),
            licence=licence,
            not_for=(*NOT_FOR, SCRIPT_NOTE) if self.is_script else NOT_FOR,
            overlap=self.overlap,
            normalisation={kind: self.preprocessing.normalisation[kind] for kind in kinds},
            orientation="LPS",
        )


def read_bundle(folder: Path, choices: ForeignChoices) -> Bundle:
    """What a bundle says of itself. Raises `ModelError` for what is missing, damaged or not supported."""
    if choices.folds:
        raise ModelError("A MONAI bundle has no folds.", "Leave --folds out.")
    metadata, config = (read_document(folder / "configs" / name) for name in ("metadata.json", "inference.json"))
    formats = metadata.object("network_data_format")
    modalities = modalities_of(_channels(formats.object("inputs").object("image")), choices)
    head = _head(config)
    network, settings, file = _network(config, folder)
    inferer, window = component(config.value("inferer"), config, "inferer")
    if inferer != "SlidingWindowInferer":
        raise ModelError(f"The bundle runs through {inferer}.", "Only SlidingWindowInferer is supported.")
    x, y, z = window.integers("roi_size", 3, low=1)
    return Bundle(
        name=choices.name or plain_name(f"monai-{stated(metadata.values, 'name')}"),
        version=plain_name(metadata.text("version")),
        network=network,
        settings=settings,
        head=head,
        modalities=modalities,
        labels=_labels(formats.object("outputs").object("pred"), head),
        window=(x, y, z),
        overlap=window.number("overlap", 0.0, 0.95) if "overlap" in window.values else 0.25,
        preprocessing=read_preprocessing(transforms(config, "preprocessing"), modalities),
        file=file,
        metadata=metadata.values,
    )


def _channels(values: Fields) -> list[str]:
    names = values.object("channel_def")
    return [names.text(str(index)) for index in range(len(names.values))]


def _labels(prediction: Fields, head: str) -> tuple[LabelSpec, ...]:
    names = _channels(prediction)
    if head == "softmax" and (len(names) < 2 or names[0] != "background"):
        raise prediction.error("channel_def", "does not begin with the background, as softmax needs")
    found = names[1:] if head == "softmax" else names
    return tuple(label_of(index + 1, name, index) for index, name in enumerate(found))


def _head(config: Fields) -> str:
    for _, arguments in transforms(config, "postprocessing"):
        for head in ("softmax", "sigmoid"):
            if arguments.values.get(head) is True:
                return head
    raise ModelError(
        "The bundle's postprocessing does not say whether its network ends in softmax or sigmoid.",
        "Only bundles with Activationsd (softmax or sigmoid true) are supported.",
    )


def _network(config: Fields, folder: Path) -> tuple[str, dict[str, Any], Path]:
    """Name and settings of the network and its file: model.pt where the network is plainly described, or model.ts."""
    weights, script = folder / "models" / "model.pt", folder / "models" / "model.ts"
    as_script = ("TorchScript", {"bytes": script.stat().st_size}, script) if script.is_file() else None
    if not weights.is_file():
        if as_script is not None:
            return as_script
        raise ModelError(
            f"There is neither models/model.pt nor models/model.ts in {folder}.",
            "Download the bundle with its weights.",
        )
    try:
        name, settings = component(config.value("network_def"), config, "network_def")
    except ModelError:
        if as_script is not None:
            return as_script
        raise
    return name, settings.values, weights
