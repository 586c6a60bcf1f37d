"""TAMW: target-aware modality weighting, the decoder's skip fusion of H2ASeg.

With the coarser level's prediction P = softmax(up(pred)), P_b its background and P_f = 1 - P_b:

    X_f = [ct P_f ; pet P_f ; f_hi]      X_b = [ct P_b ; pet P_b ; f_hi]
    w = tanh(W_2 tanh(W_1 GAP(X)))       in (-1, 1), separate W for f and b, biases in both, W_1 reduces by 4
    F = [ct ; pet ; f_hi] + w_f X_f - w_b X_b
"""

from __future__ import annotations

import torch
from torch import nn

from petctfusion.networks.blocks.probe import Probe

_REDUCTION = 4


class TargetAwareWeighting(nn.Module):
    """`channels` of each modality and `decoder_channels` of f_hi to their concatenation, enhanced."""

    def __init__(self, channels: int, decoder_channels: int, level: int, modalities: tuple[str, str]) -> None:
        super().__init__()
        self.channels = channels
        total = 2 * channels + decoder_channels
        self.foreground = _weighting(total)
        self.background = _weighting(total)
        self.maps = nn.ModuleDict(
            {
                f"{side}_{which}": Probe(f"TAMW level {level}: {side} weight of {modality}")
                for side in ("foreground", "background")
                for which, modality in enumerate(modalities)
            }
        )

    def forward(
        self, ct: torch.Tensor, pet: torch.Tensor, f_hi: torch.Tensor, prediction: torch.Tensor
    ) -> torch.Tensor:
        """ct, pet: `(B, C, *s)`, f_hi: `(B, C_d, *s)`, prediction: softmax scores `(B, 1 + K, *s)`, background first.

        To `(B, 2 C + C_d, *s)`. `s` is the level's own grid: prediction and f_hi come upsampled.
        """
        scores = prediction.to(torch.promote_types(prediction.dtype, torch.float32))
        p_b = torch.softmax(scores, dim=1)[:, :1].to(ct.dtype)
        p_f = 1 - p_b
        plain = torch.cat([ct, pet, f_hi], dim=1)
        skips = plain[:, : 2 * self.channels]
        w_f = self._weights(self.foreground, skips * p_f, f_hi)
        w_b = self._weights(self.background, skips * p_b, f_hi)
        self._show("foreground", w_f, p_f)
        self._show("background", w_b, p_b)
        # The prediction P stands before the skips only; f_hi is weighted by its own channels' w alone.
        from_skips = skips * (w_f[:, : 2 * self.channels] * p_f - w_b[:, : 2 * self.channels] * p_b)
        from_above = f_hi * (w_f[:, 2 * self.channels :] - w_b[:, 2 * self.channels :])
        return plain + torch.cat([from_skips, from_above], dim=1)

    @staticmethod
    def _weights(layers: nn.Module, skips: torch.Tensor, f_hi: torch.Tensor) -> torch.Tensor:
        axes = tuple(range(2, skips.ndim))
        w: torch.Tensor = layers(torch.cat([skips.mean(dim=axes), f_hi.mean(dim=axes)], dim=1))
        return w.view(*w.shape, *(1,) * len(axes))

    def _show(self, side: str, w: torch.Tensor, p: torch.Tensor) -> None:
        """Per modality the mean of w P over its channels: what its features are raised or lowered by, here."""
        for which in range(2):
            probe = self.maps[f"{side}_{which}"]
            if probe.watching:
                mine = w[:, which * self.channels : (which + 1) * self.channels]
                probe(mine.mean(dim=1, keepdim=True) * p)


def _weighting(channels: int) -> nn.Sequential:
    hidden = max(1, channels // _REDUCTION)
    return nn.Sequential(nn.Linear(channels, hidden), nn.Tanh(), nn.Linear(hidden, channels), nn.Tanh())
