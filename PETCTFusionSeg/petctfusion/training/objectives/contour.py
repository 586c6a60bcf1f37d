"""The contour alone: the loss at every level that the network offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from petctfusion.training.loss_settings import LossSettings
from petctfusion.training.losses import deep_supervision_loss


@dataclass(frozen=True)
class ContourObjective:
    """`deep_supervision_loss` over `forward_levels`, or over `forward` alone, with the network's `level_weights`."""

    loss: LossSettings

    def __call__(self, network: nn.Module, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss of one batch."""
        forward_levels = getattr(network, "forward_levels", None)
        levels = forward_levels(image) if forward_levels is not None else [network(image)]
        return self.of_levels(network, levels, target)

    def of_levels(self, network: nn.Module, levels: list[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
        """The loss of logits `(B, K, *spatial / stride)`, finest first."""
        weights = cast("Sequence[float] | None", getattr(network, "level_weights", None))
        return deep_supervision_loss(levels, target, self.loss, weights)
