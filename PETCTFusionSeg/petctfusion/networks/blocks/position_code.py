"""Where a token lies, as sines and cosines: nothing to learn, any grid, comparable between grids of one patch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

_WAVELENGTHS = (32.0, 512.0)  # of the network's input voxels: from a small lesion to more than a patch


def position_code(grid: Sequence[int], stride: Sequence[int], channels: int, device: torch.device) -> torch.Tensor:
    """`(n, channels)` for the n tokens of a `grid` whose steps are `stride` input voxels, raster order, float32.

    Channels 2j and 2j + 1 are sine and cosine along axis j mod axes; the wavelengths of an axis grow geometrically from
    32 to 512 voxels. An odd last channel is 0. The dot product of two codes depends on their distance only.
    """
    axes, pairs = len(grid), channels // 2
    centres = [(torch.arange(n, device=device) + 0.5) * step for n, step in zip(grid, stride, strict=True)]
    coordinates = [c.flatten() for c in torch.meshgrid(*centres, indexing="ij")]
    code = torch.zeros(coordinates[0].numel(), channels, device=device)
    shortest, longest = _WAVELENGTHS
    steps = max(1, math.ceil(pairs / axes) - 1)
    for j in range(pairs):
        wavelength = shortest * (longest / shortest) ** (j // axes / steps)
        phase = 2 * math.pi / wavelength * coordinates[j % axes]
        code[:, 2 * j], code[:, 2 * j + 1] = phase.sin(), phase.cos()
    return code
