"""H2ASeg's convolution blocks: non-affine InstanceNorm, PReLU with one slope, channel dropout, convolved skip."""

from __future__ import annotations

import torch
from torch import nn

from petctfusion.networks.blocks.convolution import convolution

_NORM: dict[int, type[nn.InstanceNorm2d] | type[nn.InstanceNorm3d]] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_DROPOUT: dict[int, type[nn.Dropout2d] | type[nn.Dropout3d]] = {2: nn.Dropout2d, 3: nn.Dropout3d}
_MODES = {2: "bilinear", 3: "trilinear"}


def activation(spatial_dims: int, channels: int) -> nn.Sequential:
    """InstanceNorm without affine parameters, then PReLU with one slope for all channels."""
    return nn.Sequential(_NORM[spatial_dims](channels), nn.PReLU())


class FirstBlock(nn.Module):
    """Level 1, no norm before: conv3 - IN - PReLU - dropout - conv3, plus conv3 of the raw input."""

    def __init__(self, spatial_dims: int, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.main = nn.Sequential(
            convolution(spatial_dims, inputs, outputs),
            activation(spatial_dims, outputs),
            _DROPOUT[spatial_dims](dropout),
            convolution(spatial_dims, outputs, outputs),
        )
        self.skip = convolution(spatial_dims, inputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, inputs, *spatial)` to `(B, outputs, *spatial)`."""
        result: torch.Tensor = self.main(x) + self.skip(x)
        return result


class ResidualBlock(nn.Module):
    """IN - PReLU - conv3(stride) - dropout - IN - PReLU - conv3, plus IN - PReLU - conv3(stride)."""

    def __init__(self, spatial_dims: int, inputs: int, outputs: int, dropout: float, stride: int = 1) -> None:
        super().__init__()
        self.main = nn.Sequential(
            activation(spatial_dims, inputs),
            convolution(spatial_dims, inputs, outputs, stride=stride),
            _DROPOUT[spatial_dims](dropout),
            activation(spatial_dims, outputs),
            convolution(spatial_dims, outputs, outputs),
        )
        self.skip = nn.Sequential(
            activation(spatial_dims, inputs), convolution(spatial_dims, inputs, outputs, stride=stride)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, inputs, *spatial)` to `(B, outputs, *spatial / stride)`."""
        result: torch.Tensor = self.main(x) + self.skip(x)
        return result


def enlarge(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Linear upsampling of `(B, C, *spatial)` to the spatial `size`, corners aligned as everywhere in H2ASeg."""
    return nn.functional.interpolate(x, size=tuple(size), mode=_MODES[x.ndim - 2], align_corners=True)
