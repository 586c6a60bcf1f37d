"""CIPA: cross-modal interactive perception with Mamba, on axial slices; and the encoder and decoder of system D.

Mei J. et al.: Cross-modal interactive perception network with Mamba for lung tumor segmentation in PET-CT images. CVPR
2025, arXiv 2503.17261. Layers and widths follow the authors' published description; the reference configuration has
54,572,199 parameters (encoder 22.13 M, CRM 2.40 M, DCIM 12.24 + 6.02 M, decoder 11.79 M). Its published numbers are not
claimed here.

    slice      CT and PET through one shared VMamba-T encoder      512 x 512
    stage 1    96 x H/4      CRM, F = F_ct + F_pet + DCIM(F'_ct, F'_pet)
    stage 2    192 x H/8     the same
    stage 3    384 x H/16    the same
    stage 4    768 x H/32    the same -> patch expand -> (+ skip, 4 CVSS) x 3 -> x4 -> one logit per label

Ours: HU and SUV enter through `FixedScaling` (the paper's 8-bit windows are not known) and are repeated to the
backbone's three channels; grids other than the trained one are pooled for the CRM's gates; stage grids that 4 does not
divide are edge-padded in DCIM. Batch normalisation (DCIM) as published. `scan="none"` is the control without a scan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from petctfusion.networks.blocks.channel_rectification import ChannelRectification
from petctfusion.networks.blocks.cross_modal_interaction import CrossModalInteraction
from petctfusion.networks.blocks.intensity import FixedScaling
from petctfusion.networks.blocks.probe import Probe
from petctfusion.networks.blocks.selective_scan import ScanForm
from petctfusion.networks.blocks.sizes import require_divisible
from petctfusion.networks.blocks.state_space import Scan, ScanOptions
from petctfusion.networks.blocks.vss_decoder import VSSDecoder
from petctfusion.networks.blocks.vss_encoder import PATCH, VSSEncoder

WIDTHS = (96, 192, 384, 768)
DEPTHS = (2, 2, 9, 2)
# A light configuration, ours: `CIPA(**SMALL)`; also for the networks built on CIPA.
SMALL: Mapping[str, Any] = {
    "widths": (16, 32, 64, 128),
    "depths": (1, 1, 2, 1),
    "decoder_depth": 1,
    "states": 8,
    "rectification_width": 32,
    "trained_size": 256,
    "input_channels": 1,
}


class CIPA(nn.Module):
    """Axial CT and PET slices in HU and SUVbw, one logit map per label out; `SMALL` names a light configuration.

    `spatial_dims=3` takes windows (z, y, x) and segments each slice for itself. `trained_size`: the slice size that the
    CRM's linear layers are laid out for (512 published); other sizes work. `input_channels`: how often each scaled
    modality is repeated at the encoder's entry (3 for published VMamba weights). `slices_at_once` bounds the memory of
    evaluation, where slices are worked off in groups.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        modalities: Sequence[str] = ("CT", "PET"),
        classes: int = 1,
        widths: Sequence[int] = WIDTHS,
        depths: Sequence[int] = DEPTHS,
        decoder_depth: int = 4,
        states: int = 16,
        decoder_states: int = 4,
        expansion: int = 2,
        rectification_width: int = 96,
        trained_size: int = 512,
        input_channels: int = 3,
        scan: Scan = "selective",
        scan_form: ScanForm = "chunked",
        slices_at_once: int = 4,
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims must be 2 or 3, got {spatial_dims}")
        if len(modalities) != 2:
            raise ValueError(f"modalities must name two modalities, the anatomical one first, got {list(modalities)}")
        if len(widths) != len(depths) or len(widths) < 2:
            raise ValueError(f"widths and depths must name the same two or more stages, got {widths} and {depths}")
        counts = (classes, *widths, *depths, decoder_depth, rectification_width, input_channels, slices_at_once)
        if min(counts) < 1:
            raise ValueError("classes, widths, depths and the other counts must be at least 1")
        stride = PATCH * 2 ** (len(widths) - 1)
        if trained_size < stride or trained_size % stride:
            raise ValueError(f"trained_size must be a multiple of {stride}, got {trained_size}")
        self.spatial_dims, self.input_channels, self.slices_at_once = spatial_dims, input_channels, slices_at_once
        self.divisor = (stride, stride) if spatial_dims == 2 else (1, stride, stride)
        self.scaling = FixedScaling(modalities)
        options = ScanOptions(states, expansion, scan, scan_form)
        self.encoder = VSSEncoder(input_channels, widths, depths, options)
        self.rectifications = nn.ModuleList()
        self.interactions = nn.ModuleList()
        for i, width in enumerate(widths):
            grid, label = trained_size // (PATCH * 2**i), f"stage {i + 1}"
            self.rectifications.append(self._rectification(width, grid, rectification_width, options, label))
            self.interactions.append(CrossModalInteraction(width, options))
        self.map_shares = nn.ModuleList([Probe(f"share of the interaction, stage {i + 1}") for i in range(len(widths))])
        self.decoder = VSSDecoder(widths, classes, decoder_depth, replace(options, states=decoder_states))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, 2, *spatial)` in HU and SUV to logits `(B, classes, *spatial)`, float32."""
        require_divisible(x, self.divisor)
        scaled = self.scaling(x)
        batch, depth = x.shape[0], x.shape[2] if self.spatial_dims == 3 else 1
        slices = scaled.transpose(1, 2).flatten(0, 1) if self.spatial_dims == 3 else scaled
        features = self.between_slices(self._in_groups(self.fused, slices), depth)
        logits = self._in_groups(lambda *levels: [self.decoder(levels)], *features)[0].float()
        self._collect_maps(batch)
        return logits if self.spatial_dims == 2 else logits.view(batch, depth, *logits.shape[1:]).transpose(1, 2)

    def fused(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Scaled slices `(B, 2, H, W)` to the fused features `(B, C_i, H/2^(i+2), W/2^(i+2))`, finest first."""
        both = torch.cat([x[:, :1], x[:, 1:]]).expand(-1, self.input_channels, -1, -1)
        fused = []
        for i, feature in enumerate(self.encoder(both)):
            ct, pet = feature.chunk(2)
            ct_used, pet_used = self.rectifications[i](ct, pet)
            added = self.interactions[i](ct_used, pet_used)
            base = self.residual(ct, pet, ct_used, pet_used)
            if self.map_shares[i].watching:
                self.map_shares[i](_share(added, base))
            fused.append(base + added)
        return fused

    def residual(
        self,
        ct: torch.Tensor,
        pet: torch.Tensor,
        ct_used: torch.Tensor,  # noqa: ARG002
        pet_used: torch.Tensor,  # noqa: ARG002
    ) -> torch.Tensor:
        """What DCIM is added to: in CIPA the features before rectification, `(B, C, H, W)`."""
        return ct + pet

    def between_slices(self, features: list[torch.Tensor], depth: int) -> list[torch.Tensor]:  # noqa: ARG002
        """The place between encoder and decoder where slices may see each other; here they do not."""
        return features

    def _rectification(
        self,
        channels: int,  # noqa: ARG002
        grid: int,
        width: int,
        options: ScanOptions,
        label: str,
    ) -> nn.Module:
        return ChannelRectification(grid, width, options, label)

    def _in_groups(self, step: Callable[..., list[torch.Tensor]], *tensors: torch.Tensor) -> list[torch.Tensor]:
        """`step` on `slices_at_once` slices at a time in evaluation; in training all, for the batch statistics."""
        if self.training or tensors[0].shape[0] <= self.slices_at_once:
            return step(*tensors)
        parts = [step(*group) for group in zip(*(torch.split(t, self.slices_at_once) for t in tensors), strict=True)]
        return [torch.cat(level) for level in zip(*parts, strict=True)]

    def _collect_maps(self, batch: int) -> None:
        """Maps were kept for groups of slices; they are shown on the axes of the input."""
        for module in self.modules():
            if isinstance(module, Probe) and module.seen:
                slices = torch.cat(module.seen)
                volume = slices if self.spatial_dims == 2 else slices.view(batch, -1, *slices.shape[1:]).transpose(1, 2)
                module.seen = [volume]


def _share(added: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """How much of the fused feature the interaction makes up, 0 to 1, `(B, 1, H, W)`."""
    strength = added.abs().mean(1, keepdim=True)
    return strength / (strength + base.abs().mean(1, keepdim=True)).clamp(min=1e-6)
