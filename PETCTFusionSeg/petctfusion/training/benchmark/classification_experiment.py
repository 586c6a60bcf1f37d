"""Trains system E on lesions with classes, and measures it on those for tuning and for the test."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petctfusion.errors import BadInputError
from petctfusion.inference import LoadedModel, SegmentOptions, load_model
from petctfusion.inference.devices import plan_device
from petctfusion.phantom.cohort_making import TABLE
from petctfusion.training.benchmark.classification_results import write_result
from petctfusion.training.benchmark.classification_run import LesionRow, lesions_of, measure_lesions
from petctfusion.training.benchmark.origin import origin_of
from petctfusion.training.benchmark.system import Say
from petctfusion.training.recipe import read_recipe
from petctfusion.training.session import RunSettings, TrainingData, train_model
from petctfusion.training.trainer import TrainingProgress

_TOLD_STEPS = 100


@dataclass(frozen=True)
class ClassificationWish:
    """One row: the recipe with `changes` laid over it."""

    name: str
    title: str
    changes: Mapping[str, Any]
    cohort: Path
    results: Path
    work: Path
    recipe: str
    seed: int
    steps: int | None
    device: str
    threads: int

    @property
    def path(self) -> Path:
        """Of its result."""
        return self.results / f"{self.name}-seed{self.seed}.json"


def train_and_measure(wish: ClassificationWish, say: Say) -> None:
    """A training that was stopped is continued. Raises `FusionError`."""
    recipe = read_recipe(wish.recipe, wish.changes, seed=wish.seed, steps=wish.steps)
    if recipe.objective.lesion_class_weight <= 0:
        raise BadInputError(f"{recipe.name} teaches no classes.", "Set lesion_class_weight in [objective].")
    lesions = [*lesions_of(wish.cohort, "tune"), *lesions_of(wish.cohort, "test")]
    device = plan_device(wish.device)
    command = f"petctfusion benchmark classification --cohort TEXTURES --row {wish.name} --seed {wish.seed}"
    command += f" --threads {wish.threads}" + ("" if wish.steps is None else f" --steps {wish.steps}")
    folder = wish.work / f"{wish.name}-seed{wish.seed}"
    settings = RunSettings(
        folder, device=device, threads=wish.threads, jobs=1, cache=wish.work / "cache", command=command
    )

    def report(progress: TrainingProgress) -> None:
        if progress.step % _TOLD_STEPS == 0:
            left = (progress.steps - progress.step) * progress.seconds_per_step / 60
            say(f"step {progress.step} of {progress.steps}, loss {progress.loss:.3f}, about {left:.0f} min left")

    say(f"{wish.name}: {recipe.steps} steps, seed {recipe.seed}")
    outcome = train_model(recipe, TrainingData("csv", wish.cohort / TABLE), settings, report, say)
    assert outcome.model_folder is not None  # only a run that was told to stop early has no model
    model = load_model(outcome.model_folder, device)
    assert isinstance(model, LoadedModel)

    def tell(row: LesionRow) -> None:
        said = "nothing found" if row.probability is None else f"rim with {row.probability:.2f}"
        say(f"{row.patient} (class {row.lesion_class}): {said}, Dice {row.dice:.3f}")

    rows = measure_lesions(lesions, model, SegmentOptions(device=device), tell)
    values = {
        "name": wish.name,
        "title": wish.title,
        "seed": wish.seed,
        "origin": dataclasses.asdict(origin_of(command, device, wish.threads)),
        "training": {
            "recipe": dataclasses.asdict(recipe),
            "steps": outcome.steps,
            "training_seconds": outcome.seconds,
            "weights_sha256": model.card.sha256,
            "threshold": model.card.threshold,
        },
        "rows": [row.to_json() for row in rows],
    }
    write_result(wish.path, values)
    say(f"{wish.name}: written to {wish.path.name}")
