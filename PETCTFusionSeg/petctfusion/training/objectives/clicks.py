"""Answering clicks: a reader corrects the network, again and again, and every answer is learnt from.

Only the network's `click_refiner` learns; what it begins with stays to the last bit, and with it every result that is
made without a click.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from petctfusion.networks.blocks.click_refiner import refined_length
from petctfusion.training.click_settings import ClickSettings
from petctfusion.training.simulated_clicks import SimulatedReader, crude_mask

# How often the first mask is the network's own, and the probability above which it counts there.
_OWN_MASK = 0.6
_OWN_THRESHOLD = (0.2, 0.8)


class TakesClicks(Protocol):
    """What the objective needs of a network."""

    click_refiner: nn.Module

    def click_features(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, M, *spatial)` to features, the logits first."""
        ...


@dataclass(frozen=True)
class ClickObjective:
    """The mean loss of the answers to `settings.clicks` clicks; `pet` is the channel of the SUV, None without one."""

    settings: ClickSettings
    spacing_zyx: tuple[float, float, float]
    pet: int | None

    def __call__(self, network: nn.Module, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss of one batch."""
        guided = cast(TakesClicks, network)
        with torch.no_grad():
            features = guided.click_features(image)
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        readers = self._readers(image, target, features[:, 0], rng)
        losses = []
        for _ in range(self.settings.clicks):
            windows = [reader.click([refined_length(size) for size in image.shape[2:]]) for reader in readers]
            cut = [(slice(None), *window) for window in windows]
            guidance, weight = (_stacked(arrays, image) for arrays in _seen(readers, cut))
            logits = guided.click_refiner(torch.stack([f[at] for f, at in zip(features, cut, strict=True)]), guidance)
            wanted = torch.stack([share[at] for share, at in zip(target, cut, strict=True)])
            losses.append(weighted_loss(logits, wanted, weight))
            for reader, window, answer in zip(readers, windows, (logits.detach() > 0).cpu().numpy(), strict=True):
                reader.see(window, answer[0])
        return torch.stack(losses).mean()

    def _readers(
        self, image: torch.Tensor, target: torch.Tensor, logits: torch.Tensor, rng: np.random.Generator
    ) -> list[SimulatedReader]:
        readers = []
        probabilities = torch.sigmoid(logits.float()).cpu().numpy()
        for values, share, own in zip(image.cpu().numpy(), target[:, 0].cpu().numpy(), probabilities, strict=True):
            contour = share >= 0.5
            if rng.random() < _OWN_MASK:
                mask = own >= rng.uniform(*_OWN_THRESHOLD)
            else:
                mask = crude_mask(contour, None if self.pet is None else values[self.pet], self.spacing_zyx, rng)
            readers.append(SimulatedReader(contour, mask, self.spacing_zyx, self.settings.radius_mm, rng))
        return readers


def weighted_loss(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Soft Dice plus binary cross-entropy where every voxel counts as its weight; 0 where all weights are."""
    scores, p = logits.float(), torch.sigmoid(logits.float())
    over = tuple(range(1, logits.ndim))
    overlap, both = (weight * p * target).sum(over), (weight * (p + target)).sum(over)
    entropy = functional.binary_cross_entropy_with_logits(scores, target, weight, reduction="none").sum(over)
    return (1 - (2 * overlap + 1) / (both + 1) + entropy / weight.sum(over).clamp(min=1)).mean()


def _seen(
    readers: Sequence[SimulatedReader], cut: Sequence[tuple[slice, ...]]
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Guidance (3, z, y, x) and weights (1, z, y, x) in every reader's window."""
    both = list(zip(readers, cut, strict=True))
    return [reader.guidance()[at] for reader, at in both], [reader.weight()[None][at] for reader, at in both]


def _stacked(arrays: Sequence[NDArray[np.float32]], like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays)).to(like.device)
