"""A result folder of nnU-Net v2: TRAINER__PLANS__CONFIGURATION/{dataset.json, plans.json, fold_X/checkpoint_final.pth}.

What a card can say of it; the checkpoints are read elsewhere. Layout and meaning: nnU-Net's documentation
(https://github.com/MIC-DKFZ/nnUNet/tree/master/documentation). Imports no torch.
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
from petctfusion.models.nnunet_plans import Plans, read_plans

CHECKPOINT = "checkpoint_final.pth"
_VERSION = "1.0"


@dataclass(frozen=True)
class NnUNetFolder:
    """A folder that can become a model; `checkpoints`: one a fold, in the order in which they are averaged."""

    name: str
    plans: Plans
    modalities: tuple[str, ...]
    labels: tuple[LabelSpec, ...]
    checkpoints: tuple[Path, ...]
    dataset: dict[str, Any]

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of the network `nnunet`."""
        return {
            "architecture": self.plans.architecture,
            "settings": self.plans.settings,
            "heads": 1 + len(self.labels),
            "modalities": list(self.modalities),
            "transpose": list(self.plans.transpose),
            "folds": len(self.checkpoints),
        }

    def card(self, weights: Weights, flips: tuple[str, ...]) -> ModelCard:
        """The card of the model with these weights, mirrored at inference along `flips`."""
        plans, folds = self.plans, " and ".join(path.parent.name for path in self.checkpoints)
        kinds = self.modalities
        licence = stated(self.dataset, "licence", "license")
        return ModelCard(
            name=self.name,
            version=_VERSION,
            title=f"nnU-Net v2, {plans.name}, {plans.configuration} ({folds})",
            network="nnunet",
            arguments=self.arguments,
            modalities=kinds,
            units={kind: UNITS[kind] for kind in kinds},
            clip=dict(zip(kinds, plans.clip, strict=True)),
            spacing_mm=plans.spacing_mm,
            patch=plans.patch,
            labels=self.labels,
            weights=weights,
            training=Training(
                data=f"{plans.name}: {stated(self.dataset, 'description')}",
                licence=licence,
                attribution=stated(self.dataset, "reference", "citation"),
                patients=(),
                command="",
                commit="",
                seed=0,
            ),
            licence=licence,
            not_for=NOT_FOR,
            flips=flips,
            normalisation=dict(zip(kinds, plans.normalisation, strict=True)),
        )


def read_nnunet_folder(folder: Path, choices: ForeignChoices) -> NnUNetFolder:
    """What a result folder says of itself. Raises `ModelError` for what is missing, damaged or not supported."""
    dataset, documents = read_document(folder / "dataset.json"), read_document(folder / "plans.json")
    channels = dataset.object("modality" if "modality" in dataset.values else "channel_names")
    names = [channels.text(str(index)) for index in range(len(channels.values))]
    modalities = modalities_of(names, choices)
    plans = read_plans(documents, _configuration_of(folder, documents), len(names))
    return NnUNetFolder(
        name=choices.name or plain_name(f"nnunet-{plans.name}-{plans.configuration}"),
        plans=plans,
        modalities=modalities,
        labels=_labels(dataset),
        checkpoints=_checkpoints(folder, choices.folds),
        dataset=dataset.values,
    )


def _configuration_of(folder: Path, plans: Fields) -> str:
    known = plans.object("configurations").values
    name = folder.resolve().name.rpartition("__")[2]
    if name not in known:
        raise ModelError(
            f"The folder's name {folder.resolve().name!r} does not say which configuration it holds.",
            f"Name it as nnU-Net does, TRAINER__PLANS__CONFIGURATION, with one of: {', '.join(known)}.",
        )
    return name


def _labels(dataset: Fields) -> tuple[LabelSpec, ...]:
    labels = dataset.object("labels")
    if any(isinstance(value, list) for value in labels.values.values()):
        raise ModelError(
            "The model was trained on regions (overlapping labels), which is not supported.",
            "Choose a model with one value per label.",
        )
    values = sorted((labels.integer(name, 0, 255), name) for name in labels.values if name != "ignore")
    if [value for value, _ in values] != list(range(len(values))) or len(values) < 2 or values[0][1] != "background":
        raise labels.error("", "does not count background 0, then 1, 2, ... without a gap")
    return tuple(label_of(value, name, value - 1) for value, name in values[1:])


def _checkpoints(folder: Path, wanted: tuple[str, ...] | None) -> tuple[Path, ...]:
    """Those of the wanted folds; by default of all that are numbered, or else of the one trained on all the data."""
    found = {path.parent.name.removeprefix("fold_"): path for path in sorted(folder.glob(f"fold_*/{CHECKPOINT}"))}
    if not found:
        raise ModelError(
            f"There is no fold_X/{CHECKPOINT} in {folder}.", "Choose the folder of a training that has ended."
        )
    numbered = tuple(path for fold, path in found.items() if fold != "all")
    if wanted is None:
        return numbered or (found["all"],)
    missing = [fold for fold in wanted if fold not in found]
    if missing:
        raise ModelError(f"There is no fold {missing[0]} in {folder}.", f"Folds found: {', '.join(found)}.")
    return tuple(found[fold] for fold in dict.fromkeys(wanted))
