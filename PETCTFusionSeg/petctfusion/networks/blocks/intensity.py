"""Physical units to a network's scale with fixed numbers: for the systems whose papers have no learnable windows.

The numbers are the autoPET III "fingerprint" of nnU-Net v2 (intensities inside lesions; percentiles 0.5 and 99.5, mean
and standard deviation), published in the plans of LesionTracer, MIC-DKFZ/autopet-3-submission. CT is clipped and
standardised with it as nnU-Net does; PET too, instead of per-case z-scores, so that an SUV means the same everywhere.
One number is ours: PET is clipped at 0, not at its percentile 0.5 (1.04 SUV), so that a network sees what is cold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Scaling:
    """x to (clip(x, low, high) - mean) / deviation, in the modality's unit (HU or SUVbw)."""

    low: float
    high: float
    mean: float
    deviation: float


SCALINGS: dict[str, Scaling] = {
    "CT": Scaling(low=-832.06, high=1127.76, mean=107.73, deviation=286.34),
    "PET": Scaling(low=0.0, high=51.211, mean=7.0638, deviation=7.9604),
}
# Modalities without a physical unit (MR) come z-scored by the model card and stay as they are.
UNCHANGED = Scaling(low=-math.inf, high=math.inf, mean=0.0, deviation=1.0)


def absent_value(modality: str) -> float:
    """What fills the channel of an absent modality, in its unit: its mean, which `FixedScaling` turns into 0."""
    return SCALINGS.get(modality, UNCHANGED).mean


class FixedScaling(nn.Module):
    """Clip and standardise each channel by its modality's fixed numbers; nothing to learn, nothing in the state dict.

    `modalities` name the channels in order. Raises `ValueError` when there are none.
    """

    def __init__(self, modalities: Sequence[str]) -> None:
        super().__init__()
        if not modalities:
            raise ValueError("modalities must name at least one channel, got none")
        scalings = [SCALINGS.get(name, UNCHANGED) for name in modalities]
        for field in ("low", "high", "mean", "deviation"):
            values = torch.tensor([getattr(scaling, field) for scaling in scalings])
            self.register_buffer(field, values, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, M, *spatial)` in HU, SUVbw, ... to the same shape, about zero mean and unit deviation inside tumours.

        Raises `ValueError` when the channels are not as many as the modalities.
        """
        modalities = self.get_buffer("mean").numel()
        if x.shape[1] != modalities:
            raise ValueError(f"the input must have {modalities} channels, one per modality, got {x.shape[1]}")
        shape = (1, -1) + (1,) * (x.ndim - 2)
        low, high, mean, deviation = (
            self.get_buffer(field).view(shape) for field in ("low", "high", "mean", "deviation")
        )
        # 1000 HU in bfloat16 has steps of 4 HU: this stays in single precision under autocast.
        with torch.autocast(x.device.type, enabled=False):
            scaled: torch.Tensor = (torch.minimum(torch.maximum(x.float(), low), high) - mean) / deviation
        return scaled
