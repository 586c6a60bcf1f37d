"""ISA-Net: improved, multi-scale spatial attention in a PET and a CT encoder, fused in the decoder.

Huang Z. et al.: ISA-Net: Improved spatial attention network for PET-CT tumor segmentation. Computer Methods and
Programs in Biomedicine 226:107129 (2022), arXiv 2211.02256. The abstract gives multi-scale convolutions for the
attention and the dual-channel encoder. Ours: the formula below, its place behind every encoder level, widths,
InstanceNorm. Its published numbers are not claimed here.

    m = [mean_c F ; max_c F]     M = sigmoid(conv1([conv3(m) ; conv5(m) ; conv7(m)]))     F <- F M + F

Each conv_k ends in a LeakyReLU: in a purely linear chain the three kernels would add up to a single one of size 7.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from petctfusion.networks.blocks.arguments import require_arguments
from petctfusion.networks.blocks.cbam import channel_summary
from petctfusion.networks.blocks.convolution import SpatialDims, convolution
from petctfusion.networks.blocks.intensity import FixedScaling
from petctfusion.networks.blocks.probe import Probe
from petctfusion.networks.blocks.sizes import require_divisible
from petctfusion.networks.blocks.unet import Decoder, Encoder, default_widths

KERNELS = (3, 5, 7)


class MultiScaleSpatialAttention(nn.Module):
    """F <- F M + F, M from convolutions of several `kernels`, `maps` channels each, over mean and maximum of F."""

    def __init__(self, spatial_dims: int, name: str, kernels: Sequence[int] = KERNELS, maps: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            [nn.Sequential(convolution(spatial_dims, 2, maps, kernel=k), nn.LeakyReLU(0.01)) for k in kernels]
        )
        self.mix = convolution(spatial_dims, len(kernels) * maps, 1, kernel=1)
        self.map = Probe(name)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, C, *spatial)` to the same shape."""
        m = channel_summary(x)
        scores = self.mix(torch.cat([scale(m) for scale in self.scales], dim=1))
        gate: torch.Tensor = self.map(torch.sigmoid(scores))
        return x * gate + x


class ISANet(nn.Module):
    """CT and PET in HU and SUVbw, one logit map per label out; both modalities are needed.

    `widths`: channels per level, default (32..512) in two and (16..256) in three dimensions; `kernels`: of the
    attention.
    """

    optional_modalities: tuple[str, ...] = ()

    def __init__(
        self,
        spatial_dims: SpatialDims = 3,
        modalities: Sequence[str] = ("CT", "PET"),
        classes: int = 1,
        widths: Sequence[int] | None = None,
        kernels: Sequence[int] = KERNELS,
    ) -> None:
        super().__init__()
        widths = tuple(widths) if widths is not None else default_widths(spatial_dims)
        require_arguments(spatial_dims, modalities, classes, widths)
        if not kernels or any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
            raise ValueError(f"kernels must be odd sizes, got {list(kernels)}")
        self.divisor = (2 ** (len(widths) - 1),) * spatial_dims
        self.scaling = FixedScaling(modalities)
        self.encoders = nn.ModuleList([Encoder(spatial_dims, 1, widths) for _ in modalities])
        self.attention = nn.ModuleList(
            [
                nn.ModuleList(
                    [
                        MultiScaleSpatialAttention(spatial_dims, f"{name} spatial attention, level {level}", kernels)
                        for level in range(1, len(widths) + 1)
                    ]
                )
                for name in modalities
            ]
        )
        self.bottleneck = convolution(spatial_dims, 2 * widths[-1], widths[-1], kernel=1)
        self.decoder = Decoder(spatial_dims, widths, skips=[2 * width for width in widths[:-1]])
        self.head = convolution(spatial_dims, widths[0], classes, kernel=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, 2, *spatial)` in HU and SUV to logits `(B, classes, *spatial)`; sizes divisible by `divisor`."""
        require_divisible(x, self.divisor, self.divisor[0])
        branches = []
        for channel, encoder, gates in zip(self.scaling(x).split(1, dim=1), self.encoders, self.attention, strict=True):
            branches.append(encoder(channel, lambda level, feature, gates=gates: gates[level](feature)))
        skips = [torch.cat(pair, dim=1) for pair in zip(*branches, strict=True)]
        logits: torch.Tensor = self.head(self.decoder(self.bottleneck(skips[-1]), skips[:-1]))
        return logits
