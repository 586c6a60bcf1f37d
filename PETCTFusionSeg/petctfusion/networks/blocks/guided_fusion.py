"""Anatomy-guided attentive fusion: the anatomy (CT) and the decoder decide where and what of the PET is let through."""

from __future__ import annotations

import torch
from torch import nn

from petctfusion.networks.blocks.convolution import ConvBlock, convolution

_CHANNEL_REDUCTION = 8


class AnatomyGuidedFusionBlock(nn.Module):
    """Fuse anatomical features a, metabolic features p and the upsampled decoder feature d at one level.

    1. spatial gate   s = sigmoid(psi(ReLU(W_a a + W_p p + W_d d)))          (B, 1, *spatial)
    2. channel gate   c = sigmoid(W_2 ReLU(W_1 GAP[a; p])),  [a'; p'] = c * [a; p]
    3. guided fusion  f = ConvBlock([a'; p' * (1 + s); d])                   (B, channels, *spatial)

    `1 + s` passes the signal when the gate is closed. The paper gives no formula; this follows its abstract
    ("anatomical features guide the fusion", "attentive fusion decoder").
    """

    def __init__(self, spatial_dims: int, channels: int, decoder_channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // 2)
        reduced = max(1, 2 * channels // _CHANNEL_REDUCTION)
        self.gate_anatomy = convolution(spatial_dims, channels, hidden, kernel=1)
        self.gate_metabolism = convolution(spatial_dims, channels, hidden, kernel=1)
        self.gate_decoder = convolution(spatial_dims, decoder_channels, hidden, kernel=1)
        self.gate = convolution(spatial_dims, hidden, 1, kernel=1)
        self.channel_gate = nn.Sequential(
            nn.Linear(2 * channels, reduced), nn.ReLU(), nn.Linear(reduced, 2 * channels), nn.Sigmoid()
        )
        self.fuse = ConvBlock(spatial_dims, 2 * channels + decoder_channels, channels)

    def spatial_gate(self, a: torch.Tensor, p: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        """The attention map s in (0, 1), `(B, 1, *spatial)`."""
        hidden = torch.relu(self.gate_anatomy(a) + self.gate_metabolism(p) + self.gate_decoder(d))
        return torch.sigmoid(self.gate(hidden))

    def forward(self, a: torch.Tensor, p: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        """a, p: `(B, C, *spatial)`, d: `(B, C_d, *spatial)`, to `(B, C, *spatial)`."""
        both = torch.cat([a, p], dim=1)
        weights = self.channel_gate(both.mean(dim=tuple(range(2, both.ndim))))
        a_gated, p_gated = (both * weights.view(*weights.shape, *(1,) * (both.ndim - 2))).chunk(2, dim=1)
        fused: torch.Tensor = self.fuse(torch.cat([a_gated, p_gated * (1 + self.spatial_gate(a, p, d)), d], dim=1))
        return fused
