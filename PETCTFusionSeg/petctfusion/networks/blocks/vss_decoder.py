"""The channel-aware selective-scan decoder of Sigma (Wan et al., arXiv 2404.04256), as CIPA uses it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn

from petctfusion.networks.blocks.convolution import upsample
from petctfusion.networks.blocks.state_space import SS2D, ScanOptions

_COMPRESSION = 3
_SQUEEZE = 30
# The published widths (96 and more) have at least 3. Narrow stages would have a single ReLU, which can die for good.
_FEWEST_SQUEEZED = 3


class ChannelAttentionBlock(nn.Module):
    """CAB: conv3 C->C/3, GELU, conv3 C/3->C, times sigmoid(MLP(mean) + MLP(max)), the MLP through C/30."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        compressed = max(1, channels // _COMPRESSION)
        squeezed = max(_FEWEST_SQUEEZED, channels // _SQUEEZE)
        self.body = nn.Sequential(
            nn.Conv2d(channels, compressed, 3, padding=1), nn.GELU(), nn.Conv2d(compressed, channels, 3, padding=1)
        )
        self.squeeze = nn.Sequential(
            nn.Linear(channels, squeezed, bias=False), nn.ReLU(), nn.Linear(squeezed, channels, bias=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, C, H, W)` to `(B, C, H, W)`."""
        y: torch.Tensor = self.body(x)
        gate = torch.sigmoid(self.squeeze(y.mean(dim=(2, 3))) + self.squeeze(y.amax(dim=(2, 3))))
        return y * gate[..., None, None]


class CVSSBlock(nn.Module):
    """x1 = s1 x + SS2D(LN x), y = CAB(LN x1) + s2 x1, s per channel and learned; `(B, H, W, C)` to the same."""

    def __init__(self, channels: int, options: ScanOptions) -> None:
        super().__init__()
        self.scan_norm = nn.LayerNorm(channels)
        self.mixer = SS2D(channels, options)
        self.scan_skip = nn.Parameter(torch.ones(channels))
        self.conv_norm = nn.LayerNorm(channels)
        self.attention = ChannelAttentionBlock(channels)
        self.conv_skip = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, H, W, C)` to `(B, H, W, C)`."""
        x = self.scan_skip * x + self.mixer(self.scan_norm(x))
        attended = self.attention(self.conv_norm(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        y: torch.Tensor = attended + self.conv_skip * x
        return y


class _PatchExpand(nn.Module):
    """Linear C->4C', the 4 C' values of each pixel laid out as its 2x2 square, LN."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.expand = nn.Linear(channels, 4 * outputs, bias=False)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, H, W, C)` to `(B, 2H, 2W, outputs)`."""
        batch, height, width, _ = x.shape
        parts = self.expand(x).view(batch, height, width, 2, 2, -1).permute(0, 1, 3, 2, 4, 5)
        expanded: torch.Tensor = self.norm(parts.reshape(batch, 2 * height, 2 * width, -1))
        return expanded


class _Double(nn.Module):
    """Linear to `outputs` channels, bilinear to twice the grid, LN; `(B, H, W, C)` to `(B, 2H, 2W, outputs)`."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, outputs, bias=False)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, H, W, C)` to `(B, 2H, 2W, outputs)`."""
        small = self.linear(x).permute(0, 3, 1, 2)
        large = upsample(small, torch.Size((2 * x.shape[1], 2 * x.shape[2])))
        doubled: torch.Tensor = self.norm(large.permute(0, 2, 3, 1))
        return doubled


class VSSDecoder(nn.Module):
    """From the fused features of all stages to logits at the input's grid."""

    def __init__(
        self,
        widths: Sequence[int] = (96, 192, 384, 768),
        classes: int = 1,
        depth: int = 4,
        options: ScanOptions = ScanOptions(states=4),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__()
        self.expand = _PatchExpand(widths[-1], widths[-2])
        coarse_first = list(widths[-2::-1])
        self.stages = nn.ModuleList(
            [nn.Sequential(*[CVSSBlock(width, options) for _ in range(depth)]) for width in coarse_first]
        )
        self.doubles = nn.ModuleList([_Double(c, n) for c, n in itertools.pairwise(coarse_first)])
        self.final = nn.Sequential(_Double(widths[0], widths[0]), _Double(widths[0], widths[0]))
        self.head = nn.Conv2d(widths[0], classes, 1)
        self.apply(_initialise)

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Features `(B, C_i, H/2^(i+2), W/2^(i+2))`, finest first, to logits `(B, classes, H, W)`."""
        skips = [feature.permute(0, 2, 3, 1) for feature in features[-2::-1]]
        x = self.expand(features[-1].permute(0, 2, 3, 1))
        for i, (stage, skip) in enumerate(zip(self.stages, skips, strict=True)):
            x = stage(x + skip)
            if i < len(self.doubles):
                x = self.doubles[i](x)
        logits: torch.Tensor = self.head(self.final(x).permute(0, 3, 1, 2))
        return logits


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d) and module.groups == 1:
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
