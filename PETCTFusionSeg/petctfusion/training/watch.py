"""The best tuning score so far, the weights that reached it, and when there is no more to hope for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class TuningWatch:
    """`patience`: scores in a row without a better one after which training ends, 0 for never.

    `keeps_weights`: whether the weights of the best score are kept.
    """

    patience: int
    keeps_weights: bool
    best: float = -math.inf
    best_step: int = 0
    since: int = 0
    weights: dict[str, torch.Tensor] | None = None

    @property
    def is_over(self) -> bool:
        """Whether training should end."""
        return 0 < self.patience <= self.since

    def see(self, step: int, score: float, weights: dict[str, torch.Tensor]) -> None:
        """One more score; of two equal ones the earlier stays the best."""
        if score > self.best:
            self.best, self.best_step, self.since = score, step, 0
            self.weights = weights if self.keeps_weights else None
        else:
            self.since += 1

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"best": self.best, "best_step": self.best_step, "since": self.since, "weights": self.weights}

    def restore(self, state: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.best, self.best_step, self.since = float(state["best"]), int(state["best_step"]), int(state["since"])
        kept = state["weights"]
        self.weights = None if kept is None else {name: tensor.cpu() for name, tensor in kept.items()}
