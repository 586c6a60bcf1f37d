"""Losses on logits `(B, K, *spatial)` against contour shares in [0, 1] of the same shape."""

from __future__ import annotations

import torch
from torch.nn import functional


def soft_dice_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - 2 sum(p t) / (sum(p) + sum(t)), per sample and label, mean; +1 voxel keeps empty patches finite."""
    p = torch.sigmoid(logits.float()).flatten(2)
    t = target.flatten(2)
    overlap = 2 * (p * t).sum(-1) + 1.0
    return (1 - overlap / (p.sum(-1) + t.sum(-1) + 1.0)).mean()


def dice_and_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Soft Dice plus binary cross-entropy, weights 1 : 1."""
    entropy = functional.binary_cross_entropy_with_logits(logits.float(), target)
    return soft_dice_loss(logits, target) + entropy


def deep_supervision_loss(levels: list[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
    """Dice and cross-entropy at every level, the target averaged down; weights 1, 1/2, 1/4, ... normalised to 1."""
    total = levels[0].new_zeros((), dtype=torch.float32)
    weights = [0.5**i for i in range(len(levels))]
    pool = functional.avg_pool3d if target.ndim == 5 else functional.avg_pool2d
    for weight, logits in zip(weights, levels, strict=True):
        if logits.shape[2:] != target.shape[2:]:
            factor = target.shape[2] // logits.shape[2]
            scaled = pool(target, factor)
        else:
            scaled = target
        total = total + weight * dice_and_cross_entropy(logits, scaled)
    return total / sum(weights)
