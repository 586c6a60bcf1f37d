"""Modality dropout: the network learns to do without what it says it can do without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from petctfusion.networks.blocks.intensity import absent_value


def without_one(
    image: torch.Tensor,
    modalities: Sequence[str],
    optional: Sequence[str],
    probability: float,
    rng: np.random.Generator,
) -> torch.Tensor:
    """`image` (M, z, y, x) with the chance `probability` of one of the `optional` modalities filled as if absent.

    One at most, and never the only one that the patient has. Inference fills a missing modality with the same value.
    """
    may_go = [kind for kind in modalities if kind in optional]
    if probability <= 0 or not may_go or len(modalities) < 2 or rng.random() >= probability:
        return image
    gone = may_go[int(rng.integers(len(may_go)))]
    others = [(channel, kind) for channel, kind in zip(image, modalities, strict=True) if kind != gone]
    if all(bool((channel == absent_value(kind)).all()) for channel, kind in others):
        return image
    image = image.clone()
    image[list(modalities).index(gone)] = absent_value(gone)
    return image
