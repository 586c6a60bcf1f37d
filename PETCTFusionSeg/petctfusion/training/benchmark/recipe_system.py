"""A network of the registry, trained by its recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from petctfusion.errors import BadInputError
from petctfusion.inference import SegmentOptions, load_model
from petctfusion.networks.anatomy_prompted import MaskedReconstruction
from petctfusion.training.benchmark.budget import under_budget
from petctfusion.training.benchmark.model_method import ModelMethod, model_facts
from petctfusion.training.benchmark.system import BudgetName, Order, Say
from petctfusion.training.objectives import objective_for
from petctfusion.training.optimiser import network_of
from petctfusion.training.pretraining.encoder import ENCODER_FILE, PretrainedEncoder, carry_over, read_encoder
from petctfusion.training.recipe import Recipe, read_recipe
from petctfusion.training.session import RunSettings, TrainingData, TrainingOutcome, train_model
from petctfusion.training.trainer import TrainingProgress

_TOLD_STEPS = 100


@dataclass(frozen=True)
class RecipeSystem:
    """`recipe`: the name of a recipe of the package, or a TOML file. Prepared patients are shared between runs.

    `changes` are laid over it. `pretraining`: the recipe of the encoders that it begins with, trained first where that
    was not done yet; runs that begin with the same ones share them.
    """

    name: str
    title: str
    recipe: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    pretraining: str = ""

    def resolved(self, budget: BudgetName, seed: int) -> Recipe:
        """The recipe of one training; `initial` relative to the folder of the trainings. Raises `BadInputError`."""
        recipe = under_budget(read_recipe(self.recipe, self.changes, seed=seed), budget)
        return dataclasses.replace(recipe, initial=self._encoder_path(budget, seed)) if self.pretraining else recipe

    def require_trainable(self, budget: BudgetName) -> None:
        """Builds all of it once. Raises `BadInputError` for what would else be told when its training begins."""
        recipe = self.resolved(budget, 1)
        network = network_of(recipe)
        objective_for(recipe, network)
        if self.pretraining:
            before = self._pretraining_recipe(budget, 1)
            if before.pretraining is None:
                raise BadInputError(f"{self.pretraining} is no pre-training.", "Name a recipe with [pretraining].")
            state = cast(MaskedReconstruction, network_of(before)).encoder_state()
            carry_over(PretrainedEncoder(state, before.name, before.seed, 0, ()), network, ())

    def train(self, order: Order, say: Say) -> ModelMethod:
        """See `system.System`; the model folder is `order.folder / "model"`."""
        recipe, note, work = self.resolved(order.budget, order.seed), "", order.folder.parent
        told = dataclasses.asdict(recipe)
        if self.pretraining:
            encoder = read_encoder(self._encoder(order, say))
            note = f"begun with {encoder}, {encoder.steps} steps, sha256 {encoder.sha256[:12]}"
            recipe = dataclasses.replace(recipe, initial=str(work / recipe.initial))
        outcome = _trained(recipe, order, order.folder, say, order.command if self.changes else "")
        assert outcome.model_folder is not None  # only a run that was told to stop early has no model
        model = load_model(outcome.model_folder, order.device)
        facts = dataclasses.replace(
            model_facts(model),
            recipe=told,
            steps=outcome.steps,
            training_seconds=outcome.seconds,
            note=note,
        )
        return ModelMethod(model, SegmentOptions(device=order.device), facts)

    def _encoder(self, order: Order, say: Say) -> Path:
        """A finished pre-training is only written anew, from its checkpoint, which knows recipe and patients."""
        path = order.folder.parent / self._encoder_path(order.budget, order.seed)
        recipe = self._pretraining_recipe(order.budget, order.seed)
        if not path.exists():
            say(f"{self.name}: pre-training first, {recipe.title}, seed {order.seed}")
        _trained(recipe, order, path.parent, say)
        return path

    def _pretraining_recipe(self, budget: BudgetName, seed: int) -> Recipe:
        return under_budget(read_recipe(self.pretraining, seed=seed), budget)

    def _encoder_path(self, budget: BudgetName, seed: int) -> str:
        return f"{Path(self.pretraining).stem}-{budget}-seed{seed}/{ENCODER_FILE}"


def _trained(recipe: Recipe, order: Order, folder: Path, say: Say, command: str = "") -> TrainingOutcome:
    run = RunSettings(
        folder=folder,
        model_folder=None,
        device=order.device,
        threads=order.threads,
        cache=folder.parent / "cache",
        command=command,
    )

    def report(progress: TrainingProgress) -> None:
        if progress.step % _TOLD_STEPS == 0:
            left = (progress.steps - progress.step) * progress.seconds_per_step / 60
            say(f"step {progress.step} of {progress.steps}, loss {progress.loss:.3f}, about {left:.0f} min left")

    return train_model(recipe, TrainingData("sts", order.data), run, report, say)
