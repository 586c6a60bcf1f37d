"""Organ maps to prompt tokens: a strided stem, then bidirectional Mamba over three readings of the token grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from petctfusion.networks.blocks.mamba import MambaLayer
from petctfusion.networks.blocks.state_space import ScanOptions

_CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_NORM: dict[int, type[nn.InstanceNorm2d] | type[nn.InstanceNorm3d]] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_POOL = {2: nn.functional.avg_pool2d, 3: nn.functional.avg_pool3d}


class PromptEncoder(nn.Module):
    """P `(B, K, *spatial)` to tokens T `(B, widths[-1], *spatial / stride)`.

    One [conv3 stride 2 - InstanceNorm - LeakyReLU] per width, a mean over `pool` tokens, `depth` Mamba layers. At
    112x160x128 with the defaults: 14x20x16, pooled to 7x20x16 = 2,240 tokens of width 64. `depth=0` is the
    convolutional prompt encoder, `options.scan` "none" the same block without the scan (both are ablations).
    """

    def __init__(
        self,
        spatial_dims: int,
        inputs: int,
        widths: Sequence[int] = (16, 32, 64),
        pool: Sequence[int] = (2, 1, 1),
        depth: int = 2,
        options: ScanOptions | None = None,
    ) -> None:
        super().__init__()
        if len(pool) != spatial_dims or min(pool) < 1:
            raise ValueError(f"the prompt pooling needs {spatial_dims} positive numbers, got {list(pool)}")
        self.pool, self.channels = tuple(pool), widths[-1]
        self.stride = tuple(2 ** len(widths) * p for p in pool)
        layers: list[nn.Module] = []
        for before, width in zip((inputs, *widths[:-1]), widths, strict=True):
            layers += [
                _CONV[spatial_dims](before, width, 3, stride=2, padding=1),
                _NORM[spatial_dims](width, affine=True),
                nn.LeakyReLU(0.01, inplace=True),
            ]
        self.stem = nn.Sequential(*layers)
        self.layers = nn.Sequential(*(MambaLayer(spatial_dims, widths[-1], options) for _ in range(depth)))

    def forward(self, prompt: torch.Tensor) -> torch.Tensor:
        """`(B, K, *spatial)`, spatial sizes multiples of `stride`, to `(B, widths[-1], *spatial / stride)`."""
        tokens: torch.Tensor = self.layers(_POOL[prompt.ndim - 2](self.stem(prompt), self.pool))
        return tokens


def averaged(x: torch.Tensor, stride: Sequence[int], wanted: Sequence[int]) -> torch.Tensor:
    """Mean of `x` `(B, C, *grid)`, whose step is `stride` input voxels, down to steps `wanted` where these are larger.

    The larger must be multiples of the smaller.
    """
    kernel = tuple(max(1, w // s) for s, w in zip(stride, wanted, strict=True))
    return _POOL[x.ndim - 2](x, kernel)
