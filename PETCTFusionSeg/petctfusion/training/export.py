"""From averaged weights to a model folder: float16 safetensors and the card, settings chosen on tuning patients."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save, save_file

from petctfusion.inference import SegmentOptions, load_model
from petctfusion.models import Code, LabelSpec, ModelCard, Terminology, Training, Weights, write_card
from petctfusion.networks import build
from petctfusion.training.benchmark import load_studies
from petctfusion.training.calibration import Choice, calibrate
from petctfusion.training.datasets.sts import ATTRIBUTION, sts_patients
from petctfusion.training.provenance import current_commit
from petctfusion.training.recipe import Recipe

WEIGHTS_FILE = "weights.safetensors"
TUMOUR = LabelSpec(
    value=1,
    name="GTV",
    terminology=Terminology(
        category=Code("SCT", "49755003", "Morphologically Altered Structure"), type=Code("SCT", "108369006", "Neoplasm")
    ),
    color=(230, 159, 0),  # orange of Okabe and Ito's colour-blind-safe set
)
NOT_FOR = (
    "Not a medical device: research and teaching only.",
    "Trained on FDG-PET/CT crops around soft-tissue sarcomas of the extremities and trunk: nothing is known about "
    "other tumours, whole-body volumes or tracers other than FDG; brain, heart, kidneys and bladder may be marked.",
)
LARGEST_ONLY = (
    "Patients with several lesions: every training patient had one, so only the largest region is kept "
    "(smallest_component_share in model.json)."
)
# Mirrored left-right and front-back, averaged: four passes. Up-down is left out, which keeps whole bodies affordable.
FLIPS = ("y", "x")
OVERLAP = 0.5


def weights_sha256(weights: dict[str, torch.Tensor]) -> str:
    """sha256 of the weights as they are, before any rounding: two equal runs agree on it."""
    return hashlib.sha256(save({name: tensor.contiguous() for name, tensor in weights.items()})).hexdigest()


def export_model(
    recipe: Recipe,
    weights: dict[str, torch.Tensor],
    data: Path,
    folder: Path,
    version: str,
    one_lesion: bool,
    say: Callable[[str], None],
) -> str:
    """Write `folder` whole or not at all; returns the sha256 of its weights file.

    `one_lesion`: every training contour is one connected part, so the model keeps its largest region only.
    """
    work = folder.with_name(folder.name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    arguments = {key: value for key, value in recipe.arguments.items() if key != "deep_supervision"}
    wanted = build(recipe.network, **arguments).state_dict().keys()
    # contiguous: training keeps convolutions channels-last, the file does not.
    half = {name: weights[name].half().contiguous() for name in wanted}
    save_file(half, str(work / WEIGHTS_FILE))
    (work / WEIGHTS_FILE).chmod(0o644)  # safetensors writes files that only their owner may read
    content = (work / WEIGHTS_FILE).read_bytes()
    weights_entry = Weights(WEIGHTS_FILE, _sha256(content), "float16", len(content))
    card = _card(recipe, arguments, data, version, weights_entry)
    if one_lesion:
        card = dataclasses.replace(card, smallest_component_share=1.0, not_for=(*card.not_for, LARGEST_ONLY))
    write_card(card, work)
    choice = _calibrated(work, data, say)
    write_card(
        dataclasses.replace(card, threshold=choice.threshold, smallest_component_ml=choice.smallest_component_ml), work
    )
    shutil.rmtree(folder, ignore_errors=True)
    work.replace(folder)
    return card.weights.sha256


def _calibrated(folder: Path, data: Path, say: Callable[[str], None]) -> Choice:
    say("choosing threshold and smallest lesion on the tuning patients")
    model = load_model(folder, "cpu")
    studies = list(load_studies(sts_patients(data, "tune")))
    choices = calibrate(studies, model, SegmentOptions(device="cpu"), say)
    for choice in choices[:5]:
        say(
            f"threshold {choice.threshold:.1f}, smallest {choice.smallest_component_ml:.1f} ml: "
            f"Dice {choice.dice:.4f}, HD95 {choice.hd95_mm:.2f} mm"
        )
    return choices[0]


def _card(recipe: Recipe, arguments: dict[str, object], data: Path, version: str, weights: Weights) -> ModelCard:
    patients = tuple(patient.name for patient in sts_patients(data, "train"))
    return ModelCard(
        name=recipe.name,
        version=version,
        title=recipe.title,
        network=recipe.network,
        arguments={**arguments, "modalities": list(recipe.modalities)},
        modalities=recipe.modalities,
        units={"CT": "HU", "PET": "SUVbw"},
        clip=recipe.clip,
        spacing_mm=recipe.spacing_mm,
        patch=recipe.patch,
        labels=(TUMOUR,),
        weights=weights,
        training=Training(
            data="26 patients of the Soft-tissue-Sarcoma collection (TCIA), CT and FDG-PET; 5 more for the settings",
            licence="CC BY 3.0",
            attribution=ATTRIBUTION,
            patients=patients,
            command=f"petctfusion train {recipe.name.replace('-', '_')} --seed {recipe.seed}",
            commit=current_commit() or "",
            seed=recipe.seed,
        ),
        licence="Apache-2.0",
        not_for=NOT_FOR,
        flips=FLIPS,
        overlap=OVERLAP,
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
