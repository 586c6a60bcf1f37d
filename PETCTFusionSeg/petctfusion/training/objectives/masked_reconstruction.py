"""Pre-training: hidden blocks are reconstructed and places aligned; the contour is not looked at."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class ReconstructionObjective:
    """`MaskedReconstruction`'s total loss. What is hidden comes from torch's generator, as dropout does."""

    def __call__(self, network: nn.Module, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss of one batch."""
        del target
        total: torch.Tensor = network(image).total
        return total
