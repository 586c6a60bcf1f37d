"""The VMamba encoder (v0, tiny by default; Liu et al., arXiv 2401.10166), parameter names as in its published weights.

stage   grid      channels
1       H/4       96        2 blocks
2       H/8       192       2
3       H/16      384       9
4       H/32      768       2
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from petctfusion.networks.blocks.state_space import SS2D, ScanOptions

PATCH = 4


class VSSBlock(nn.Module):
    """x + SS2D(LN(x)), no MLP; `(B, H, W, C)` to the same."""

    def __init__(self, channels: int, options: ScanOptions) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(channels)
        self.self_attention = SS2D(channels, options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, H, W, C)` to `(B, H, W, C)`."""
        mixed: torch.Tensor = self.self_attention(self.ln_1(x))
        return x + mixed


class _PatchEmbed(nn.Module):
    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, channels, PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, inputs, H, W)` to `(B, H/4, W/4, C)`."""
        embedded: torch.Tensor = self.norm(self.proj(x).permute(0, 2, 3, 1))
        return embedded


class _PatchMerging(nn.Module):
    """The four pixels of each 2x2 square as one vector, LN, linear 4C to the next width."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, outputs, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, H, W, C)` to `(B, H/2, W/2, outputs)`."""
        corners = [x[:, row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]
        merged: torch.Tensor = self.reduction(self.norm(torch.cat(corners, dim=-1)))
        return merged


class _Layer(nn.Module):
    def __init__(self, blocks: Sequence[VSSBlock], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample


class VSSEncoder(nn.Module):
    """`(B, inputs, H, W)` to one `(B, C_i, H/2^(i+2), W/2^(i+2))` per stage, each behind a LayerNorm of its own."""

    def __init__(
        self,
        inputs: int = 3,
        widths: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (2, 2, 9, 2),
        options: ScanOptions = ScanOptions(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__()
        self.patch_embed = _PatchEmbed(inputs, widths[0])
        self.layers = nn.ModuleList()
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = [VSSBlock(width, options) for _ in range(depth)]
            self.layers.append(_Layer(blocks, _PatchMerging(width, widths[i + 1]) if i + 1 < len(widths) else None))
            self.add_module(f"outnorm{i}", nn.LayerNorm(width))
        self.apply(_initialise_linear)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """`(B, inputs, H, W)` to the features `(B, C_i, H_i, W_i)` of all stages, finest first."""
        x = self.patch_embed(x)
        features = []
        for i, layer in enumerate(self.layers):
            for block in layer.blocks:  # type: ignore[union-attr]
                x = block(x)
            features.append(self.get_submodule(f"outnorm{i}")(x).permute(0, 3, 1, 2).contiguous())
            if layer.downsample is not None:
                x = layer.downsample(x)  # type: ignore[operator]
        return features


def _initialise_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
