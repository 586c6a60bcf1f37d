"""One training session from data folder to model folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.inference.devices import has_fast_half, list_devices, plan_device
from petctfusion.training.allocator import keep_memory
from petctfusion.training.case_cache import PreparationSettings
from petctfusion.training.cases import Case
from petctfusion.training.distributed import Team, connected, team_here
from petctfusion.training.export import DEFAULT_THREADS, Cohort, export_model, weights_sha256
from petctfusion.training.material import Material, TrainingData, choose_patients
from petctfusion.training.preprocessed import Preparation, prepare
from petctfusion.training.pretraining.export import export_encoder
from petctfusion.training.recipe import Recipe
from petctfusion.training.trainer import Report, Trainer

__all__ = ["RunSettings", "TrainingData", "TrainingOutcome", "train_model"]

# More than this share of the free memory stays on disk.
_MEMORY_SHARE = 0.4


@dataclass(frozen=True)
class RunSettings:
    """Where and how a recipe is run; none of it decides the weights, except `threads` their last bits.

    `folder`: checkpoint, logs, continued if they exist. `model_folder`: default folder/model. `cache`: prepared cases,
    default folder/cache. `jobs`: patients prepared at a time. `stop_at`: the step to stop at, without a model.
    `command`: what the model's card says it was made by, where that is no `petctfusion train`.
    """

    folder: Path
    model_folder: Path | None = None
    version: str = "1.0.0"
    device: str = "cpu"
    threads: int = DEFAULT_THREADS
    jobs: int = 2
    cache: Path | None = None
    stop_at: int | None = None
    command: str = ""


@dataclass(frozen=True)
class TrainingOutcome:
    """sha256 of the weights, what was written unless the run was stopped before its end, steps and their seconds.

    A pre-training leaves no model but a file of encoders. `seconds` are those of the training steps alone, summed over
    all sittings.
    """

    sha256: str
    model_folder: Path | None
    steps: int
    seconds: float
    encoder: Path | None = None


def train_model(
    recipe: Recipe, data: TrainingData, run: RunSettings, report: Report, say: Callable[[str], None]
) -> TrainingOutcome:
    """Train `recipe` on a data set, choose threshold and smallest lesion on its tuning patients, write the model.

    A recipe with [pretraining] ends with the encoders instead.

    A run that exists in `run.folder` is continued. Under `torchrun` all its processes share the work; the first one
    writes, scores and reports. Raises `BadInputError` for a recipe, data set or checkpoint that cannot be used,
    `DeviceError`, `OutOfMemoryError`, and `OutputError` (the last good checkpoint stays).
    """
    # Sums are split among threads: the number is part of what decides the last bits.
    torch.set_num_threads(run.threads)
    keep_memory()
    team = team_here()
    device = plan_device(_own_device(run.device, team))
    quiet = say if team.is_first else _silent
    with connected(team, device):
        if device == "cpu" and recipe.precision == "bfloat16" and not has_fast_half(device):
            quiet("this processor has no bfloat16: it is imitated and slow; the recipe's precision could be auto")
        material, preparation = _prepared(recipe, data, run, team, quiet)
        mapped = _is_too_large(preparation)
        train, tune = (preparation.cases(list(part), mapped) for part in (material.train, material.tune))
        drawing_threads = 1 if device == "cpu" else max(1, run.jobs)
        trainer = Trainer(recipe, train, tune, run.folder, device, team, True, drawing_threads, quiet)
        quiet(f"{len(train)} patients to learn from, {len(tune)} to choose on")
        if trainer.step:
            quiet(f"continuing at step {trainer.step}")
        trainer.run(report, run.stop_at)
        return _outcome(trainer, data, material, run, quiet)


def _outcome(
    trainer: Trainer, data: TrainingData, material: Material, run: RunSettings, say: Callable[[str], None]
) -> TrainingOutcome:
    weights = trainer.weights()
    if not trainer.is_finished or not trainer.team.is_first:
        return TrainingOutcome(weights_sha256(weights), None, trainer.step, trainer.seconds)
    if trainer.watch.keeps_weights and trainer.watch.weights is not None:
        say(f"keeping the weights of step {trainer.watch.best_step}, the best tuning score")
    if trainer.recipe.pretraining is not None:
        encoder = export_encoder(trainer, weights, run.folder, say)
        return TrainingOutcome(weights_sha256(weights), None, trainer.step, trainer.seconds, encoder)
    folder = run.model_folder or run.folder / "model"
    usable = {case.name for case in trainer.tune}
    cohort = Cohort(
        data,
        tuple(case.name for case in trainer.train),
        tuple(patient for patient in material.tune if patient.name in usable),
        _one_lesion_each(trainer.train),
        run.threads,
        trainer.initial,
        run.command,
    )
    sha256 = export_model(trainer.recipe, weights, cohort, folder, run.version, say)
    return TrainingOutcome(sha256, folder, trainer.step, trainer.seconds)


def _prepared(
    recipe: Recipe, data: TrainingData, run: RunSettings, team: Team, say: Callable[[str], None]
) -> tuple[Material, Preparation]:
    """Patients by their part and what became of each; the first process of a machine fills the cache."""
    material = choose_patients(data, say)
    settings = PreparationSettings(recipe.spacing_mm, recipe.clip, recipe.may_lack)
    cache = run.cache or run.folder / "cache"
    fills = team.local_rank == 0
    if not fills:
        team.wait()
    say(f"preparing {len(material.patients)} patients")
    preparation = prepare(material.patients, settings, cache, run.jobs if fills else 1, _counted(say))
    if fills:
        team.wait()
    for line in preparation.lines:
        say(line)
    usable = {patient.name for patient in preparation.patients}
    if not any(patient.name in usable for patient in material.train):
        raise BadInputError("None of the patients to learn from can be used.", "Correct the data set.")
    return material, preparation


def _one_lesion_each(cases: list[Case]) -> bool:
    """Whether every contour is one 26-connected part."""
    touching = np.ones((3, 3, 3), dtype=bool)
    return all(ndimage.label(case.contour >= 0.5, structure=touching)[1] == 1 for case in cases)


def _counted(say: Callable[[str], None]) -> Callable[[int, int], None]:
    """A line every tenth of the patients."""
    told = 0

    def report(done: int, total: int) -> None:
        nonlocal told
        if 10 * done // total > told and done < total:
            told = 10 * done // total
            say(f"prepared {done} of {total}")

    return report


def _is_too_large(preparation: Preparation) -> bool:
    free = list_devices()[0].free_bytes
    size = sum(path.stat().st_size for one in preparation.prepared for path in one.folder.glob("*.npy"))
    return free is not None and size > _MEMORY_SHARE * free


def _own_device(wanted: str, team: Team) -> str:
    """Each process of a machine its own GPU, unless one is named."""
    if team.size == 1 or wanted not in ("auto", "cuda"):
        return wanted
    return f"cuda:{team.local_rank}" if wanted == "cuda" or torch.cuda.is_available() else "cpu"


def _silent(_: str) -> None:
    """The other processes of a team say nothing."""
