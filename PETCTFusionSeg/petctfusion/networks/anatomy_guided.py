"""System A: anatomy-guided modality fusion with zero layers, for volumes and images.

Ahmad I., Anwar S.J., Hussain B., ur Rehman A., Bermak A.: Anatomy guided modality fusion for cancer segmentation in
PET CT volumes and images. Scientific Reports 15:12153 (2025), doi 10.1038/s41598-025-95757-6. The abstract gives the
idea (separate encoders, zero layers with learnable normalisation, attentive fusion decoder guided by anatomy, few
filters); widths, depth and formulas are a re-implementation. Its Dice and HD95 are not claimed here.

    stage       CT encoder      PET encoder     decoder            (widths 8, 16, 32, 64, 128; 3-D patch 64^3)
    0 zero      8 x 64^3        8 x 64^3
    1           8 x 64^3        8 x 64^3        AAF  8 x 64^3  -> head
    2 (/2)      16 x 32^3       16 x 32^3       AAF 16 x 32^3
    3 (/4)      32 x 16^3       32 x 16^3       AAF 32 x 16^3
    4 (/8)      64 x 8^3        64 x 8^3        AAF 64 x 8^3
    5 (/16)     128 x 4^3       128 x 4^3       conv 128 x 4^3  (bottleneck: both, no gate)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from petctfusion.networks.blocks.click_refiner import GUIDANCE_CHANNELS, ClickRefiner
from petctfusion.networks.blocks.convolution import ConvBlock, SpatialDims, convolution, upsample
from petctfusion.networks.blocks.guided_fusion import AnatomyGuidedFusionBlock, ZeroResidualFusionBlock
from petctfusion.networks.blocks.plain_unet import Encoder, PlainUNet
from petctfusion.networks.blocks.sizes import require_divisible
from petctfusion.networks.blocks.zero_layer import FixedWindows, ZeroLayer

Fusion = Literal["early", "late", "intermediate"]
Normalisation = Literal["learnable", "fixed"]
ZeroReading = Literal["windows", "residual"]

LIGHT_WIDTHS = (8, 16, 32, 64, 128)
BASE_WIDTHS = (16, 32, 64, 128, 256)


class AnatomyGuidedFusion(nn.Module):
    """CT and PET in HU and SUVbw, one logit map per label out.

    `fusion`: "intermediate" is the published idea; "early" concatenates after the zero layers into one encoder; "late"
    runs two complete U-Nets and mixes their last features. `normalisation`: "learnable" zero layers or "fixed" windows.
    `modalities`: the anatomical one first. `deep_supervision` adds heads at levels 2 and 3 (used in training only).
    `zero_layer`: the reading, see above; "residual" belongs to intermediate fusion and has fixed windows in front.
    `zero_width`: channels of layer 0 (default: the first width); `bottleneck_convolutions`: 1 or 2, in intermediate
    fusion (with 8 and 1: 3.41 M parameters, with `BASE_WIDTHS` 13.6 M). `clicks`: three more channels may follow the
    modalities, foreground clicks, background clicks and the mask they correct, of one label; a `ClickRefiner` answers.
    """

    def __init__(
        self,
        spatial_dims: SpatialDims = 3,
        modalities: Sequence[str] = ("CT", "PET"),
        classes: int = 1,
        widths: Sequence[int] = LIGHT_WIDTHS,
        fusion: Fusion = "intermediate",
        normalisation: Normalisation = "learnable",
        deep_supervision: bool = False,
        zero_layer: ZeroReading = "windows",
        zero_width: int | None = None,
        bottleneck_convolutions: int = 2,
        clicks: bool = False,
    ) -> None:
        super().__init__()
        zero_width = widths[0] if zero_width is None else zero_width
        _check(spatial_dims, modalities, classes, fusion, normalisation, zero_layer)
        self.modalities = tuple(modalities)
        self.spatial_dims = spatial_dims
        self.divisor = 2 ** (len(widths) - 1)
        levels = min(3, len(widths) - 1) if deep_supervision else 1
        layer_zero = ZeroLayer if normalisation == "learnable" and zero_layer == "windows" else FixedWindows
        self.zero_layers = nn.ModuleList([layer_zero(spatial_dims, name, zero_width) for name in modalities])
        if fusion == "intermediate":
            self.body: nn.Module = _IntermediateFusion(
                spatial_dims, zero_width, widths, self.modalities, zero_layer, bottleneck_convolutions
            )
        elif fusion == "early":
            self.body = PlainUNet(spatial_dims, 2 * zero_width, widths)
        else:
            self.body = _LateFusion(spatial_dims, zero_width, widths, levels)
        self.heads = nn.ModuleList([convolution(spatial_dims, widths[i], classes, kernel=1) for i in range(levels)])
        # Last, so that the same seed begins with the same weights as without clicks.
        known = widths[0] + 2 * zero_width + classes
        self.click_refiner = ClickRefiner(spatial_dims, known) if clicks else None

    @property
    def takes_clicks(self) -> bool:
        """Whether three channels of guidance may follow the modalities."""
        return self.click_refiner is not None

    def physical_parameters(self) -> list[nn.Parameter]:
        """Parameters of the zero layers in physical units (no weight decay, lower learning rate)."""
        return [p for layer in self.zero_layers for p in layer.physical_parameters()]  # type: ignore[operator]

    def windows(self) -> list[list[tuple[float, float]]]:
        """Per modality the current (level, width) pairs in HU or SUV."""
        return [layer.windows() for layer in self.zero_layers]  # type: ignore[operator]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, 2, *spatial)` in HU and SUV to logits `(B, classes, *spatial)`; spatial sizes divisible by `divisor`.

        With `clicks` the input may have 5 channels: then the logits are those of the mask, corrected in the window's
        middle half.
        """
        guidance = x.shape[1] - len(self.modalities)
        if self.click_refiner is not None and guidance == GUIDANCE_CHANNELS:
            return self.click_refiner.in_the_middle(self.click_features(x[:, :-guidance]), x[:, -guidance:])
        logits: torch.Tensor = self.heads[0](self._decoded(self._normalised(x))[0])
        return logits

    def forward_levels(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Logits at full, half and quarter resolution for deep supervision, finest first."""
        return [head(feature) for head, feature in zip(self.heads, self._decoded(self._normalised(x)), strict=False)]

    def click_features(self, x: torch.Tensor) -> torch.Tensor:
        """What the refiner is told of `(B, 2, *spatial)`: the logits first, then decoder and zero layers."""
        normalised = self._normalised(x)
        finest = self._decoded(normalised)[0]
        return torch.cat([self.heads[0](finest), finest, *normalised], dim=1)

    def _normalised(self, x: torch.Tensor) -> list[torch.Tensor]:
        if x.shape[1] != len(self.modalities):
            raise ValueError(f"the input must have 2 channels, {' and '.join(self.modalities)}, got {x.shape[1]}")
        require_divisible(x, (self.divisor,) * self.spatial_dims)
        return [layer(x[:, i : i + 1]) for i, layer in enumerate(self.zero_layers)]

    def _decoded(self, normalised: list[torch.Tensor]) -> list[torch.Tensor]:
        decoded: list[torch.Tensor] = self.body(normalised)
        return decoded


def _check(
    spatial_dims: int, modalities: Sequence[str], classes: int, fusion: str, normalisation: str, zero_layer: str
) -> None:
    if spatial_dims not in (2, 3):
        raise ValueError(f"spatial_dims must be 2 or 3, got {spatial_dims}")
    if len(modalities) != 2:
        raise ValueError(f"modalities must name two modalities, the anatomical one first, got {list(modalities)}")
    if classes < 1:
        raise ValueError(f"classes must be at least 1, got {classes}")
    if fusion not in ("early", "late", "intermediate"):
        raise ValueError(f"fusion must be early, late or intermediate, got {fusion!r}")
    if normalisation not in ("learnable", "fixed"):
        raise ValueError(f"normalisation must be learnable or fixed, got {normalisation!r}")
    if zero_layer not in ("windows", "residual"):
        raise ValueError(f"zero_layer must be windows or residual, got {zero_layer!r}")
    if zero_layer == "residual" and fusion != "intermediate":
        raise ValueError(f"the residual zero layer sits in the intermediate fusion, which {fusion} fusion lacks")
    if zero_layer == "residual" and normalisation == "fixed":
        raise ValueError("the residual zero layer is a learnable normalisation; fixed goes with zero_layer windows")


class _IntermediateFusion(nn.Module):
    """Two encoders and the attentive fusion decoder."""

    def __init__(
        self,
        spatial_dims: int,
        inputs: int,
        widths: Sequence[int],
        modalities: Sequence[str],
        zero_layer: ZeroReading,
        bottleneck_convolutions: int,
    ) -> None:
        super().__init__()
        self.anatomy = Encoder(spatial_dims, inputs, widths)
        self.metabolism = Encoder(spatial_dims, inputs, widths)
        self.bottleneck = ConvBlock(spatial_dims, 2 * widths[-1], widths[-1], convolutions=bottleneck_convolutions)
        block = AnatomyGuidedFusionBlock if zero_layer == "windows" else ZeroResidualFusionBlock
        names = (modalities[0], modalities[1])
        self.fusions = nn.ModuleList(
            [block(spatial_dims, widths[i], widths[i + 1], i + 1, names) for i in range(len(widths) - 1)]
        )

    def forward(self, normalised: list[torch.Tensor]) -> list[torch.Tensor]:
        """Two `(B, inputs, *spatial)` to the decoder features of all fused levels, finest first."""
        a, p = self.anatomy(normalised[0]), self.metabolism(normalised[1])
        d = self.bottleneck(torch.cat([a[-1], p[-1]], dim=1))
        decoded = []
        for level in reversed(range(len(self.fusions))):
            d = self.fusions[level](a[level], p[level], upsample(d, a[level].shape[2:]))
            decoded.append(d)
        return decoded[::-1]


class _LateFusion(nn.Module):
    """Two complete U-Nets; a 1x1 convolution mixes their decoder features at each of the finest `levels`."""

    def __init__(self, spatial_dims: int, inputs: int, widths: Sequence[int], levels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([PlainUNet(spatial_dims, inputs, widths) for _ in range(2)])
        self.mixes = nn.ModuleList([convolution(spatial_dims, 2 * w, w, kernel=1) for w in widths[:levels]])

    def forward(self, normalised: list[torch.Tensor]) -> list[torch.Tensor]:
        """Two `(B, inputs, *spatial)` to mixed decoder features, finest first."""
        first, second = (branch([x]) for branch, x in zip(self.branches, normalised, strict=True))
        return [mix(torch.cat(pair, dim=1)) for mix, *pair in zip(self.mixes, first, second, strict=False)]
