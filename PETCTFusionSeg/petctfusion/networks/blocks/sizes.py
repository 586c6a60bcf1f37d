"""Refusal of inputs that a network's strides and windows cannot divide."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def require_divisible(x: torch.Tensor, divisor: Sequence[int], stride: int = 1) -> None:
    """Raise `ValueError` unless `x` is `(B, M, *spatial)` with spatial sizes that are multiples of `divisor`.

    `divisor` has one number per spatial axis, in the order of the axes: (z, y, x) or (y, x). With `stride`, how much
    coarser the coarsest level is, sizes that leave a single voxel there are refused too: an instance has no norm then.
    """
    sizes = tuple(x.shape[2:])
    if len(sizes) != len(divisor):
        raise ValueError(f"the input must have {len(divisor)} spatial axes after batch and channel, got {len(sizes)}")
    if any(size == 0 or size % step for size, step in zip(sizes, divisor, strict=True)):
        wanted = str(divisor[0]) if len(set(divisor)) == 1 else str(tuple(divisor))
        raise ValueError(f"spatial sizes must be multiples of {wanted}, got {sizes}")
    if stride > 1 and all(size == stride for size in sizes):
        raise ValueError(f"at least one spatial size must be larger than {stride}, got {sizes}")
