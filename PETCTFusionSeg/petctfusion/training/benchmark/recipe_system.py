"""A network of the registry, trained by its recipe."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from petctfusion.inference import SegmentOptions, load_model
from petctfusion.training.benchmark.budget import under_budget
from petctfusion.training.benchmark.model_method import ModelMethod, model_facts
from petctfusion.training.benchmark.system import Order, Say
from petctfusion.training.recipe import read_recipe
from petctfusion.training.session import RunSettings, TrainingData, train_model
from petctfusion.training.trainer import TrainingProgress

_TOLD_STEPS = 100


@dataclass(frozen=True)
class RecipeSystem:
    """`recipe`: the name of a recipe of the package, or a TOML file. Prepared patients are shared between runs."""

    name: str
    title: str
    recipe: str

    def train(self, order: Order, say: Say) -> ModelMethod:
        """See `system.System`; the model folder is `order.folder / "model"`."""
        recipe = under_budget(read_recipe(self.recipe, seed=order.seed), order.budget)
        run = RunSettings(
            folder=order.folder,
            model_folder=None,
            device=order.device,
            threads=order.threads,
            cache=order.folder.parent / "cache",
        )

        def report(progress: TrainingProgress) -> None:
            if progress.step % _TOLD_STEPS == 0:
                left = (progress.steps - progress.step) * progress.seconds_per_step / 60
                say(f"step {progress.step} of {progress.steps}, loss {progress.loss:.3f}, about {left:.0f} min left")

        outcome = train_model(recipe, TrainingData("sts", order.data), run, report, say)
        assert outcome.model_folder is not None  # only a run that was told to stop early has no model
        model = load_model(outcome.model_folder, order.device)
        facts = dataclasses.replace(
            model_facts(model),
            recipe=dataclasses.asdict(recipe),
            steps=outcome.steps,
            training_seconds=outcome.seconds,
        )
        return ModelMethod(model, SegmentOptions(device=order.device), facts)
