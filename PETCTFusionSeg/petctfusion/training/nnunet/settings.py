"""What is left to choose of nnU-Net: its plan's memory, and how long it trains. Imports no torch."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass
from typing import Any

from petctfusion.errors import BadInputError


@dataclass(frozen=True)
class NnUNetSettings:
    """One training; everything else is nnU-Net's own default.

    `configuration`: "2d", or "3d_fullres". `gpu_memory_gb`: what its planner fits patch and batch into (None: its own
    8 GB). An epoch is `iterations` optimiser steps and `validation_iterations` batches of the tuning patients; its
    learning rate falls over `epochs`. `mirroring`: averages mirrored copies at inference, as nnU-Net does by default.
    """

    configuration: str = "2d"
    gpu_memory_gb: float | None = None
    epochs: int = 1000
    iterations: int = 250
    validation_iterations: int = 50
    mirroring: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.configuration not in ("2d", "3d_fullres"):
            raise BadInputError(
                f"There is no configuration {self.configuration!r} of nnU-Net here.", "Use 2d or 3d_fullres."
            )
        if min(self.epochs, self.iterations, self.validation_iterations) < 1 or (
            self.gpu_memory_gb is not None and self.gpu_memory_gb <= 0
        ):
            raise BadInputError("nnU-Net's epochs, iterations and memory must be above 0.", "Correct them.")

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self.epochs * self.iterations

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def require_nnunet() -> None:
    """Raises `BadInputError` with the command to install it where nnU-Net is missing."""
    if importlib.util.find_spec("nnunetv2") is None:
        raise BadInputError("nnU-Net v2 is not installed.", 'Install it: python -m pip install "petctfusion[nnunet]".')
