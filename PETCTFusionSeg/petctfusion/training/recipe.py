"""A training recipe: one short TOML file, read into a dataclass that refuses what it does not know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from petctfusion.errors import BadInputError
from petctfusion.training.about import About
from petctfusion.training.augmentation import Augmentation
from petctfusion.training.click_settings import ClickSettings
from petctfusion.training.loss_settings import LossSettings
from petctfusion.training.objective_settings import ObjectiveSettings
from petctfusion.training.pretraining_settings import PretrainingSettings
from petctfusion.training.schedules import require_schedule
from petctfusion.training.settings import did_you_mean, read_table, read_toml, toml_names

_RECIPES = Path(__file__).parent / "recipes"
KEEP = ("last", "best")
PRECISIONS = ("float32", "bfloat16", "auto")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, except the data. Lengths in mm, arrays in (z, y, x).

    `patience_scores`: training ends after so many tuning scores in a row without a better one, 0 for never. `keep`: the
    averaged weights of the "last" step or of the "best" tuning score. `precision` of the network's forward and backward
    pass: "float32", "bfloat16", or "auto", which is bfloat16 where the hardware has it. `pretraining`: this is no
    segmentation, but the pre-training of its encoders. `initial`: what the weights begin as instead of random ones, a
    file of pre-trained encoders or a model by name or folder, "" for none; `initial_rate_factor`: times the learning
    rate for what is to keep most of what it began with (`transferred_parameters` of the network). `clicks`: the network
    learns to answer clicks, which are simulated, and nothing else. `may_lack`:
    modalities that a patient may lack: he is learnt from all the same, by a network that can do without them.
    """

    name: str
    title: str
    network: str
    arguments: dict[str, Any]
    spacing_mm: tuple[float, float, float]
    patch: tuple[int, int, int]
    clip: dict[str, tuple[float, float]]
    steps: int
    batch: int
    seed: int = 1
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    physical_rate_factor: float = 0.1
    schedule: str = "cosine"
    polynomial_power: float = 0.9
    warm_up_steps: int = 100
    gradient_clip: float = 1.0
    ema_decay: float = 0.999
    score_every: int = 500
    checkpoint_every: int = 100
    patience_scores: int = 0
    keep: str = "last"
    precision: str = "float32"
    initial: str = ""
    initial_rate_factor: float = 1.0
    may_lack: tuple[str, ...] = ()
    pretraining: PretrainingSettings | None = None
    clicks: ClickSettings | None = None
    about: About = field(default_factory=About)
    loss: LossSettings = field(default_factory=LossSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        require_schedule(self.schedule, self.polynomial_power)
        for name, known in (("keep", KEEP), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise BadInputError(
                    f"{name} = {getattr(self, name)!r} is not known.", did_you_mean(getattr(self, name), known)
                )
        for name in ("steps", "batch", "score_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise BadInputError(f"{name} = {getattr(self, name)} must be 1 or more.", "Correct the recipe.")
        if not 0 <= self.initial_rate_factor < math.inf:
            raise BadInputError("initial_rate_factor must be 0 or more.", "0 leaves what was carried over as it is.")
        if self.patience_scores < 0:
            raise BadInputError("patience_scores must be 0 or more.", "0 trains to the last step.")
        if self.pretraining is not None:
            self._require_no_contour()
            if self.clicks is not None:
                raise BadInputError("A pre-training has no clicks.", "Take [clicks] out of the recipe.")
        if not self.clip:
            raise BadInputError("The recipe names no modality.", "Give each its limits in [clip], in order.")

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities in the network's order."""
        return tuple(self.clip)

    def _require_no_contour(self) -> None:
        change = self.augmentation
        if change.foreground_probability > 0 or change.uncropped_probability < 1:
            raise BadInputError(
                "A pre-training sees no contour, and its patches are to be drawn around one.",
                "Set foreground_probability = 0 and uncropped_probability = 1 in [augmentation].",
            )


def read_recipe(name_or_path: str, changes: Mapping[str, Any] | None = None, **overrides: Any) -> Recipe:
    """A recipe of the package by name, or a TOML file. Raises `BadInputError`.

    `changes` are laid over it key by key, tables too; `overrides` replace single values, None replaces nothing.
    """
    path, values = read_toml(name_or_path, _RECIPES, "recipe")
    values = _merged(values, changes or {})
    replaced = {key: value for key, value in overrides.items() if value is not None}
    return read_table(Recipe, {**values, **replaced}, f"The recipe {path.name}")


def recipe_names() -> list[str]:
    """Names of the recipes in the package."""
    return toml_names(_RECIPES)


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for key, value in changes.items():
        before = merged.get(key)
        merged[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, Mapping) else value
    return merged
