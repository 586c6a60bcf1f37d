"""The two halves of a U-Net, apart: fusion systems put their own parts between and behind the stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from petctfusion.networks.blocks.convolution import ConvBlock

_TRANSPOSED: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}


def default_widths(spatial_dims: int) -> tuple[int, ...]:
    """Five levels, in three dimensions half as wide."""
    return (32, 64, 128, 256, 512) if spatial_dims == 2 else (16, 32, 64, 128, 256)


class Encoder(nn.Module):
    """A `ConvBlock` a level; every one but the first halves the grid."""

    def __init__(self, spatial_dims: int, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        before = (inputs, *widths[:-1])
        self.stages = nn.ModuleList(
            [ConvBlock(spatial_dims, before[i], width, stride=1 if i == 0 else 2) for i, width in enumerate(widths)]
        )

    def forward(
        self, x: torch.Tensor, refine: Callable[[int, torch.Tensor], torch.Tensor] | None = None
    ) -> list[torch.Tensor]:
        """`(B, inputs, *spatial)` to one `(B, width, *spatial / 2^i)` per level, finest first.

        `refine(level, feature)`, level from 0, changes a level's feature for the next level and for the result.
        """
        features = []
        for level, stage in enumerate(self.stages):
            x = stage(x)
            if refine is not None:
                x = refine(level, x)
            features.append(x)
        return features


class Decoder(nn.Module):
    """Transposed convolution (kernel 2, stride 2), concatenation with the level's skip, `ConvBlock`, up to level 1.

    `widths`: of the decoder, finest first, the deepest being the bottleneck's; `skips`: channels per level but the
    deepest (default: `widths`).
    """

    def __init__(self, spatial_dims: int, widths: Sequence[int], skips: Sequence[int] | None = None) -> None:
        super().__init__()
        skips = widths[:-1] if skips is None else skips
        transposed = _TRANSPOSED[spatial_dims]
        levels = range(len(widths) - 1)
        self.up = nn.ModuleList([transposed(widths[i + 1], widths[i], 2, stride=2) for i in levels])
        self.blocks = nn.ModuleList([ConvBlock(spatial_dims, widths[i] + skips[i], widths[i]) for i in levels])

    def forward(self, bottleneck: torch.Tensor, skips: Sequence[torch.Tensor]) -> torch.Tensor:
        """`(B, widths[-1], *spatial / 2^n)` and the skips, finest first, to `(B, widths[0], *spatial)`."""
        d = bottleneck
        for level in reversed(range(len(self.blocks))):
            d = self.blocks[level](torch.cat([self.up[level](d), skips[level]], dim=1))
        return d
