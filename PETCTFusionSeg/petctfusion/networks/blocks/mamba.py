"""A bidirectional Mamba layer over a grid of tokens that is read in several orders.

Gu A., Dao T.: Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv 2312.00752 (the block and its
initialisation); reading a volume in three orders follows SegMamba (arXiv 2401.13560). Stacked parameters carry
VMamba's names.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from petctfusion.networks.blocks.state_space import PathScan, ScanOptions

# Axes from slowest to fastest: axial, coronal, sagittal slices of (z, y, x), so that every axis is once the fastest;
# rows and columns of (y, x).
ORDERINGS: dict[int, tuple[tuple[int, ...], ...]] = {
    2: ((0, 1), (1, 0)),
    3: ((0, 1, 2), (1, 2, 0), (2, 0, 1)),
}


class MambaLayer(nn.Module):
    """y = x + W_o sum over orderings [ S_f(LN x) ; flip S_b(flip LN x) ], S = scan(SiLU(conv(W_u x))) * SiLU(W_z x).

    The linear maps are shared by all directions; convolution, Delta, B, C, A and D are each direction's own. `kernel`:
    of the causal depthwise convolution; `orderings`: how many of `ORDERINGS` (default: all). `options.scan` "none" is
    the same block with the scan taken out, the control that a claim for Mamba needs. Raises `ValueError` for a number
    of orderings that there is not.
    """

    def __init__(
        self,
        spatial_dims: int,
        channels: int,
        options: ScanOptions | None = None,
        kernel: int = 4,
        orderings: int | None = None,
    ) -> None:
        super().__init__()
        options = ScanOptions() if options is None else options
        available = ORDERINGS[spatial_dims]
        orderings = len(available) if orderings is None else orderings
        if not 1 <= orderings <= len(available):
            raise ValueError(f"orderings must be between 1 and {len(available)}, got {orderings}")
        self.orderings = available[:orderings]
        inner, directions = options.expansion * channels, 2 * orderings
        self.norm = nn.LayerNorm(channels)
        self.in_proj = nn.Linear(channels, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(
            directions * inner, directions * inner, kernel, padding=kernel - 1, groups=directions * inner
        )
        self.paths = PathScan(inner, math.ceil(channels / 16), directions, options)
        self.out_proj = nn.Linear(2 * inner, channels, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, C, *grid)` to the same shape; in single precision also under autocast."""
        # Thousands of steps in bfloat16 drift, in float16 they overflow (U-Mamba leaves autocast here, too).
        with torch.autocast(x.device.type, enabled=False):
            grid, tokens = x.shape[2:], x.movedim(1, -1).to(self.in_proj.weight.dtype)
            u, z = self.in_proj(self.norm(tokens)).chunk(2, dim=-1)  # (B, *grid, E C) each
            length, inner = grid.numel(), u.shape[-1]
            forwards = [u.permute(0, *(1 + axis for axis in o), -1).flatten(1, -2).mT for o in self.orderings]
            sequences = torch.cat([s for f in forwards for s in (f, f.flip(-1))], dim=1)
            sequences = nn.functional.silu(self.conv1d(sequences)[..., :length])
            scanned = self.paths.along_paths(torch.unflatten(sequences, 1, (-1, inner)))
            ahead_and_back = torch.unflatten(scanned, 1, (-1, 2))
            mixed = torch.zeros_like(u).repeat_interleave(2, dim=-1)
            for index, ordering in enumerate(self.orderings):
                ahead, back = ahead_and_back[:, index, 0], ahead_and_back[:, index, 1].flip(-1)
                both = torch.unflatten(torch.cat([ahead, back], dim=1), -1, [grid[axis] for axis in ordering])
                mixed = mixed + both.permute(0, *(2 + ordering.index(axis) for axis in range(len(grid))), 1)
            gated = mixed * nn.functional.silu(torch.cat([z, z], dim=-1))
            out: torch.Tensor = self.out_proj(gated).movedim(-1, 1)
        return x + out
