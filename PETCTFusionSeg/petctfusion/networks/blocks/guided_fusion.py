"""Anatomy-guided attentive fusion: the anatomy (CT) and the decoder decide where and what of the PET is let through."""

from __future__ import annotations

import torch
from torch import nn

from petctfusion.networks.blocks.convolution import ConvBlock, convolution
from petctfusion.networks.blocks.probe import Probe

_CHANNEL_REDUCTION = 8


class AnatomyGuidedFusionBlock(nn.Module):
    """Fuse anatomical features a, metabolic features p and the upsampled decoder feature d at one level.

    1. spatial gate   s = sigmoid(psi(ReLU(W_a a + W_p p + W_d d)))          (B, 1, *spatial)
    2. channel gate   c = sigmoid(W_2 ReLU(W_1 GAP[a; p])),  [a'; p'] = c * [a; p]
    3. guided fusion  f = ConvBlock([a'; p' * (1 + s); d])                   (B, channels, *spatial)

    `1 + s` passes the signal when the gate is closed. The paper gives no formula; this follows its abstract
    ("anatomical features guide the fusion", "attentive fusion decoder"). `level` and `modalities` name its maps: s, and
    the mean magnitude of a' and p', which is what the channel gate lets through.
    """

    def __init__(
        self,
        spatial_dims: int,
        channels: int,
        decoder_channels: int,
        level: int = 1,
        modalities: tuple[str, str] = ("CT", "PET"),
    ) -> None:
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
        # Means of instance-normalised features hardly differ from study to study: a unit that starts below 0 stays
        # there for every input, and with both units of level 1 below it the gate could not learn.
        nn.init.ones_(self.channel_gate[0].get_parameter("bias"))
        self.fuse = ConvBlock(spatial_dims, 2 * channels + decoder_channels, channels)
        self.map_spatial = Probe(f"spatial gate, level {level}")
        self.maps_channel = nn.ModuleList(
            [Probe(f"{name} through its channel gate, level {level}") for name in modalities]
        )

    def spatial_gate(self, a: torch.Tensor, p: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        """The attention map s in (0, 1), `(B, 1, *spatial)`."""
        hidden = torch.relu(self.gate_anatomy(a) + self.gate_metabolism(p) + self.gate_decoder(d))
        return torch.sigmoid(self.gate(hidden))

    def forward(self, a: torch.Tensor, p: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        """a, p: `(B, C, *spatial)`, d: `(B, C_d, *spatial)`, to `(B, C, *spatial)`."""
        both = torch.cat([a, p], dim=1)
        weights = self.channel_gate(both.mean(dim=tuple(range(2, both.ndim))))
        a_gated, p_gated = (both * weights.view(*weights.shape, *(1,) * (both.ndim - 2))).chunk(2, dim=1)
        for probe, gated in zip(self.maps_channel, (a_gated, p_gated), strict=True):
            if probe.watching:
                probe(gated.abs().mean(dim=1, keepdim=True))
        s = self.map_spatial(self.spatial_gate(a, p, d))
        fused: torch.Tensor = self.fuse(torch.cat([a_gated, p_gated * (1 + s), d], dim=1))
        return fused


class ZeroResidualFusionBlock(nn.Module):
    """The other reading of "zero layer": the fused features enter the decoder through a scale and shift of zero.

    y = W_d d + gamma * N(f) + beta, with f of `AnatomyGuidedFusionBlock`, N an instance normalisation without
    parameters, and gamma = beta = 0 at the start (as in ReZero and ControlNet): at first nothing of the level's CT and
    PET reaches the decoder, and the network learns how much of it to let in.
    """

    def __init__(
        self,
        spatial_dims: int,
        channels: int,
        decoder_channels: int,
        level: int = 1,
        modalities: tuple[str, str] = ("CT", "PET"),
    ) -> None:
        super().__init__()
        self.fusion = AnatomyGuidedFusionBlock(spatial_dims, channels, decoder_channels, level, modalities)
        self.project = convolution(spatial_dims, decoder_channels, channels, kernel=1)
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, a: torch.Tensor, p: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        """a, p: `(B, C, *spatial)`, d: `(B, C_d, *spatial)`, to `(B, C, *spatial)`."""
        normalised = nn.functional.instance_norm(self.fusion(a, p, d))
        shape = (1, -1) + (1,) * (d.ndim - 2)
        result: torch.Tensor = self.project(d) + self.gamma.view(shape) * normalised + self.beta.view(shape)
        return result
