"""A plain encoder and the U-Net around it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from petctfusion.networks.blocks.convolution import ConvBlock, upsample


class Encoder(nn.Module):
    """Stage 1 at full resolution, then halving stages; returns the features of all stages, finest first."""

    def __init__(self, spatial_dims: int, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        before = (inputs, *widths[:-1])
        self.stages = nn.ModuleList(
            [ConvBlock(spatial_dims, before[i], width, stride=1 if i == 0 else 2) for i, width in enumerate(widths)]
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """`(B, inputs, *spatial)` to one `(B, width, *spatial / 2^i)` per stage."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class PlainUNet(nn.Module):
    """One encoder over concatenated inputs and a plain decoder."""

    def __init__(self, spatial_dims: int, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.encoder = Encoder(spatial_dims, inputs, widths)
        self.decoder = nn.ModuleList(
            [ConvBlock(spatial_dims, widths[i] + widths[i + 1], widths[i]) for i in range(len(widths) - 1)]
        )

    def forward(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Tensors `(B, *, *spatial)`, concatenated, to the decoder features, finest first."""
        features = self.encoder(torch.cat(list(inputs), dim=1))
        d = features[-1]
        decoded = []
        for level in reversed(range(len(self.decoder))):
            d = self.decoder[level](torch.cat([features[level], upsample(d, features[level].shape[2:])], dim=1))
            decoded.append(d)
        return decoded[::-1]
