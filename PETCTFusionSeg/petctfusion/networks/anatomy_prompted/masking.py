"""Blocks of a volume: cutting it, hiding some of them, and what each looks like when its own contrast is 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch

Masking = Literal["mixed", "complementary", "independent", "asymmetric"]

# Of the scaled variance: 0.01 is 2.9 HU or 0.08 SUV; a block of air must not become amplified noise.
_LEAST_VARIANCE = 1e-4


def to_blocks(x: torch.Tensor, size: int) -> torch.Tensor:
    """`(B, *spatial)`, multiples of `size`, to `(B, n, size^dims)`: blocks in raster order, voxels in raster order."""
    axes = x.ndim - 1
    for axis in range(axes):
        x = torch.unflatten(x, 1 + 2 * axis, (-1, size))
    return x.permute(0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2)).flatten(1, axes).flatten(2)


def from_blocks(blocks: torch.Tensor, grid: Sequence[int], size: int) -> torch.Tensor:
    """The inverse of `to_blocks`: `(B, n, size^dims)` on a `grid` of blocks to `(B, *spatial)`."""
    axes = len(grid)
    x = torch.unflatten(torch.unflatten(blocks, 2, (size,) * axes), 1, tuple(grid))
    x = x.permute(0, *(p for axis in range(axes) for p in (1 + axis, 1 + axes + axis)))
    for axis in range(axes):
        x = x.flatten(1 + axis, 2 + axis)
    return x


def normalised(blocks: torch.Tensor) -> torch.Tensor:
    """Each block `(..., voxels)` with mean 0 and variance 1 (a flat one is 0): what is reconstructed."""
    variance, mean = torch.var_mean(blocks, dim=-1, keepdim=True, correction=0)
    return (blocks - mean) / (variance + _LEAST_VARIANCE).sqrt()


def hidden_blocks(
    batch: int, blocks: int, ratio: float, masking: Masking, generator: torch.Generator | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which blocks of the first and of the second modality are hidden, two `(batch, blocks)` of bool on the CPU.

    "independent": a share `ratio` of each. "complementary": a share `ratio` of one, drawn by lot for each case, and
    just the rest of the other, so that every block is seen once. "asymmetric": a share `ratio` of one, by lot, and
    nothing of the other (FratMAE, arXiv 2503.02824). "mixed": complementary or independent, by lot for each case.
    Raises `ValueError` for an unknown masking or a ratio not inside (0, 1).
    """
    if masking not in get_args(Masking):
        raise ValueError(f"masking must be one of {', '.join(get_args(Masking))}, got {masking!r}")
    if not 0 < ratio < 1:
        raise ValueError(f"the mask ratio must lie between 0 and 1, got {ratio}")
    count = min(max(round(ratio * blocks), 1), max(blocks - 1, 1))
    order = torch.rand(2, batch, blocks, generator=generator).argsort(dim=-1).argsort(dim=-1)
    one, other = order < count
    lot, mix = torch.rand(2, batch, 1, generator=generator) < 0.5
    if masking == "complementary":
        other = ~one
    elif masking == "asymmetric":
        other = torch.zeros_like(one)
    elif masking == "mixed":
        other = torch.where(mix, ~one, other)
    return torch.where(lot, one, other), torch.where(lot, other, one)
