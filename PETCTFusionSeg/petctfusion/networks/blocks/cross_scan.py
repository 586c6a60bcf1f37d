"""Four one-dimensional paths through an image (VMamba, Liu et al., arXiv 2401.10166): rows, columns, both reversed."""

from __future__ import annotations

import torch

PATHS = 4


def cross_scan(x: torch.Tensor) -> torch.Tensor:
    """`(B, C, H, W)` to `(B, 4, C, H W)`: row-major, column-major, and the reverse of each."""
    forward = torch.stack([x.flatten(2), x.transpose(2, 3).flatten(2)], dim=1)
    return torch.cat([forward, forward.flip(-1)], dim=1)


def cross_merge(y: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """`(B, 4, C, H W)`, each path's values brought back to their pixels and summed, to `(B, C, H, W)`."""
    forward = y[:, :2] + y[:, 2:].flip(-1)
    batch, _, channels, _ = y.shape
    rows = forward[:, 0].reshape(batch, channels, height, width)
    columns = forward[:, 1].reshape(batch, channels, width, height)
    return rows + columns.transpose(2, 3)
