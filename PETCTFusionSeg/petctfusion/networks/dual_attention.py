"""System E: dual-branch attention network for CT and MR, with a benign/malignant classifier; any pair of modalities.

Suraj, Malik: CT/MRI fusion for liver tumours. J Neonatal Surg 14(31S):944-950 (2025), doi 10.63682/jns.v14i31S.8335.
The abstract gives dual CNN encoders, spatial and channel attention fusion, a U-Net-inspired decoder, a fully connected
classifier and attention heat maps. Widths, InstanceNorm, the order channel then spatial (CBAM), stride-2 convolutions
and the mask-weighted pooling are ours. Its data were simulated and its published numbers are not claimed here.

    level      first / second encoder    fusion: [F1 ; F2] -> M_c -> M_s -> 1x1     decoder     (3-D widths)
    1          16 / 16                   32 -> 16                                   16 -> head
    2 (/2)     32 / 32                   64 -> 32                                   32
    3 (/4)     64 / 64                   128 -> 64                                  64
    4 (/8)     128 / 128                 256 -> 128                                 128
    5 (/16)    256 / 256                 512 -> 256 (bottleneck)                    -> classifier
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from petctfusion.networks.blocks.absence import present
from petctfusion.networks.blocks.arguments import require_arguments
from petctfusion.networks.blocks.cbam import ChannelAttention, SpatialAttention
from petctfusion.networks.blocks.convolution import SpatialDims, convolution
from petctfusion.networks.blocks.intensity import FixedScaling
from petctfusion.networks.blocks.sizes import require_divisible
from petctfusion.networks.blocks.unet import Decoder, Encoder, default_widths

Pooling = Literal["mask", "mean"]

_LITTLE_MASK = 1e-3  # mean of P below which the pooling turns into the plain mean: a few voxels of a window


class DualAttention(nn.Module):
    """Two modalities to logits per label, and with `forward_with_class` to logits of the lesion's class.

    Either modality may be absent (`optional_modalities`): the features of its branch are then zero at every level, so
    that attention and fusion see the other branch alone. That is worth something only after training with modality
    dropout, which shows the network such studies.

    `widths`: channels per level, default (32..512) in two and (16..256) in three dimensions. `lesion_classes`: of the
    classifier (benign, malignant). `pooling`: "mask" weights the bottleneck by the predicted tumour, "mean" does not.
    `tumour_label`: which logit channel that tumour is, default the last. `standardise`: the pooled features get mean
    0 and deviation 1 before the classifier: after instance normalisation they are small and nearly alike.
    """

    def __init__(
        self,
        spatial_dims: SpatialDims = 3,
        modalities: Sequence[str] = ("CT", "MR"),
        classes: int = 1,
        widths: Sequence[int] | None = None,
        reduction: int = 16,
        lesion_classes: int = 2,
        pooling: Pooling = "mask",
        tumour_label: int = -1,
        standardise: bool = False,
    ) -> None:
        super().__init__()
        widths = tuple(widths) if widths is not None else default_widths(spatial_dims)
        require_arguments(spatial_dims, modalities, classes, widths)
        if reduction < 1 or lesion_classes < 2:
            raise ValueError(
                f"reduction must be at least 1 and lesion_classes at least 2, got {reduction} and {lesion_classes}"
            )
        if pooling not in ("mask", "mean"):
            raise ValueError(f"pooling must be mask or mean, got {pooling!r}")
        if not -classes <= tumour_label < classes:
            raise ValueError(f"tumour_label must be one of the {classes} labels, got {tumour_label}")
        self.optional_modalities = tuple(modalities)
        self.divisor = (2 ** (len(widths) - 1),) * spatial_dims
        self.tumour_label, self.pooling, self.standardise = tumour_label, pooling, standardise
        self.scaling = FixedScaling(modalities)
        self.encoders = nn.ModuleList([Encoder(spatial_dims, 1, widths) for _ in modalities])
        self.fusions = nn.ModuleList(
            [_AttentionFusion(spatial_dims, width, reduction, level) for level, width in enumerate(widths, start=1)]
        )
        self.decoder = Decoder(spatial_dims, widths)
        self.head = convolution(spatial_dims, widths[0], classes, kernel=1)
        self.classifier = nn.Sequential(
            nn.Linear(widths[-1], 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, lesion_classes)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, 2, *spatial)`, HU, SUV or z-scores, to logits `(B, classes, *spatial)`; sizes divisible by `divisor`."""
        return self._segmented(x)[0]

    def forward_with_class(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`(B, 2, *spatial)` to segmentation logits `(B, classes, *spatial)` and class logits `(B, lesion_classes)`.

        The classes describe the window given, as one lesion: choose it around one. The mask that weights the pooling
        passes no gradient.
        """
        logits, bottleneck = self._segmented(x)
        if self.pooling == "mask":
            tumour = torch.sigmoid(logits.detach().float())[:, self.tumour_label].unsqueeze(1)
            pooled = mask_weighted_pooling(bottleneck, tumour)
        else:
            pooled = bottleneck.mean(dim=tuple(range(2, bottleneck.ndim)))
        if self.standardise:
            pooled = nn.functional.layer_norm(pooled, pooled.shape[1:])
        return logits, self.classifier(pooled)

    def _segmented(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        require_divisible(x, self.divisor, self.divisor[0])
        branches = []
        for encoder, channel in zip(self.encoders, self.scaling(x).split(1, dim=1), strict=True):
            there = present(channel)
            branches.append([feature * there.to(feature.dtype) for feature in encoder(channel)])
        fused = [fusion(*pair) for fusion, *pair in zip(self.fusions, *branches, strict=True)]
        return self.head(self.decoder(fused[-1], fused[:-1])), fused[-1]


class _AttentionFusion(nn.Module):
    """F = [F_1 ; F_2], F1 = M_c F, F2 = M_s F1, S = conv1(F2) with as many channels as one branch."""

    def __init__(self, spatial_dims: int, channels: int, reduction: int, level: int) -> None:
        super().__init__()
        self.channel = ChannelAttention(2 * channels, reduction)
        self.spatial = SpatialAttention(spatial_dims, f"spatial attention, level {level}")
        self.mix = convolution(spatial_dims, 2 * channels, channels, kernel=1)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Two `(B, C, *spatial)` to one."""
        fused: torch.Tensor = self.mix(self.spatial(self.channel(torch.cat([first, second], dim=1))))
        return fused


def mask_weighted_pooling(feature: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """sum(P F) / sum(P) with P averaged to the feature's grid; where there is hardly any P, the mean of F.

    feature: `(B, C, *spatial / k)`, mask: `(B, 1, *spatial)` in [0, 1], to `(B, C)` in float32.
    """
    factors = [fine // coarse for fine, coarse in zip(mask.shape[2:], feature.shape[2:], strict=True)]
    average = nn.functional.avg_pool2d if len(factors) == 2 else nn.functional.avg_pool3d
    weights = average(mask.float(), factors).flatten(2)
    values = feature.float().flatten(2)
    weighted, plain = (weights * values).mean(dim=2), values.mean(dim=2)
    pooled: torch.Tensor = (weighted + _LITTLE_MASK * plain) / (weights.mean(dim=2) + _LITTLE_MASK)
    return pooled
