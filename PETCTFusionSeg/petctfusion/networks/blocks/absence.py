"""Which studies of a batch lack a modality, seen from the scaled channel."""

from __future__ import annotations

import torch


def present(scaled: torch.Tensor) -> torch.Tensor:
    """1 where a study has the modality and 0 where its channel is absent, `(B, 1, *1)` in the dtype of `scaled`.

    `scaled` `(B, 1, *spatial)` comes from `FixedScaling`, which turns `absent_value` into exactly 0 everywhere (a
    measured window that is 0 throughout carries nothing either). No branch: studies of one batch may differ.
    """
    return scaled.ne(0).flatten(1).any(dim=1).to(scaled.dtype).view(-1, *(1,) * (scaled.ndim - 1))
