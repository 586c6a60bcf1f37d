"""Channel attention, then spatial attention (CBAM; Woo et al., ECCV 2018, arXiv 1807.06521)."""

from __future__ import annotations

import torch
from torch import nn

from petctfusion.networks.blocks.convolution import convolution
from petctfusion.networks.blocks.probe import Probe


class ChannelAttention(nn.Module):
    """M_c = sigmoid(MLP(GAP F) + MLP(GMP F)), one MLP with `reduction` r: C -> C / r -> C; F1 = M_c F."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, C, *spatial)` to the same shape."""
        axes = tuple(range(2, x.ndim))
        weights = torch.sigmoid(self.mlp(x.mean(dim=axes)) + self.mlp(x.amax(dim=axes)))
        return x * weights.view(*weights.shape, *(1,) * len(axes))


class SpatialAttention(nn.Module):
    """M_s = sigmoid(conv7([mean_c F1 ; max_c F1])); F2 = M_s F1. `name` is what a reader of the map sees."""

    def __init__(self, spatial_dims: int, name: str, kernel: int = 7) -> None:
        super().__init__()
        self.conv = convolution(spatial_dims, 2, 1, kernel=kernel)
        self.map = Probe(name)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, C, *spatial)` to the same shape."""
        gate: torch.Tensor = self.map(torch.sigmoid(self.conv(channel_summary(x))))
        return x * gate


def channel_summary(x: torch.Tensor) -> torch.Tensor:
    """m = [mean_c F ; max_c F]: `(B, C, *spatial)` to `(B, 2, *spatial)`."""
    return torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
