"""A training recipe: one short TOML file, read into a dataclass that refuses what it does not know."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from petctfusion.errors import BadInputError
from petctfusion.training.about import About
from petctfusion.training.augmentation import Augmentation
from petctfusion.training.loss_settings import LossSettings
from petctfusion.training.objective_settings import ObjectiveSettings
from petctfusion.training.schedules import require_schedule
from petctfusion.training.settings import did_you_mean, read_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_RECIPES = Path(__file__).parent / "recipes"
KEEP = ("last", "best")
PRECISIONS = ("float32", "bfloat16", "auto")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, except the data. Lengths in mm, arrays in (z, y, x).

    `patience_scores`: training ends after so many tuning scores in a row without a better one, 0 for never. `keep`: the
    averaged weights of the "last" step or of the "best" tuning score. `precision` of the network's forward and backward
    pass: "float32", "bfloat16", or "auto", which is bfloat16 where the hardware has it.
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
        if self.patience_scores < 0:
            raise BadInputError("patience_scores must be 0 or more.", "0 trains to the last step.")
        if not self.clip:
            raise BadInputError("The recipe names no modality.", "Give each its limits in [clip], in order.")

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities in the network's order."""
        return tuple(self.clip)


def read_recipe(name_or_path: str, **overrides: Any) -> Recipe:
    """A recipe of the package by name, or a TOML file; `overrides` replace single values. Raises `BadInputError`."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = _RECIPES / f"{name_or_path}.toml"
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError:
        known = ", ".join(recipe_names())
        raise BadInputError(f"There is no recipe {name_or_path!r}.", f"Known: {known}; or give a TOML file.") from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadInputError(f"The recipe {path} cannot be read: {error}.", "Correct the TOML file.") from error
    return _recipe(path, {**values, **{key: value for key, value in overrides.items() if value is not None}})


def recipe_names() -> list[str]:
    """Names of the recipes in the package."""
    return sorted(path.stem for path in _RECIPES.glob("*.toml"))


def _recipe(path: Path, values: dict[str, Any]) -> Recipe:
    return read_table(Recipe, values, f"The recipe {path.name}")
