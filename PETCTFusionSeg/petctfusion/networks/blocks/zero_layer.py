"""The "zero layer": learnable intensity windows before the first convolution, in HU and SUV.

The abstract of Ahmad et al. (Sci Rep 2025) names zero layers with learnable normalisation "unlike traditional fixed
normalization techniques" and gives no formula. This is the primary reading: layer 0 replaces the hand-fixed window.
`FixedWindows` is the traditional alternative, with the same windows, hard edges and nothing to learn in them.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from petctfusion.networks.blocks.convolution import convolution

# (level, width): the windows that readers use, and a wide one; HU for CT, SUV for PET.
INITIAL_WINDOWS: dict[str, tuple[tuple[float, float], ...]] = {
    "CT": ((-600.0, 1500.0), (40.0, 400.0), (400.0, 1800.0), (0.0, 2000.0)),
    "PET": ((1.25, 2.5), (2.5, 5.0), (5.0, 10.0), (10.0, 20.0)),
}
SCALE: dict[str, float] = {"CT": 1000.0, "PET": 10.0}
# Arbitrary units (MR and others, z-scored by the card): windows over +-3 standard deviations.
OTHER_WINDOWS: tuple[tuple[float, float], ...] = ((-1.0, 2.0), (0.0, 2.0), (1.0, 2.0), (0.0, 6.0))
OTHER_SCALE = 3.0
_SMALLEST_WIDTH = 1e-3  # of the scale: 1 HU, 0.01 SUV


def initial_windows(modality: str) -> tuple[tuple[float, float], ...]:
    """(level, width) before training, in HU or SUV."""
    return INITIAL_WINDOWS.get(modality, OTHER_WINDOWS)


class ZeroLayer(nn.Module):
    """K learnable soft windows and a linear branch, mixed by a 1x1 convolution.

    z_k(x) = sigmoid(4 (x - b_k) / w_k), whose slope at the level b_k is that of a linear window of width w_k;
    z_0(x) = gamma x / s + beta; Z = conv1x1([z_0, z_1..z_K]). Levels and widths are stored divided by the scale s
    (1000 HU, 10 SUV), widths through softplus, so that they stay positive.
    """

    def __init__(self, spatial_dims: int, modality: str, outputs: int) -> None:
        super().__init__()
        windows = initial_windows(modality)
        self.scale = SCALE.get(modality, OTHER_SCALE)
        self.levels = nn.Parameter(torch.tensor([level / self.scale for level, _ in windows]))
        self.raw_widths = nn.Parameter(torch.tensor([_softplus_inverse(width / self.scale) for _, width in windows]))
        self.gamma = nn.Parameter(torch.ones(()))
        self.beta = nn.Parameter(torch.zeros(()))
        self.mix = convolution(spatial_dims, len(windows) + 1, outputs, kernel=1)

    def windows(self) -> list[tuple[float, float]]:
        """The current (level, width) pairs in HU or SUV."""
        widths = self._widths().detach() * self.scale
        levels = self.levels.detach() * self.scale
        return [(float(level), float(width)) for level, width in zip(levels, widths, strict=True)]

    def physical_parameters(self) -> list[nn.Parameter]:
        """Parameters in physical units: they learn with no weight decay and a lower rate."""
        return [self.levels, self.raw_widths, self.gamma, self.beta]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, 1, *spatial)` in HU or SUV to `(B, outputs, *spatial)`."""
        # 3000 HU in bfloat16 has steps of 16 HU: windowing stays in single precision under autocast.
        with torch.autocast(x.device.type, enabled=False):
            scaled = x.float() / self.scale
            shape = (1, -1) + (1,) * (x.ndim - 2)
            soft = torch.sigmoid(4.0 * (scaled - self.levels.view(shape)) / self._widths().view(shape))
            linear = self.gamma * scaled + self.beta
            mixed: torch.Tensor = self.mix(torch.cat([linear, soft], dim=1))
        return mixed

    def _widths(self) -> torch.Tensor:
        return nn.functional.softplus(self.raw_widths) + _SMALLEST_WIDTH


class FixedWindows(nn.Module):
    """The traditional alternative: the same initial windows, linear between hard edges, fixed; mixed by a 1x1 conv."""

    def __init__(self, spatial_dims: int, modality: str, outputs: int) -> None:
        super().__init__()
        windows = initial_windows(modality)
        self.register_buffer("lows", torch.tensor([level - width / 2 for level, width in windows]), persistent=False)
        self.register_buffer("window_widths", torch.tensor([width for _, width in windows]), persistent=False)
        self.mix = convolution(spatial_dims, len(windows), outputs, kernel=1)

    def windows(self) -> list[tuple[float, float]]:
        """The fixed (level, width) pairs in HU or SUV."""
        lows, widths = self.get_buffer("lows"), self.get_buffer("window_widths")
        return [(float(low + width / 2), float(width)) for low, width in zip(lows, widths, strict=True)]

    def physical_parameters(self) -> list[nn.Parameter]:
        """Nothing here is learned in physical units."""
        return []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, 1, *spatial)` in HU or SUV to `(B, outputs, *spatial)`."""
        with torch.autocast(x.device.type, enabled=False):
            shape = (1, -1) + (1,) * (x.ndim - 2)
            lows, widths = self.get_buffer("lows").view(shape), self.get_buffer("window_widths").view(shape)
            mixed: torch.Tensor = self.mix(((x.float() - lows) / widths).clamp(0.0, 1.0))
        return mixed


def _softplus_inverse(value: float) -> float:
    return math.log(math.expm1(value - _SMALLEST_WIDTH))
