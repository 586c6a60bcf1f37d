"""Losses on logits `(B, K, *spatial)` against contour shares in [0, 1] of the same shape."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from petctfusion.training.loss_settings import LossSettings


def soft_dice_loss(logits: torch.Tensor, target: torch.Tensor, without_tumour: bool = True) -> torch.Tensor:
    """1 - 2 sum(p t) / (sum(p) + sum(t)), per sample and label, mean; +1 voxel keeps empty patches finite.

    With `without_tumour=False` samples whose target is empty cost nothing.
    """
    p = torch.sigmoid(logits.float()).flatten(2)
    t = target.flatten(2)
    overlap = 2 * (p * t).sum(-1) + 1.0
    lost = 1 - overlap / (p.sum(-1) + t.sum(-1) + 1.0)
    return (lost if without_tumour else lost * (t.sum(-1) > 0)).mean()


def cross_entropy_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, mean over voxels and labels.

    For one label behind `foreground_logits` it is the cross-entropy of the softmax head with its background channel.
    """
    return functional.binary_cross_entropy_with_logits(logits.float(), target)


def dice_and_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Soft Dice plus binary cross-entropy, weights 1 : 1."""
    return soft_dice_loss(logits, target) + cross_entropy_loss(logits, target)


def focal_tversky_loss(
    logits: torch.Tensor,
    target: torch.Tensor,
    false_negative_weight: float = 0.7,
    false_positive_weight: float = 0.3,
    focal_gamma: float = 4 / 3,
) -> torch.Tensor:
    """(1 - TI)^(1/gamma), TI = sum(p t) / (sum(p t) + a sum((1 - p) t) + b sum(p (1 - t))), per sample and label, mean.

    Abraham and Khan, ISBI 2019, arXiv 1810.07842, equations 3 and 4; a weighs what is missed, b what is too much. +1
    voxel above and below keeps empty patches finite.
    """
    p = torch.sigmoid(logits.float()).flatten(2)
    t = target.flatten(2)
    both, missed, wrong = (p * t).sum(-1), ((1 - p) * t).sum(-1), (p * (1 - t)).sum(-1)
    mistakes = false_negative_weight * missed + false_positive_weight * wrong
    # The slope of the root is infinite at 0, which rounding reaches.
    lost = (mistakes / (both + mistakes + 1.0)).clamp(min=1e-6)
    return (lost ** (1 / focal_gamma)).mean()


def segmentation_loss(logits: torch.Tensor, target: torch.Tensor, settings: LossSettings | None = None) -> torch.Tensor:
    """The weighted sum of the parts that `settings` names; by default soft Dice plus binary cross-entropy."""
    s = settings or LossSettings()
    parts = []
    if s.dice > 0:
        parts.append(s.dice * soft_dice_loss(logits, target, s.dice_without_tumour))
    if s.cross_entropy > 0:
        parts.append(s.cross_entropy * cross_entropy_loss(logits, target))
    if s.focal_tversky > 0:
        numbers = (s.false_negative_weight, s.false_positive_weight, s.focal_gamma)
        parts.append(s.focal_tversky * focal_tversky_loss(logits, target, *numbers))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def deep_supervision_loss(
    levels: list[torch.Tensor],
    target: torch.Tensor,
    settings: LossSettings | None = None,
    level_weights: Sequence[float] | None = None,
) -> torch.Tensor:
    """The loss at every level, finest first, the target averaged down to each.

    `level_weights`: the network's own, default 1, 1/2, 1/4, ...; they are normalised to the sum 1, and a level of
    weight 0 costs nothing. Raises `ValueError` when there are not as many as levels.
    """
    weights = [0.5**i for i in range(len(levels))] if level_weights is None else list(level_weights)
    total = levels[0].new_zeros((), dtype=torch.float32)
    for weight, logits in zip(weights, levels, strict=True):
        if weight > 0:
            total = total + weight * segmentation_loss(logits, _averaged_down(target, logits.shape[2:]), settings)
    return total / sum(weights)


def _averaged_down(target: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """The mean contour share in each voxel of a coarser level, whose strides may differ between axes."""
    if target.shape[2:] == shape:
        return target
    if target.ndim == 5:
        return functional.adaptive_avg_pool3d(target, (shape[0], shape[1], shape[2]))
    return functional.adaptive_avg_pool2d(target, (shape[0], shape[1]))
