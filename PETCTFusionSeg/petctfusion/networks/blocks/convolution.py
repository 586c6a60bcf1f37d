"""Plain convolution blocks for two or three spatial dimensions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

SpatialDims = Literal[2, 3]

_CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_NORM: dict[int, type[nn.InstanceNorm2d] | type[nn.InstanceNorm3d]] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_UPSAMPLING = {2: "bilinear", 3: "trilinear"}


def convolution(
    spatial_dims: int, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, bias: bool = True
) -> nn.Module:
    """A same-size (stride 1) convolution; `kernel` is odd."""
    return _CONV[spatial_dims](inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=bias)


class ConvBlock(nn.Module):
    """[conv3 - InstanceNorm(affine) - LeakyReLU(0.01)] x `convolutions`; the first may halve the resolution.

    `(B, inputs, *spatial)` to `(B, outputs, *spatial / stride)`.
    """

    def __init__(self, spatial_dims: int, inputs: int, outputs: int, stride: int = 1, convolutions: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(convolutions):
            first = number == 0
            layers += [
                convolution(spatial_dims, inputs if first else outputs, outputs, stride=stride if first else 1),
                _NORM[spatial_dims](outputs, affine=True),
                nn.LeakyReLU(0.01, inplace=True),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, inputs, *spatial)` to `(B, outputs, *spatial / stride)`."""
        result: torch.Tensor = self.layers(x)
        return result


def upsample(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Linear upsampling of `(B, C, *spatial)` to the spatial `size`."""
    mode = _UPSAMPLING[x.ndim - 2]
    return nn.functional.interpolate(x, size=tuple(size), mode=mode, align_corners=False)
