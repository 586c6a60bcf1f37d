"""MSAM: the PET makes a spatial attention map that multiplies the features of a CT U-Net at every scale.

Fu X. et al.: Multimodal Spatial Attention Module for Targeting Multimodal PET-CT Lung Tumor Segmentation. IEEE JBHI
25:3507-3516 (2021), arXiv 2007.14728. The abstract gives the idea: F_ct <- F_ct * resize(S_pet), trained end to end
without supervision of the map. Ours: a PET branch of four levels with sigmoid at its end, averaging as resize, five
encoder levels of the CT backbone, widths, InstanceNorm. Its published numbers are not claimed here.

    PET branch (16, 32, 64, 128): U-Net -> 1 x 1 -> sigmoid = S            (B, 1, *spatial)
    CT backbone (3-D 16..256): after each encoder level F_l <- F_l * average_2^(l-1)(S), for the next level and the skip
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from petctfusion.networks.blocks.absence import present
from petctfusion.networks.blocks.arguments import require_arguments
from petctfusion.networks.blocks.convolution import SpatialDims, convolution
from petctfusion.networks.blocks.intensity import FixedScaling
from petctfusion.networks.blocks.probe import Probe
from petctfusion.networks.blocks.sizes import require_divisible
from petctfusion.networks.blocks.unet import Decoder, Encoder, default_widths

GUIDE_WIDTHS = (16, 32, 64, 128)


class MSAM(nn.Module):
    """`modalities`: the backbone's (CT) first, the guide's (PET) second; one logit map per label out.

    The guide is optional: where its channel is absent the map is 1 everywhere, which leaves the CT U-Net alone. It
    meets such studies in training only with modality dropout. The backbone's modality is always needed.

    `widths`: of the backbone, default (32..512) in two and (16..256) in three dimensions; `guide_widths`: of the PET
    branch.
    """

    def __init__(
        self,
        spatial_dims: SpatialDims = 3,
        modalities: Sequence[str] = ("CT", "PET"),
        classes: int = 1,
        widths: Sequence[int] | None = None,
        guide_widths: Sequence[int] = GUIDE_WIDTHS,
    ) -> None:
        super().__init__()
        widths = tuple(widths) if widths is not None else default_widths(spatial_dims)
        for counts in (widths, guide_widths):
            require_arguments(spatial_dims, modalities, classes, counts)
        self.optional_modalities = (modalities[1],)
        self.divisor = (2 ** (max(len(widths), len(guide_widths)) - 1),) * spatial_dims
        self.scaling = FixedScaling(modalities)
        self.guide_encoder = Encoder(spatial_dims, 1, guide_widths)
        self.guide_decoder = Decoder(spatial_dims, guide_widths)
        self.guide_head = convolution(spatial_dims, guide_widths[0], 1, kernel=1)
        self.encoder = Encoder(spatial_dims, 1, widths)
        self.decoder = Decoder(spatial_dims, widths)
        self.head = convolution(spatial_dims, widths[0], classes, kernel=1)
        self.map = Probe(f"spatial attention from {modalities[1]}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, 2, *spatial)` in HU and SUV to logits `(B, classes, *spatial)`; sizes divisible by `divisor`."""
        require_divisible(x, self.divisor, self.divisor[0])
        ct, pet = self.scaling(x).split(1, dim=1)
        maps: list[torch.Tensor] = [self.map(self.attention(pet))]
        for _ in self.encoder.stages[1:]:
            maps.append(_halved(maps[-1]))
        features = self.encoder(ct, lambda level, feature: feature * maps[level].to(feature.dtype))
        logits: torch.Tensor = self.head(self.decoder(features[-1], features[:-1]))
        return logits

    def attention(self, guide: torch.Tensor) -> torch.Tensor:
        """S: the scaled guide `(B, 1, *spatial)` to a map in (0, 1), float32, same shape; 1 where it is absent."""
        features = self.guide_encoder(guide)
        s = torch.sigmoid(self.guide_head(self.guide_decoder(features[-1], features[:-1])).float())
        there = present(guide).to(s.dtype)
        return s * there + (1 - there)


def _halved(s: torch.Tensor) -> torch.Tensor:
    return nn.functional.avg_pool2d(s, 2) if s.ndim == 4 else nn.functional.avg_pool3d(s, 2)
