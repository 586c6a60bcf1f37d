"""How encoders are pre-trained; no torch here, so that recipes are read without it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PretrainingSettings:
    """The table [pretraining] of a recipe: masked reconstruction and alignment, see `MaskedReconstruction`.

    `block`: edge of what is hidden and aligned, in voxels; `mask_ratio`: share of the blocks that is hidden. Numbers
    that make no sense are refused when the network is built.
    """

    block: int = 8
    mask_ratio: float = 0.7
    masking: str = "mixed"
    sparse: bool = False
    latent: int = 128
    heads: int = 4
    aligned: int = 64
    alignment: str = "infonce"
    alignment_weight: float = 0.1
    temperature: float = 0.07
    negative_distance_mm: float = 64.0
