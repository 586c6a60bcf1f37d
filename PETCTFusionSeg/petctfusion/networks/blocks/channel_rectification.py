"""Rectification of CT and PET features by each other: CIPA's CRM and vMambaX's context-gated module.

Mei et al., "Cross-modal interactive perception network with Mamba", CVPR 2025, arXiv 2503.17261; vMambaX, arXiv
2510.27508. Both take the two feature maps of one stage and return them reweighted.
"""

from __future__ import annotations

import torch
from torch import nn

from petctfusion.networks.blocks.probe import Probe
from petctfusion.networks.blocks.state_space import SS1D, ScanOptions

_NORM_EPSILON = 1e-3  # of the batch normalisations, as CIPA is trained


class ChannelRectification(nn.Module):
    """CRM: a scan over the 2C channels of both modalities, each seen as its vector of H W pixels, gives their gates.

    X = [F_ct; F_pet] in R^(2C x HW); w = sigmoid(Linear_(->1) LN SS1D GELU Linear_(HW->96) LN_HW X);
    F'_m = F_m (1 + w_m).
    The linear layer fixes H W: other grids are averaged or repeated (adaptive pooling) to `grid` for the gates only,
    so the input size stays free (our choice; at the trained size nothing changes).
    """

    def __init__(self, grid: int, width: int, options: ScanOptions, label: str) -> None:
        super().__init__()
        self.grid = grid
        self.norm_in = nn.LayerNorm(grid * grid)
        self.embed = nn.Linear(grid * grid, width)
        self.mixer = SS1D(width, options)
        self.norm_out = nn.LayerNorm(width)
        self.weigh = nn.Linear(width, 1)
        self.map_ct = Probe(f"channel rectification of the first modality, {label}")
        self.map_pet = Probe(f"channel rectification of the second modality, {label}")

    def gates(self, ct: torch.Tensor, pet: torch.Tensor) -> torch.Tensor:
        """w in (0, 1), `(B, 2C)`."""
        both = torch.cat([ct, pet], dim=1)
        if both.shape[2:] != (self.grid, self.grid):
            both = nn.functional.adaptive_avg_pool2d(both, self.grid)
        tokens = nn.functional.gelu(self.embed(self.norm_in(both.flatten(2))))
        return torch.sigmoid(self.weigh(self.norm_out(self.mixer(tokens)))).squeeze(-1)

    def forward(self, ct: torch.Tensor, pet: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Two `(B, C, H, W)` to the two rectified ones."""
        gate_ct, gate_pet = self.gates(ct, pet)[..., None, None].chunk(2, dim=1)
        for probe, feature, gate in ((self.map_ct, ct, gate_ct), (self.map_pet, pet, gate_pet)):
            if probe.watching:
                probe(_felt(feature, gate))
        return ct * (1 + gate_ct), pet * (1 + gate_pet)


class ContextGate(nn.Module):
    """One modality's gate in vMambaX: a channel gate from both modalities' means, times a spatial gate from both maps.

    c = sigmoid(conv1(C) GELU BN conv1(max(C/4, 32)) GAP[other; self]), s = sigmoid(conv3([other; self]) -> 1); the
    batch normalisation over single values needs more than one slice in training.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 4, 32)
        self.channel = nn.Sequential(
            nn.Conv2d(2 * channels, hidden, 1),
            nn.BatchNorm2d(hidden, eps=_NORM_EPSILON),
            nn.GELU(),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )
        self.spatial = nn.Conv2d(2 * channels, 1, 3, padding=1)

    def forward(self, other: torch.Tensor, itself: torch.Tensor) -> torch.Tensor:
        """Two `(B, C, H, W)` to the gate g in (0, 1) of the second, `(B, C, H, W)`."""
        both = torch.cat([other, itself], dim=1)
        gate: torch.Tensor = self.channel(both.mean(dim=(2, 3), keepdim=True)) * torch.sigmoid(self.spatial(both))
        return gate


class ContextGatedModule(nn.Module):
    """CGM of vMambaX: each modality times (1 + its gate)."""

    def __init__(self, channels: int, label: str) -> None:
        super().__init__()
        self.gate_ct = ContextGate(channels)
        self.gate_pet = ContextGate(channels)
        self.map_ct = Probe(f"context gate of the first modality, {label}")
        self.map_pet = Probe(f"context gate of the second modality, {label}")

    def forward(self, ct: torch.Tensor, pet: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Two `(B, C, H, W)` to the two gated ones."""
        gate_ct, gate_pet = self.gate_ct(pet, ct), self.gate_pet(ct, pet)
        for probe, gate in ((self.map_ct, gate_ct), (self.map_pet, gate_pet)):
            if probe.watching:
                probe(gate.mean(dim=1, keepdim=True))
        return ct * (1 + gate_ct), pet * (1 + gate_pet)


def _felt(feature: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
    """The channel gates as a map: their mean at each pixel, weighted by how active each channel is there."""
    activity = feature.abs()
    return (activity * gate).sum(1, keepdim=True) / activity.sum(1, keepdim=True).clamp(min=1e-6)
