"""The convolutional trunk: STU-Net's residual stages as encoder, and a decoder for one or more encoders.

Huang Z. et al.: STU-Net, arXiv 2304.06716 (small: widths 16 to 256, one block a stage, six stages).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import nn

from petctfusion.networks.blocks.convolution import convolution

STU_SMALL_WIDTHS = (16, 32, 64, 128, 256, 256)
_NORM: dict[int, type[nn.InstanceNorm2d] | type[nn.InstanceNorm3d]] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}

Stride = tuple[int, ...]


def stage_strides(spatial_dims: int, stages: int) -> list[Stride]:
    """Of each stage to the one before: 1, then 2; a volume's sixth stage keeps z (published for 112x160x128)."""
    strides = [(1 if stage == 0 else 2,) * spatial_dims for stage in range(stages)]
    if spatial_dims == 3 and stages >= 6:
        strides[5] = (1, 2, 2)
    return strides


def total_strides(strides: Sequence[Stride]) -> list[Stride]:
    """Of each stage to the input."""
    return list(accumulate(strides, lambda a, b: tuple(p * q for p, q in zip(a, b, strict=True))))


class ResidualBlock(nn.Module):
    """conv3 (stride) - InstanceNorm - LeakyReLU - conv3 - InstanceNorm, plus a 1x1 convolution (stride); LeakyReLU."""

    def __init__(self, spatial_dims: int, inputs: int, outputs: int, stride: Stride | int = 1) -> None:
        super().__init__()
        conv, norm = _CONV[spatial_dims], _NORM[spatial_dims]
        self.body = nn.Sequential(
            conv(inputs, outputs, 3, stride=stride, padding=1),  # type: ignore[arg-type]
            norm(outputs, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
            conv(outputs, outputs, 3, padding=1),
            norm(outputs, affine=True),
        )
        self.skip = conv(inputs, outputs, 1, stride=stride)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, inputs, *spatial)` to `(B, outputs, *spatial / stride)`."""
        return nn.functional.leaky_relu(self.body(x) + self.skip(x), 0.01)


class Encoder(nn.Module):
    """One stage of `blocks` residual blocks per width; the first block of a stage has the stage's stride."""

    def __init__(
        self, spatial_dims: int, inputs: int, widths: Sequence[int], strides: Sequence[Stride], blocks: int = 1
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        for width, stride in zip(widths, strides, strict=True):
            first = ResidualBlock(spatial_dims, inputs, width, stride)
            self.stages.append(
                nn.Sequential(first, *(ResidualBlock(spatial_dims, width, width) for _ in range(blocks - 1)))
            )
            inputs = width

    def forward(
        self, x: torch.Tensor, refine: Callable[[int, torch.Tensor], torch.Tensor] | None = None
    ) -> list[torch.Tensor]:
        """`(B, inputs, *spatial)` to one `(B, width, *spatial / stride)` per stage, finest first.

        `refine(stage, feature)`, stage from 0, changes a feature for the next stage and for the result.
        """
        features = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if refine is not None:
                x = refine(index, x)
            features.append(x)
        return features


class Decoder(nn.Module):
    """Nearest upsampling and 1x1 convolution, concatenation with the skips of all encoders, residual block.

    `encoders`: how many encoders of `widths` feed it; `extra`: further channels beside the finest skips.
    """

    def __init__(self, spatial_dims: int, widths: Sequence[int], encoders: int = 1, extra: int = 0) -> None:
        super().__init__()
        below = [*widths[1:-1], encoders * widths[-1]]
        self.up = nn.ModuleList(
            [convolution(spatial_dims, d, width, kernel=1) for d, width in zip(below, widths[:-1], strict=True)]
        )
        self.blocks = nn.ModuleList(
            [
                ResidualBlock(spatial_dims, (1 + encoders) * width + (extra if level == 0 else 0), width)
                for level, width in enumerate(widths[:-1])
            ]
        )

    def forward(
        self, features: Sequence[Sequence[torch.Tensor]], extra: torch.Tensor | None = None
    ) -> list[torch.Tensor]:
        """Features of each encoder, finest first, to `(B, width, *spatial / stride)` per level, finest first."""
        d = torch.cat([stream[-1] for stream in features], dim=1)
        decoded = []
        for level in reversed(range(len(self.blocks))):
            skips = [stream[level] for stream in features]
            if level == 0 and extra is not None:
                skips.append(extra)
            d = self.up[level](nn.functional.interpolate(d, size=skips[0].shape[2:], mode="nearest"))
            d = self.blocks[level](torch.cat([d, *skips], dim=1))
            decoded.append(d)
        return decoded[::-1]
