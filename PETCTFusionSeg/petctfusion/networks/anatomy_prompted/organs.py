"""The organ student: a light U-Net whose probabilities are the anatomical prompt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from petctfusion.networks.anatomy_prompted.trunk import Decoder, Encoder, stage_strides
from petctfusion.networks.blocks.convolution import convolution

# The subset of TotalSegmentator that LesionTracer (arXiv 2409.09478) learns beside the lesions.
ORGANS = (
    "spleen",
    "kidneys",
    "liver",
    "bladder",
    "lungs",
    "brain",
    "heart",
    "stomach",
    "prostate",
    "head glands",
)


class OrganStudent(nn.Module):
    """U-Net with residual blocks (two or more widths), softmax over background and `organs` names."""

    def __init__(self, spatial_dims: int, inputs: int, organs: int, widths: Sequence[int] = (8, 16, 32, 64)) -> None:
        super().__init__()
        strides = stage_strides(spatial_dims, len(widths))
        self.encoder = Encoder(spatial_dims, inputs, widths, strides)
        self.decoder = Decoder(spatial_dims, widths)
        self.head = convolution(spatial_dims, widths[0], organs + 1, kernel=1)

    def forward(self, scaled: torch.Tensor) -> torch.Tensor:
        """Scaled intensities `(B, inputs, *spatial)` to logits `(B, 1 + organs, *spatial)`, background first."""
        logits: torch.Tensor = self.head(self.decoder([self.encoder(scaled)])[0])
        return logits
