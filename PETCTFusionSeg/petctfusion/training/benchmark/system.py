"""What the benchmark asks of a system: train it under a budget, then let it contour studies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import SimpleITK as sitk

from petctfusion.training.benchmark.study import Study

BudgetName = Literal["quick", "full"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """One training that is wanted. `folder` is the run's own: a stopped training in it is continued, not repeated.

    `command` is the one that asked for it.
    """

    data: Path
    folder: Path
    budget: BudgetName
    seed: int
    device: str = "cpu"
    threads: int = 2
    command: str = ""


@dataclass(frozen=True)
class Facts:
    """What a table says beside the scores; None where it does not exist or was not measured.

    `recipe`: every setting of the training, as plain values. `steps`: optimiser steps done. `training_seconds`: wall
    time of the training steps, over all sittings. `macs`: multiply-accumulates of one window of `window` voxels.
    `precision`: number format at inference. `threshold` on the probability, chosen on the tuning patients.
    """

    recipe: dict[str, Any] | None = None
    steps: int | None = None
    training_seconds: float | None = None
    parameters: int | None = None
    macs: int | None = None
    window: tuple[int, ...] | None = None
    precision: str = "float32"
    threshold: float | None = None
    smallest_component_ml: float | None = None
    weights_sha256: str | None = None
    note: str = ""


class Method(Protocol):
    """Something that contours a study, whole pipeline; it never looks at `study.contour`."""

    @property
    def facts(self) -> Facts:
        """What is known beside the scores."""

    def segment(self, study: Study) -> sitk.Image:
        """The mask (uint8, not zero inside) on the grid of `study.ct` or any other; runs once per study."""


class System(Protocol):
    """One line of the benchmark that has to be trained."""

    @property
    def name(self) -> str:
        """A word."""

    @property
    def title(self) -> str:
        """What a reader of the table sees."""

    def train(self, order: Order, say: Say) -> Method:
        """Trains on the training patients, or continues; settings come from the tuning patients only.

        Never reads a validation patient. A training that is already finished in `order.folder` is only loaded. Raises
        `FusionError`.
        """
