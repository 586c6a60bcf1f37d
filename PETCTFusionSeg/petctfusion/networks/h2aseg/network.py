"""System B: H2ASeg, hierarchical adaptive interaction and weighting network.

Lu J. et al.: H2ASeg: Hierarchical Adaptive Interaction and Weighting Network for Tumor Segmentation in PET/CT Images.
MICCAI 2024, arXiv 2403.18339. The structure follows the description of the authors' program: 7,164,869 parameters in
the published configuration. Its published numbers are not claimed here.

    level   grid (z, y, x)   CT / PET encoder   attention                  decoder (TAMW, residual block)   head
    1       64 x 128 x 128   8 / 8              -                          48 -> 16                         yes
    2       32 x 64 x 64     16 / 16            MCSA, window 4 x 8 x 8     96 -> 32                         yes
    3       16 x 32 x 32     32 / 32            MCSA, window 4 x 8 x 8     192 -> 64                        yes
    4       8 x 16 x 16      64 / 64            global BDSA + skip         384 -> 128                       yes
    5       4 x 8 x 8        128 / 128          global BDSA + skip         [CT ; PET] 256                   yes

Ours: pooling over the whole grid (the authors' pooling kernel locks the patch size; equal there), two dimensions,
more than one class (P_f is then the sum of all classes), intensities by `FixedScaling`, heads returned at their own
resolution (the authors enlarge them before the loss).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from petctfusion.networks.blocks.arguments import require_arguments
from petctfusion.networks.blocks.convolution import SpatialDims, convolution
from petctfusion.networks.blocks.intensity import FixedScaling
from petctfusion.networks.blocks.sizes import require_divisible
from petctfusion.networks.blocks.softmax_head import foreground_logits
from petctfusion.networks.blocks.spatial_attention import BidirectionalSpatialAttention, Fuse
from petctfusion.networks.h2aseg.mcsa import CooperativeWindowAttention
from petctfusion.networks.h2aseg.residual import FirstBlock, ResidualBlock, activation, enlarge
from petctfusion.networks.h2aseg.tamw import TargetAwareWeighting

PUBLISHED_WIDTHS = (8, 16, 32, 64, 128)
PUBLISHED_WINDOW: dict[int, tuple[int, ...]] = {2: (8, 8), 3: (4, 8, 8)}
_WINDOW_LEVELS = (2, 3)
_GLOBAL_LEVELS = (4, 5)
_STRIDE = 16  # of level 5


class H2ASeg(nn.Module):
    """CT and PET in HU and SUVbw, one logit map per label out; both modalities are needed.

    `widths`: channels of the five levels. `window`: MCSA's, (z, y, x) or (y, x). `reduction`: of Q and K in MCSA.
    `dropout`: in encoder, attention and decoder (published 0.5). `fuse`: see `BidirectionalSpatialAttention`. `mcsa`,
    `global_attention` and `tamw` switch the modules off for ablations: all off is two encoders and plain concatenation.
    """

    optional_modalities: tuple[str, ...] = ()

    def __init__(
        self,
        spatial_dims: SpatialDims = 3,
        modalities: Sequence[str] = ("CT", "PET"),
        classes: int = 1,
        widths: Sequence[int] = PUBLISHED_WIDTHS,
        window: Sequence[int] | None = None,
        reduction: int = 4,
        dropout: float = 0.5,
        fuse: Fuse = "mean",
        mcsa: bool = True,
        global_attention: bool = True,
        tamw: bool = True,
    ) -> None:
        super().__init__()
        require_arguments(spatial_dims, modalities, classes, widths)
        if len(widths) != 5:
            raise ValueError(f"widths must be five channel counts, one a level, got {list(widths)}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
        window = tuple(window) if window is not None else PUBLISHED_WINDOW[spatial_dims]
        if len(window) != spatial_dims or min(window) < 1 or any(extent % min(window) for extent in window):
            raise ValueError(f"window needs {spatial_dims} multiples of its smallest extent, got {window}")
        names = (modalities[0], modalities[1])
        self.divisor = _divisor(window if mcsa else (1,) * spatial_dims)
        self.level_weights = tuple(weight / 15 for weight in (5, 4, 3, 2, 1))
        """Of the heads, finest first; the paper adds the losses with weights 5, 4, 3, 2, 1, not normalised."""
        self.scaling = FixedScaling(modalities)
        self.encoder = nn.ModuleList([_branch(spatial_dims, widths, dropout) for _ in modalities])
        self.attention = nn.ModuleDict()
        for level in _WINDOW_LEVELS if mcsa else ():
            name, width = f"MCSA level {level}", widths[level - 1]
            self.attention[str(level)] = CooperativeWindowAttention(
                spatial_dims, width, window, reduction, fuse, dropout, name, names
            )
        for level in _GLOBAL_LEVELS if global_attention else ():
            name, width = f"BDSA level {level}", widths[level - 1]
            self.attention[str(level)] = BidirectionalSpatialAttention(
                spatial_dims, width, 1, fuse, skip=True, dropout=dropout, name=name, modalities=names
            )
        self.weighting = nn.ModuleList(
            [TargetAwareWeighting(widths[i], 2 * widths[i + 1], i + 1, names) for i in range(4)] if tamw else []
        )
        self.decoder = nn.ModuleList(
            [ResidualBlock(spatial_dims, 2 * (widths[i] + widths[i + 1]), 2 * widths[i], dropout) for i in range(4)]
        )
        self.heads = nn.ModuleList(
            [
                nn.Sequential(activation(spatial_dims, 2 * w), convolution(spatial_dims, 2 * w, classes + 1))
                for w in widths
            ]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, 2, *spatial)` in HU and SUV to logits `(B, classes, *spatial)`; sizes divisible by `divisor`."""
        return foreground_logits(self._scores(x)[0])

    def forward_levels(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Logits `(B, classes, *spatial / 2^i)` of the five heads, finest first."""
        return [foreground_logits(scores) for scores in self._scores(x)]

    def _scores(self, x: torch.Tensor) -> list[torch.Tensor]:
        require_divisible(x, self.divisor, _STRIDE)
        ct, pet = self._encoded(self.scaling(x))
        feature = torch.cat([ct[4], pet[4]], dim=1)
        scores = [self.heads[4](feature)]
        for level in (3, 2, 1, 0):
            size = ct[level].shape[2:]
            f_hi = enlarge(feature, size)
            if self.weighting:
                fused = self.weighting[level](ct[level], pet[level], f_hi, enlarge(scores[-1], size))
            else:
                fused = torch.cat([ct[level], pet[level], f_hi], dim=1)
            feature = self.decoder[level](fused)
            scores.append(self.heads[level](feature))
        return scores[::-1]

    def _encoded(self, scaled: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The attended features of both branches, finest first; they feed the next level and the skip."""
        features: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        ct, pet = scaled[:, :1], scaled[:, 1:]
        for level, (ct_block, pet_block) in enumerate(zip(*self.encoder, strict=True), start=1):
            ct, pet = ct_block(ct), pet_block(pet)
            if str(level) in self.attention:
                ct, pet = self.attention[str(level)](ct, pet)
            features[0].append(ct)
            features[1].append(pet)
        return features


def _branch(spatial_dims: int, widths: Sequence[int], dropout: float) -> nn.ModuleList:
    deeper = [ResidualBlock(spatial_dims, widths[i], widths[i + 1], dropout, stride=2) for i in range(4)]
    return nn.ModuleList([FirstBlock(spatial_dims, 1, widths[0], dropout), *deeper])


def _divisor(window: Sequence[int]) -> tuple[int, ...]:
    """What level 5 needs, and the windows at level 3, on a grid 4 times coarser."""
    return tuple(math.lcm(_STRIDE, 4 * extent) for extent in window)
