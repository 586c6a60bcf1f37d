"""DCIM of CIPA: fine words of the CT and coarse sentences of the PET, each scanned, then added.

Mei et al., CVPR 2025, arXiv 2503.17261.
"""

from __future__ import annotations

import torch
from torch import nn

from petctfusion.networks.blocks.state_space import SS2D, ScanOptions
from petctfusion.networks.blocks.windows import fold_windows, unfold_windows

WINDOW = 4
_NORM_EPSILON = 1e-3


class CrossModalInteraction(nn.Module):
    """Inner words I from the CT at full grid, outer sentences O from the PET, one per 4x4 window.

    O <- O + SS2D(LN O); in each window I <- I + SS2D(LN_16C I); result I + O of the window at each of its pixels.
    Grids that 4 does not divide are continued by their edge and cut back (ours; stage 4 of 480 pixels is 15 wide).
    The stems have batch normalisation as published: a training batch of one slice whose coarsest grid is one window has
    nothing to normalise over, and PyTorch refuses it.
    """

    def __init__(self, channels: int, options: ScanOptions) -> None:
        super().__init__()
        self.inner_stem = nn.Sequential(
            *_conv(channels, max(1, channels // 4)), *_conv(max(1, channels // 4), channels)
        )
        narrow = [max(1, channels // part) for part in (16, 8, 4)]
        self.outer_stem = nn.Sequential(
            *_conv(channels, narrow[0]),
            *_conv(narrow[0], narrow[1], stride=2),
            *_conv(narrow[1], narrow[2], stride=2),
            *_conv(narrow[2], channels),
        )
        self.inner_norm = nn.LayerNorm(WINDOW * WINDOW * channels)
        self.inner_mixer = SS2D(channels, options)
        self.outer_norm = nn.LayerNorm(channels)
        self.outer_mixer = SS2D(channels, options)

    def forward(self, ct: torch.Tensor, pet: torch.Tensor) -> torch.Tensor:
        """Two rectified `(B, C, H, W)` to what their interaction adds, `(B, C, H, W)`."""
        height, width = ct.shape[2:]
        ct, pet = _to_windows(ct), _to_windows(pet)
        sentences = self.outer_stem(pet).permute(0, 2, 3, 1)
        sentences = sentences + self.outer_mixer(self.outer_norm(sentences))
        words = self.inner_stem(ct)
        windows = fold_windows(words, (WINDOW, WINDOW)).permute(0, 2, 3, 1)
        windows = windows + self.inner_mixer(self.inner_norm(windows.flatten(1)).view(windows.shape))
        # Windows are folded row by row, the order of the sentences' grid.
        windows = windows + sentences.reshape(-1, 1, 1, windows.shape[-1])
        return unfold_windows(windows.permute(0, 3, 1, 2), words.shape[2:])[..., :height, :width]


def _conv(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1),
        nn.BatchNorm2d(outputs, eps=_NORM_EPSILON),
        nn.ReLU(),
    ]


def _to_windows(x: torch.Tensor) -> torch.Tensor:
    height, width = x.shape[2:]
    if height % WINDOW == 0 and width % WINDOW == 0:
        return x
    return nn.functional.pad(x, (0, -width % WINDOW, 0, -height % WINDOW), mode="replicate")
