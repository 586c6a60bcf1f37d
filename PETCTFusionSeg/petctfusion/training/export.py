"""From averaged weights to a model folder: float16 safetensors and the card, settings chosen on tuning patients."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save, save_file

from petctfusion.errors import OutputError
from petctfusion.inference import SegmentOptions, load_model
from petctfusion.models import ClickGuidance, Code, LabelSpec, ModelCard, Terminology, Training, Weights, write_card
from petctfusion.networks import build
from petctfusion.training.calibration import Choice, calibrate, choose
from petctfusion.training.card_texts import LARGEST_ONLY, card_texts
from petctfusion.training.datasets.patient import Patient
from petctfusion.training.initial import Initial
from petctfusion.training.material import TrainingData
from petctfusion.training.optimiser import network_arguments
from petctfusion.training.provenance import current_commit
from petctfusion.training.recipe import Recipe
from petctfusion.training.tuning_studies import tuning_studies
from petctfusion.volumes.writing import output_error

WEIGHTS_FILE = "weights.safetensors"
TUMOUR = LabelSpec(
    value=1,
    name="GTV",
    terminology=Terminology(
        category=Code("SCT", "49755003", "Morphologically Altered Structure"), type=Code("SCT", "108369006", "Neoplasm")
    ),
    color=(230, 159, 0),  # orange of Okabe and Ito's colour-blind-safe set
)
# Mirrored left-right and front-back, averaged: four passes. Up-down is left out, which keeps whole bodies affordable.
FLIPS = ("y", "x")
OVERLAP = 0.5
DEFAULT_THREADS = 2
_UNITS = {"CT": "HU", "PET": "SUVbw", "MR": "arbitrary"}


def weights_sha256(weights: dict[str, torch.Tensor]) -> str:
    """sha256 of the weights as they are, before any rounding: two equal runs agree on it."""
    return hashlib.sha256(save({name: tensor.contiguous() for name, tensor in weights.items()})).hexdigest()


@dataclasses.dataclass(frozen=True)
class Cohort:
    """The data set of a run, the names of those it learnt from, and the patients its settings are chosen on.

    `threads`: of the run, as they decide the last bits of the weights. `initial`: what it began with.
    `command`: what made it, where that is no `petctfusion train`.
    """

    data: TrainingData
    learnt_from: tuple[str, ...]
    chosen_on: tuple[Patient, ...]
    one_lesion_each: bool
    threads: int = DEFAULT_THREADS
    initial: Initial | None = None
    command: str = ""


def export_model(
    recipe: Recipe,
    weights: dict[str, torch.Tensor],
    cohort: Cohort,
    folder: Path,
    version: str,
    say: Callable[[str], None],
) -> str:
    """Write `folder` whole or not at all; returns the sha256 of its weights file. Raises `OutputError`.

    When every training contour is one connected part, the model keeps its largest region only.
    """
    work = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        sha256 = _write(recipe, weights, cohort, work, version, say)
        shutil.rmtree(folder, ignore_errors=True)
        work.replace(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return sha256


def _write(
    recipe: Recipe,
    weights: dict[str, torch.Tensor],
    cohort: Cohort,
    work: Path,
    version: str,
    say: Callable[[str], None],
) -> str:
    arguments = {key: value for key, value in network_arguments(recipe).items() if key != "deep_supervision"}
    wanted = build(recipe.network, **arguments).state_dict().keys()
    # contiguous: training keeps convolutions channels-last, the file does not.
    half = {name: _halved(weights[name]).contiguous() for name in wanted}
    try:
        save_file(half, str(work / WEIGHTS_FILE))
    except SafetensorError as error:
        raise OutputError(f"The weights could not be written: {error}.", "Free some space on the disk.") from error
    (work / WEIGHTS_FILE).chmod(0o644)  # safetensors writes files that only their owner may read
    content = (work / WEIGHTS_FILE).read_bytes()
    weights_entry = Weights(WEIGHTS_FILE, _sha256(content), "float16", len(content))
    card = _card(recipe, arguments, cohort, version, weights_entry)
    if cohort.one_lesion_each:
        card = dataclasses.replace(card, smallest_component_share=1.0, not_for=(*card.not_for, LARGEST_ONLY))
    write_card(card, work)
    if cohort.chosen_on:
        choice = _calibrated(work, cohort, recipe.modalities, say)
        smallest = choice.smallest_component_ml
        write_card(dataclasses.replace(card, threshold=choice.threshold, smallest_component_ml=smallest), work)
    return card.weights.sha256


def _calibrated(folder: Path, cohort: Cohort, modalities: tuple[str, ...], say: Callable[[str], None]) -> Choice:
    say("choosing threshold and smallest lesion on the tuning patients")
    model = load_model(folder, "cpu")
    studies = tuning_studies(cohort.data, cohort.chosen_on, modalities)
    choices = calibrate(studies, model, SegmentOptions(device="cpu"), say, cohort.one_lesion_each)
    chosen = choose(choices)
    for choice in dict.fromkeys([*choices[:5], chosen]):
        say(
            f"threshold {choice.threshold:.1f}, smallest {choice.smallest_component_ml:.1f} ml: "
            f"Dice {choice.dice:.4f}, HD95 {choice.hd95_mm:.2f} mm" + (" (chosen)" if choice == chosen else "")
        )
    return chosen


def _card(recipe: Recipe, arguments: dict[str, object], cohort: Cohort, version: str, weights: Weights) -> ModelCard:
    data = cohort.data
    texts = card_texts(recipe.about, data, recipe.modalities, len(cohort.learnt_from), len(cohort.chosen_on))
    fold, of_fold, options = "", "", ""
    if data.folds is not None:
        number, parts, _ = data.folds
        fold, of_fold = f"-fold-{number}", f" (fold {number} of {parts})"
        options = f" --folds {parts} --fold {number}"
    if data.kind != "sts":
        options = f" --kind {data.kind}" + (f" --label {data.label}" if data.label else "") + options
    threads = "" if cohort.threads == DEFAULT_THREADS else f" --threads {cohort.threads}"
    command = f"petctfusion train {recipe.name.replace('-', '_')}{options} --seed {recipe.seed}{threads}"
    begun = "" if cohort.initial is None else f"; begun with {cohort.initial}, sha256 {cohort.initial.sha256}"
    seen = () if cohort.initial is None else cohort.initial.patients
    return ModelCard(
        name=recipe.name + fold,
        version=version,
        title=recipe.title + of_fold,
        network=recipe.network,
        arguments=arguments,
        modalities=recipe.modalities,
        units={kind: _UNITS[kind] for kind in recipe.modalities},
        clip=recipe.clip,
        spacing_mm=recipe.spacing_mm,
        patch=recipe.patch,
        labels=(dataclasses.replace(TUMOUR, name=recipe.about.segment),),
        weights=weights,
        training=Training(
            data=texts.data + begun,
            licence=texts.licence,
            attribution=texts.attribution,
            patients=tuple(dict.fromkeys((*cohort.learnt_from, *seen))),
            command=cohort.command or command,
            commit=current_commit() or "",
            seed=recipe.seed,
        ),
        licence="Apache-2.0",
        not_for=texts.not_for,
        flips=tuple(axis for axis in FLIPS if axis in recipe.augmentation.flip_axes),
        overlap=OVERLAP,
        clicks=None if recipe.clicks is None else ClickGuidance(recipe.clicks.radius_mm),
    )


def _halved(tensor: torch.Tensor) -> torch.Tensor:
    """Counters of a BatchNorm stay whole numbers."""
    return tensor.half() if tensor.is_floating_point() else tensor


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
