"""The slice interaction module (SIM): a slice's features borrow from its axial neighbours; starts as identity.

Re-implementation in the spirit of Luo et al., arXiv 2509.22841, whose abstract gives channel and spatial attention
branches with depthwise convolutions between slices; the formulas are ours.
"""

from __future__ import annotations

import torch
from torch import nn

from petctfusion.networks.blocks.probe import Probe

_REDUCTION = 16


class SliceInteractionModule(nn.Module):
    """S neighbouring slices f_1..f_S (the centre one is the target), C channels each, to the target's new features.

    u = u0 + GELU(DW3x3 u0), u0 = [f_1; ..; f_S]; ca = sigmoid(MLP(mean u) + MLP(max u)) in R^(S C);
    sa = sigmoid(PW DW7x7 [mean_c u_s, max_c u_s]_s) in R^(S x H x W); y = gamma BN(PW(u ca sa)) + f_centre, gamma = 0
    at first. Batch normalisation: the statistics are those of the slices of a training batch.
    """

    def __init__(self, channels: int, slices: int, label: str) -> None:
        super().__init__()
        stacked = slices * channels
        hidden = max(1, stacked // _REDUCTION)
        self.slices, self.channels = slices, channels
        self.mix = nn.Conv2d(stacked, stacked, 3, padding=1, groups=stacked)
        self.channel_branch = nn.Sequential(nn.Linear(stacked, hidden), nn.GELU(), nn.Linear(hidden, stacked))
        self.spatial_branch = nn.Sequential(
            nn.Conv2d(2 * slices, 2 * slices, 7, padding=3, groups=2 * slices), nn.Conv2d(2 * slices, slices, 1)
        )
        self.project = nn.Conv2d(stacked, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        self.gamma = nn.Parameter(torch.zeros(channels))
        half = slices // 2
        self.map_weights = nn.ModuleList([Probe(f"weight of slice {s - half:+d}, {label}") for s in range(slices)])

    def forward(self, neighbours: torch.Tensor) -> torch.Tensor:
        """`(B, S, C, H, W)` to `(B, C, H, W)`."""
        first = neighbours.flatten(1, 2)
        u = first + nn.functional.gelu(self.mix(first))
        channel = self.channel_gate(u)
        spatial = self.spatial_gate(u)
        for s, probe in enumerate(self.map_weights):
            if probe.watching:
                probe(
                    spatial[:, s : s + 1] * channel.view(-1, self.slices, self.channels)[:, s].mean(1).view(-1, 1, 1, 1)
                )
        weighed = u * channel[..., None, None] * spatial.repeat_interleave(self.channels, dim=1)
        borrowed = self.norm(self.project(weighed))
        y: torch.Tensor = neighbours[:, self.slices // 2] + self.gamma[:, None, None] * borrowed
        return y

    def channel_gate(self, u: torch.Tensor) -> torch.Tensor:
        """ca, one weight per slice and channel, `(B, S C)`."""
        return torch.sigmoid(self.channel_branch(u.mean(dim=(2, 3))) + self.channel_branch(u.amax(dim=(2, 3))))

    def spatial_gate(self, u: torch.Tensor) -> torch.Tensor:
        """sa, one map per slice, `(B, S, H, W)`."""
        per_slice = u.view(-1, self.slices, self.channels, *u.shape[2:])
        summary = torch.stack([per_slice.mean(2), per_slice.amax(2)], dim=2).flatten(1, 2)
        return torch.sigmoid(self.spatial_branch(summary))


def neighbouring_slices(features: torch.Tensor, depth: int, slices: int) -> torch.Tensor:
    """`(B D, C, H, W)`, D slices a volume, to each slice with its neighbours, `(B D, S, C, H, W)`.

    The first and the last slice stand for those beyond them.
    """
    volume = features.view(-1, depth, *features.shape[1:])
    centre = torch.arange(depth, device=features.device)
    offsets = range(-(slices // 2), slices // 2 + 1)
    return torch.stack([volume[:, (centre + o).clamp(0, depth - 1)] for o in offsets], dim=2).flatten(0, 1)
