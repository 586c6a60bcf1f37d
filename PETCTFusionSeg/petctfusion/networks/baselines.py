"""What users would pick instead: U-Nets with early and late fusion, SegResNet, Swin UNETR and nnU-Net's ResEnc U-Net.

The bodies come from MONAI and from dynamic-network-architectures (Apache-2.0, the extra `networks`), with their
publications' sizes as defaults. In front stands `FixedScaling`, so that they take HU and SUV like every other network
here; behind it they see the modalities as channels. None runs without one of its modalities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from petctfusion.networks.blocks.convolution import SpatialDims, convolution
from petctfusion.networks.blocks.intensity import FixedScaling
from petctfusion.networks.blocks.sizes import require_divisible

LateMix = Literal["average", "learned"]

UNET_WIDTHS = (16, 32, 64, 128, 256)
RESENC_WIDTHS: dict[int, tuple[int, ...]] = {3: (32, 64, 128, 256, 320, 320), 2: (32, 64, 128, 256, 512, 512)}
RESENC_BLOCKS = (1, 3, 4, 6, 6, 6)


class ScaledNetwork(nn.Module):
    """`FixedScaling`, then a body `(B, M, *spatial) -> (B, classes, *spatial)` or a list of such, finest first.

    `level_weights`: the share of each output of a body with deep supervision in the loss, of sum 1.
    """

    def __init__(
        self,
        spatial_dims: SpatialDims,
        modalities: Sequence[str],
        body: nn.Module,
        divisor: int,
        level_weights: tuple[float, ...] = (1.0,),
    ) -> None:
        super().__init__()
        self.spatial_dims = spatial_dims
        self.scaling = FixedScaling(modalities)
        self.body = body
        self.divisor = divisor
        self.level_weights = level_weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, M, *spatial)` in HU and SUV to logits `(B, classes, *spatial)`; sizes are multiples of `divisor`."""
        return self.forward_levels(x)[0]

    def forward_levels(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The logits of all heads, finest first: one, or with deep supervision one a resolution."""
        require_divisible(x, (self.divisor,) * self.spatial_dims)
        levels = self.body(self.scaling(x))
        return list(levels) if isinstance(levels, (list, tuple)) else [levels]


class LateFusion(nn.Module):
    """One network per channel; their logits averaged, or mixed by a 1x1 convolution that starts as the average."""

    def __init__(self, spatial_dims: SpatialDims, branches: Sequence[nn.Module], classes: int, mix: LateMix) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.mix = convolution(spatial_dims, len(branches) * classes, classes, kernel=1) if mix == "learned" else None
        if self.mix is not None:
            start = torch.eye(classes).repeat(1, len(branches)) / len(branches)
            with torch.no_grad():
                weight, bias = self.mix.get_parameter("weight"), self.mix.get_parameter("bias")
                weight.copy_(start.view(weight.shape))
                bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, M, *spatial)`, a branch for each channel, to `(B, classes, *spatial)`."""
        logits = [branch(x[:, i : i + 1]) for i, branch in enumerate(self.branches)]
        if self.mix is None:
            return torch.stack(logits).mean(dim=0)
        mixed: torch.Tensor = self.mix(torch.cat(logits, dim=1))
        return mixed


def early_unet(
    spatial_dims: SpatialDims = 3,
    modalities: Sequence[str] = ("CT", "PET"),
    classes: int = 1,
    widths: Sequence[int] = UNET_WIDTHS,
    residual_units: int = 2,
) -> nn.Module:
    """MONAI's residual U-Net on the concatenated modalities (Kerfoot et al., STACOM 2018)."""
    _check(spatial_dims, classes)
    body = _unet(spatial_dims, len(modalities), classes, widths, residual_units)
    return ScaledNetwork(spatial_dims, modalities, body, 2 ** (len(widths) - 1))


def late_unet(
    spatial_dims: SpatialDims = 3,
    modalities: Sequence[str] = ("CT", "PET"),
    classes: int = 1,
    widths: Sequence[int] = UNET_WIDTHS,
    residual_units: int = 2,
    mix: LateMix = "average",
) -> nn.Module:
    """A residual U-Net for each modality; `mix`: their logits are averaged, or mixed by a learned 1x1 convolution."""
    _check(spatial_dims, classes)
    if mix not in ("average", "learned"):
        raise ValueError(f"mix must be average or learned, got {mix!r}")
    branches = [_unet(spatial_dims, 1, classes, widths, residual_units) for _ in modalities]
    return ScaledNetwork(
        spatial_dims, modalities, LateFusion(spatial_dims, branches, classes, mix), 2 ** (len(widths) - 1)
    )


def segresnet(
    spatial_dims: SpatialDims = 3,
    modalities: Sequence[str] = ("CT", "PET"),
    classes: int = 1,
    filters: int = 32,
    blocks_down: Sequence[int] = (1, 2, 2, 4),
    blocks_up: Sequence[int] = (1, 1, 1),
    dropout: float = 0.0,
) -> nn.Module:
    """MONAI's SegResNet with the 32 initial filters of Myronenko (arXiv 1810.11654), without its autoencoder branch."""
    from monai.networks.nets import SegResNet

    _check(spatial_dims, classes)
    body = SegResNet(
        spatial_dims=spatial_dims,
        init_filters=filters,
        in_channels=len(modalities),
        out_channels=classes,
        dropout_prob=dropout or None,
        blocks_down=tuple(blocks_down),
        blocks_up=tuple(blocks_up),
    )
    return ScaledNetwork(spatial_dims, modalities, body, 2 ** (len(blocks_down) - 1))


def swin_unetr(
    spatial_dims: SpatialDims = 3,
    modalities: Sequence[str] = ("CT", "PET"),
    classes: int = 1,
    features: int = 48,
    depths: Sequence[int] = (2, 2, 2, 2),
    heads: Sequence[int] = (3, 6, 12, 24),
    window: int = 7,
) -> nn.Module:
    """MONAI's Swin UNETR with the 48 features of Hatamizadeh et al. (arXiv 2201.01266)."""
    from monai.networks.nets import SwinUNETR

    _check(spatial_dims, classes)
    body = SwinUNETR(
        in_channels=len(modalities),
        out_channels=classes,
        feature_size=features,
        depths=tuple(depths),
        num_heads=tuple(heads),
        window_size=window,
        spatial_dims=spatial_dims,
    )
    return ScaledNetwork(spatial_dims, modalities, body, 32)


def resenc_unet(
    spatial_dims: SpatialDims = 3,
    modalities: Sequence[str] = ("CT", "PET"),
    classes: int = 1,
    widths: Sequence[int] | None = None,
    blocks: Sequence[int] = RESENC_BLOCKS,
    deep_supervision: bool = False,
) -> nn.Module:
    """nnU-Net's residual encoder U-Net with the six-stage plan of its M and L presets (arXiv 2404.09556).

    The presets differ in patch and batch size, not in this plan, which is LesionTracer's too (arXiv 2409.09478);
    `widths`: by default 32 to 320 in 3-D and 32 to 512 in 2-D. Deep supervision weighs levels by 1/2^i, the last by 0.
    """
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

    _check(spatial_dims, classes)
    widths = RESENC_WIDTHS[spatial_dims] if widths is None else tuple(widths)
    stages = len(widths)
    if len(blocks) != stages:
        raise ValueError(f"blocks must give one number per width, got {len(blocks)} for {stages} widths")
    body = ResidualEncoderUNet(
        input_channels=len(modalities),
        n_stages=stages,
        features_per_stage=list(widths),
        conv_op=nn.Conv3d if spatial_dims == 3 else nn.Conv2d,
        kernel_sizes=3,
        strides=[1] + [2] * (stages - 1),
        n_blocks_per_stage=list(blocks),
        num_classes=classes,
        n_conv_per_stage_decoder=1,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d if spatial_dims == 3 else nn.InstanceNorm2d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=deep_supervision,
    )
    body.apply(body.initialize)
    _name_once(body)
    heads = stages - 1
    if not deep_supervision:
        # The package makes the coarse heads in any case; parameters that no gradient reaches would be counted. The
        # finest keeps its name, so that weights trained with deep supervision fit.
        for level in range(heads - 1):
            body.decoder.seg_layers[level] = nn.Identity()
        return ScaledNetwork(spatial_dims, modalities, body, 2 ** (stages - 1))
    raw = [0.5**level for level in range(heads - 1)] + [0.0 if heads > 1 else 1.0]
    return ScaledNetwork(spatial_dims, modalities, body, 2 ** (stages - 1), tuple(weight / sum(raw) for weight in raw))


def _name_once(body: nn.Module) -> None:
    """Leaves one name for every weight: the package registers most of them two to four times, and so would a file."""
    body.decoder.encoder = None  # type: ignore[union-attr,assignment]
    for module in body.modules():
        if hasattr(module, "all_modules"):
            for name in [name for name, _ in module.named_children() if name != "all_modules"]:
                delattr(module, name)


def _check(spatial_dims: int, classes: int) -> None:
    if spatial_dims not in (2, 3):
        raise ValueError(f"spatial_dims must be 2 or 3, got {spatial_dims}")
    if classes < 1:
        raise ValueError(f"classes must be at least 1, got {classes}")


def _unet(spatial_dims: int, channels: int, classes: int, widths: Sequence[int], residual_units: int) -> nn.Module:
    from monai.networks.nets import UNet

    if len(widths) < 2:
        raise ValueError(f"widths must have at least two entries, got {list(widths)}")
    network: nn.Module = UNet(
        spatial_dims=spatial_dims,
        in_channels=channels,
        out_channels=classes,
        channels=tuple(widths),
        strides=(2,) * (len(widths) - 1),
        num_res_units=residual_units,
    )
    return network
