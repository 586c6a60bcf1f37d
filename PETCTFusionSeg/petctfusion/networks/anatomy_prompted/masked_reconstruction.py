"""Self-aligning cross-modal pre-training: masked 3-D patch reconstruction of CT and PET in a shared latent space.

Named in the abstract of Huang et al., Medical Image Analysis 110:103956 (2026); the construction is ours, after FratMAE
(arXiv 2503.02824: hide parts of PET or CT, look them up in the other) and MAE (arXiv 2111.06377: errors on hidden
patches only, patches normalised).

    x_m, hidden blocks replaced by a learned constant -> encoder E_m -> latent token z_m per block
    x^_m = D_m( z_m + CrossAttention(z_m ; z_other) )
    L = sum_m || M_m (x^_m - x_m) ||^2 / |M_m| + lambda L_align( P_ct z_ct, P_pet z_pet )

With normalised patches, a reconstruction that says "the mean of the patch" has the error 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import nn

from petctfusion.networks.anatomy_prompted.alignment import Projection, contrastive_loss, cosine_loss
from petctfusion.networks.anatomy_prompted.dual_encoder import DualEncoder
from petctfusion.networks.anatomy_prompted.masking import Masking, hidden_blocks, normalised, to_blocks
from petctfusion.networks.anatomy_prompted.prompt_encoder import averaged
from petctfusion.networks.anatomy_prompted.trunk import STU_SMALL_WIDTHS, Stride, stage_strides, total_strides
from petctfusion.networks.blocks.arguments import require_arguments
from petctfusion.networks.blocks.convolution import SpatialDims, convolution
from petctfusion.networks.blocks.hyper_attention import HyperCrossAttention
from petctfusion.networks.blocks.sizes import require_divisible

_LATENT_STAGES = 2
# Of the scaled variance. CT is clipped below -832 HU: a block of air is exactly flat, noise and all.
_CONTENT_VARIANCE = 1e-4


@dataclass(frozen=True)
class PretrainingLosses:
    """What one step learns from; scalars that carry gradients.

    `reconstruction`: per modality, 1 is as good as the mean of each hidden patch; `alignment`: of the shared latent
    space, before its weight; `total`: what to minimise.
    """

    total: torch.Tensor
    reconstruction: dict[str, torch.Tensor]
    alignment: torch.Tensor


@dataclass(frozen=True)
class Reconstruction:
    """Per modality, in order: hidden blocks `(B, n)`, predicted and true normalised blocks `(B, n, voxels)`, and latent
    tokens on the grid of blocks `(B, latent, *grid)`.
    """

    hidden: list[torch.Tensor]
    predicted: list[torch.Tensor]
    target: list[torch.Tensor]
    latent: list[torch.Tensor]


@dataclass(frozen=True)
class AlignedTokens:
    """Unit vectors of both modalities `(B, n, D)` in the shared space; content `(B, n)`: blocks that are not air."""

    first: torch.Tensor
    second: torch.Tensor
    content: torch.Tensor


class MaskedReconstruction(nn.Module):
    """Wraps the two encoders of `AnatomyPrompted` (same `widths`, `blocks`) for pre-training on unlabelled PET/CT.

    `patch`: edge of a block in voxels; `mask_ratio`, `masking`: see `hidden_blocks`; `sparse`: hidden places are set to
    0 again after every stage, so that nothing leaks in through convolutions (SparK, arXiv 2301.03580). `latent`: width
    of a token, made of the two deepest stages; `aligned`: of the shared space. `alignment`: "infonce" or "cosine" (for
    small batches), its weight lambda, InfoNCE's temperature, and from what distance places of one scan are negatives
    (`spacing_mm` is the grid's, in the order of the axes).
    """

    def __init__(
        self,
        spatial_dims: SpatialDims = 3,
        modalities: Sequence[str] = ("CT", "PET"),
        widths: Sequence[int] = STU_SMALL_WIDTHS,
        blocks: int = 1,
        patch: int = 16,
        mask_ratio: float = 0.7,
        masking: Masking = "mixed",
        sparse: bool = False,
        latent: int = 256,
        heads: int = 4,
        aligned: int = 128,
        alignment: Literal["infonce", "cosine"] = "infonce",
        alignment_weight: float = 0.1,
        temperature: float = 0.07,
        negative_distance_mm: float = 64.0,
        spacing_mm: Sequence[float] = (3.0, 2.036, 2.036),
    ) -> None:
        super().__init__()
        require_arguments(spatial_dims, modalities, 1, widths)
        if alignment not in ("infonce", "cosine"):
            raise ValueError(f"alignment must be infonce or cosine, got {alignment!r}")
        if patch < 2 or patch & (patch - 1):
            raise ValueError(f"patch must be a power of two, got {patch}")
        if len(spacing_mm) < spatial_dims or min(spacing_mm) <= 0:
            raise ValueError(f"spacing_mm needs {spatial_dims} positive numbers, got {list(spacing_mm)}")
        hidden_blocks(1, 2, mask_ratio, masking)
        self.modalities, self.patch, self.mask_ratio, self.masking = tuple(modalities), patch, mask_ratio, masking
        self.sparse, self.alignment, self.alignment_weight = sparse, alignment, alignment_weight
        self.temperature, self.negative_distance_mm = temperature, negative_distance_mm
        self.spacing_mm = tuple(spacing_mm)[-spatial_dims:]
        strides = stage_strides(spatial_dims, len(widths))
        self.strides: list[Stride] = total_strides(strides)
        self.divisor = tuple(math.lcm(stride, patch) for stride in self.strides[-1])
        self.encoders = DualEncoder(spatial_dims, modalities, widths, strides, blocks)
        self.constants = nn.Parameter(torch.zeros(len(modalities)))
        self.to_latent = nn.ModuleList(
            [
                nn.ModuleList([convolution(spatial_dims, w, latent, kernel=1) for w in widths[-_LATENT_STAGES:]])
                for _ in modalities
            ]
        )
        step = (patch,) * spatial_dims
        self.lookup = nn.ModuleList(
            [
                HyperCrossAttention(latent, latent, heads, control="fixed", feature_stride=step, token_stride=step)
                for _ in modalities
            ]
        )
        self.decoders = nn.ModuleList([_block_decoder(latent, patch**spatial_dims) for _ in modalities])
        self.projections = nn.ModuleList([Projection(latent, aligned) for _ in modalities])

    def forward(self, x: torch.Tensor, generator: torch.Generator | None = None) -> PretrainingLosses:
        """`(B, 2, *spatial)` in HU and SUV to the losses; `generator` (CPU) draws what is hidden."""
        return self.losses(x, self.reconstruct(x, generator))

    def losses(self, x: torch.Tensor, result: Reconstruction) -> PretrainingLosses:
        """Of `reconstruct(x)`."""
        reconstruction = {
            name: _hidden_error(*parts)
            for name, *parts in zip(self.modalities, result.predicted, result.target, result.hidden, strict=True)
        }
        alignment = self._alignment_loss(self._aligned(x, result.latent), result.latent[0].shape[2:])
        total = torch.stack(list(reconstruction.values())).sum() + self.alignment_weight * alignment
        return PretrainingLosses(total, reconstruction, alignment)

    def reconstruct(self, x: torch.Tensor, generator: torch.Generator | None = None) -> Reconstruction:
        """Hide blocks of `x` `(B, 2, *spatial)` and predict them."""
        require_divisible(x, self.divisor)
        grid = [size // self.patch for size in x.shape[2:]]
        drawn = hidden_blocks(x.shape[0], math.prod(grid), self.mask_ratio, self.masking, generator)
        hidden = [mask.to(x.device) for mask in drawn]
        scaled = self.encoders.scaling(x)
        latent = self._latent(scaled, [torch.unflatten(mask, 1, grid) for mask in hidden])
        predicted = []
        for index, (lookup, decoder) in enumerate(zip(self.lookup, self.decoders, strict=True)):
            found = lookup(latent[index], latent[1 - index])
            predicted.append(decoder(found.flatten(2).mT).float())
        target = [normalised(to_blocks(scaled[:, i], self.patch)) for i in range(len(self.modalities))]
        return Reconstruction(hidden, predicted, target, latent)

    def aligned_tokens(self, x: torch.Tensor) -> AlignedTokens:
        """Tokens of `x` `(B, 2, *spatial)` with nothing hidden, for `retrieval_accuracy`."""
        require_divisible(x, self.divisor)
        return self._aligned(x, self._latent(self.encoders.scaling(x), None))

    def encoder_state(self) -> dict[str, torch.Tensor]:
        """A copy of the weights of both encoders, for `AnatomyPrompted.load_encoder`."""
        return self.encoders.state()

    def _latent(self, scaled: torch.Tensor, hidden: Sequence[torch.Tensor] | None) -> list[torch.Tensor]:
        """Per modality `(B, latent, *blocks)`; hidden: per modality `(B, *blocks)`, or None."""
        tokens = []
        grid, strides = [size // self.patch for size in scaled.shape[2:]], self.strides[-_LATENT_STAGES:]
        for index, encoder in enumerate(self.encoders.encoders):
            image, refine = scaled[:, index : index + 1], None
            if hidden is not None:
                mask = hidden[index].unsqueeze(1).to(image.dtype)
                covered = nn.functional.interpolate(mask, size=image.shape[2:], mode="nearest")
                image = image * (1 - covered) + self.constants[index] * covered
                refine = _Hide(mask) if self.sparse else None
            features = encoder(image, refine)[-_LATENT_STAGES:]
            maps = cast("nn.ModuleList", self.to_latent[index])
            parts = [self._on_blocks(m(f), s, grid) for m, f, s in zip(maps, features, strides, strict=True)]
            tokens.append(torch.stack(parts).sum(dim=0))
        return tokens

    def _on_blocks(self, feature: torch.Tensor, stride: Stride, grid: Sequence[int]) -> torch.Tensor:
        pooled = averaged(feature, stride, (self.patch,) * len(stride))
        return nn.functional.interpolate(pooled, size=tuple(grid), mode="nearest")

    def _aligned(self, x: torch.Tensor, latent: Sequence[torch.Tensor]) -> AlignedTokens:
        first, second = (p(z.flatten(2).mT) for p, z in zip(self.projections, latent, strict=True))
        anatomy = to_blocks(self.encoders.scaling(x)[:, 0], self.patch)
        return AlignedTokens(first, second, anatomy.var(dim=-1, correction=0) > _CONTENT_VARIANCE)

    def _alignment_loss(self, tokens: AlignedTokens, grid: Sequence[int]) -> torch.Tensor:
        if self.alignment == "cosine":
            return cosine_loss(tokens.first, tokens.second, tokens.content)
        axes = [
            torch.arange(n, device=tokens.first.device) * (self.patch * mm)
            for n, mm in zip(grid, self.spacing_mm, strict=True)
        ]
        positions = torch.stack([c.flatten() for c in torch.meshgrid(*axes, indexing="ij")], dim=-1)
        return contrastive_loss(
            tokens.first, tokens.second, tokens.content, positions, self.temperature, self.negative_distance_mm
        )


class _Hide:
    """Sets hidden places of every stage's feature to 0; a coarse place is hidden when all its blocks are."""

    def __init__(self, hidden: torch.Tensor) -> None:
        self.hidden = hidden

    def __call__(self, stage: int, feature: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        size, blocks = feature.shape[2:], self.hidden.shape[2:]
        coarse = tuple(min(s, b) for s, b in zip(size, blocks, strict=True))
        kernel = tuple(b // c for b, c in zip(blocks, coarse, strict=True))
        pool = nn.functional.max_pool3d if feature.ndim == 5 else nn.functional.max_pool2d
        seen = nn.functional.interpolate(pool(1 - self.hidden, kernel), size=size, mode="nearest")
        return feature * seen


def _hidden_error(predicted: torch.Tensor, target: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Mean squared error over the voxels of hidden blocks; nothing hidden gives 0."""
    error = (predicted - target).square().mean(dim=-1)
    return (error * hidden).sum() / hidden.sum().clamp(min=1)


def _block_decoder(latent: int, voxels: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(latent), nn.Linear(latent, latent), nn.GELU(), nn.Linear(latent, voxels))
