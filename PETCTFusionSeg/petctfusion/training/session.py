"""One training session from data folder to model folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from petctfusion.training.cases import Case, load_sts_cases
from petctfusion.training.datasets.sts import sts_patients
from petctfusion.training.export import export_model, weights_sha256
from petctfusion.training.recipe import Recipe
from petctfusion.training.trainer import Report, Trainer


@dataclass(frozen=True)
class TrainingOutcome:
    """The sha256 of the averaged weights, and the model folder unless the run was stopped early."""

    sha256: str
    model_folder: Path | None


def train_sts(
    recipe: Recipe,
    data: Path,
    folder: Path,
    model_folder: Path,
    version: str,
    device: str,
    threads: int,
    stop_at: int | None,
    report: Report,
    say: Callable[[str], None],
) -> TrainingOutcome:
    """Train `recipe` on the training patients of the sarcoma collection and calibrate it on the tuning patients."""
    # Sums are split among threads: the number is part of what decides the last bits.
    torch.set_num_threads(threads)
    say("reading patients")
    train = load_sts_cases(sts_patients(data, "train"), recipe.spacing_mm, recipe.clip)
    tune = load_sts_cases(sts_patients(data, "tune"), recipe.spacing_mm, recipe.clip)
    trainer = Trainer(recipe, train, tune, folder, device)
    if trainer.step:
        say(f"continuing at step {trainer.step}")
    trainer.run(report, stop_at)
    weights = trainer.averaged_weights()
    if trainer.step < recipe.steps:
        return TrainingOutcome(weights_sha256(weights), None)
    sha256 = export_model(recipe, weights, data, model_folder, version, _one_lesion_each(train), say)
    return TrainingOutcome(sha256, model_folder)


def _one_lesion_each(cases: list[Case]) -> bool:
    """Whether every contour is one 26-connected part."""
    touching = np.ones((3, 3, 3), dtype=bool)
    return all(ndimage.label(case.contour >= 0.5, structure=touching)[1] == 1 for case in cases)
