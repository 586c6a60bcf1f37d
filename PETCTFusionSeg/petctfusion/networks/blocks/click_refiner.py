"""What answers a click: a small U-Net beside a network that has already said what it sees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from petctfusion.networks.blocks.convolution import convolution
from petctfusion.networks.blocks.plain_unet import PlainUNet

# Foreground clicks, background clicks, and the mask that they correct.
GUIDANCE_CHANNELS = 3
_WIDTHS = (16, 32, 64)
# The logit of a voxel of the mask where nothing is added: a probability of 0.88, and of 0.12 outside it.
MASK_LOGIT = 2.0


class ClickRefiner(nn.Module):
    """Corrects a mask by clicks, from another network's features of the same voxels.

    Its logits are the mask's own, changed by what a U-Net adds; at first it adds nothing.
    """

    def __init__(self, spatial_dims: int, features: int, widths: Sequence[int] = _WIDTHS) -> None:
        super().__init__()
        self.body = PlainUNet(spatial_dims, features + GUIDANCE_CHANNELS, widths)
        self.head = convolution(spatial_dims, widths[0], 1, kernel=1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """Features `(B, C, *spatial)` and guidance `(B, 3, *spatial)` to logits `(B, 1, *spatial)`."""
        added: torch.Tensor = self.head(self.body([features, guidance])[0])
        return _of_mask(guidance) + added

    def in_the_middle(self, features: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
        """As `forward`, in the middle half of the window (along every axis); elsewhere the mask stays."""
        inner = [slice(size // 4, size // 4 + refined_length(size)) for size in guidance.shape[2:]]
        middle = (slice(None), slice(None), *inner)
        logits = _of_mask(guidance)
        logits[middle] = self(features[middle], guidance[middle])
        return logits


def refined_length(window: int) -> int:
    """How many voxels of a window's length are looked at for a click in its middle."""
    return window // 2


def _of_mask(guidance: torch.Tensor) -> torch.Tensor:
    return MASK_LOGIT * (2 * guidance[:, 2:] - 1)
