"""Non-overlapping windows folded into the batch, and back, exactly."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def fold_windows(x: torch.Tensor, window: Sequence[int]) -> torch.Tensor:
    """`(B, C, *spatial)` to `(B * n, C, *window)`: the n windows of a study follow each other, the last axis fastest.

    Raises `ValueError` when a spatial size is not a multiple of the window's.
    """
    sizes = x.shape[2:]
    counts = _counts(sizes, window)
    split = [part for count, extent in zip(counts, window, strict=True) for part in (count, extent)]
    dims = len(window)
    order = (0, *range(2, 2 + 2 * dims, 2), 1, *range(3, 3 + 2 * dims, 2))
    return x.reshape(*x.shape[:2], *split).permute(order).reshape(-1, x.shape[1], *window)


def unfold_windows(windows: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """The inverse of `fold_windows`: `(B * n, C, *window)` to `(B, C, *sizes)`.

    Raises `ValueError` when a size is not a multiple of the window's.
    """
    window = windows.shape[2:]
    counts = _counts(sizes, window)
    dims = len(window)
    x = windows.reshape(-1, *counts, windows.shape[1], *window)
    order = (0, 1 + dims, *(axis for d in range(dims) for axis in (1 + d, 2 + dims + d)))
    return x.permute(order).reshape(-1, windows.shape[1], *sizes)


def _counts(sizes: Sequence[int], window: Sequence[int]) -> list[int]:
    if len(sizes) != len(window) or any(size % extent for size, extent in zip(sizes, window, strict=True)):
        raise ValueError(f"spatial sizes must be multiples of the window {tuple(window)}, got {tuple(sizes)}")
    return [size // extent for size, extent in zip(sizes, window, strict=True)]
