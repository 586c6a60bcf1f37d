"""From a softmax head with a background channel to the product's one sigmoid channel per label."""

from __future__ import annotations

import torch


def foreground_logits(scores: torch.Tensor) -> torch.Tensor:
    """Softmax scores `(B, 1 + K, *spatial)`, background first, to logits `(B, K, *spatial)`, never in half precision.

    The logit of class k is z_k - logsumexp of all other channels: its sigmoid is the softmax probability of class k.
    For two channels that is z_1 - z_0.
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    channels = scores.shape[1]
    if channels == 2:
        return scores[:, 1:] - scores[:, :1]
    logits = []
    for k in range(1, channels):
        others = torch.cat([scores[:, :k], scores[:, k + 1 :]], dim=1)
        logits.append(scores[:, k] - torch.logsumexp(others, dim=1))
    return torch.stack(logits, dim=1)
