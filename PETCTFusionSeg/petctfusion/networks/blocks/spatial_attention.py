"""Bidirectional spatial attention (BDSA) of two modalities: every voxel asks its own modality and the other one.

For a target t and a source s (t = CT, s = PET, and the other way round), Q and K with C' = C / reduction channels and V
with C, all bias-free 1x1x1 projections, N voxels as tokens, one head:

    O_tt = softmax(Q_tt(t) K_tt(t)^T / sqrt(C')) V_tt(t)        self
    O_st = softmax(Q_st(t) K_st(s)^T / sqrt(C')) V_st(s)        cross
    out_t = W_o (O_tt + O_st) / 2  [+ t]

H2ASeg (Lu et al., MICCAI 2024, arXiv 2403.18339), as its authors' program computes it (`fuse="mean"`). `"concat3"` is
a third party's reading of the paper's equation (1): one set of projections for all four attentions, and a 3x3x3
convolution of [O_tt ; O_st] (one per target, bias-free; inside a window it sees zeros beyond the border).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from petctfusion.networks.blocks.probe import Probe

Fuse = Literal["mean", "concat3"]

_CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_QUERIES_AT_ONCE = 512


class BidirectionalSpatialAttention(nn.Module):
    """Two `(B, C, *spatial)` to two of the same shape; memory grows linearly with the number of voxels in evaluation.

    `skip` adds the target. `name` makes the cross attention visible, as the attention that each voxel receives (1 is
    even). Raises `ValueError` when `reduction` does not divide `channels` or `fuse` is unknown.
    """

    def __init__(
        self,
        spatial_dims: int,
        channels: int,
        reduction: int = 1,
        fuse: Fuse = "mean",
        skip: bool = False,
        dropout: float = 0.5,
        name: str | None = None,
        modalities: tuple[str, str] = ("CT", "PET"),
    ) -> None:
        super().__init__()
        if reduction < 1 or channels % reduction:
            raise ValueError(f"the attention's reduction must divide its {channels} channels, got {reduction}")
        if fuse not in ("mean", "concat3"):
            raise ValueError(f"fuse must be mean or concat3, got {fuse!r}")
        self.fuse, self.skip = fuse, skip
        sets = 2 if fuse == "mean" else 1
        self.own = nn.ModuleList([_Attention(channels, reduction, dropout) for _ in range(sets)])
        if fuse == "mean":
            self.cross = nn.ModuleList([_Attention(channels, reduction, dropout) for _ in range(sets)])
            self.out: nn.ModuleList = nn.ModuleList([nn.Linear(channels, channels, bias=False) for _ in range(2)])
        else:
            conv = _CONV[spatial_dims]
            self.out = nn.ModuleList([conv(2 * channels, channels, 3, padding=1, bias=False) for _ in range(2)])
        self.drop = nn.Dropout(dropout)
        pairs = (modalities, modalities[::-1]) if name else ()
        self.maps = nn.ModuleList([Probe(f"{name}: what {target} attends to in {source}") for target, source in pairs])

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """first, second: `(B, C, *spatial)`, to their attended versions of the same shape."""
        return self._attend(0, first, second), self._attend(1, second, first)

    def _attend(self, which: int, target: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        t, s = _tokens(target), _tokens(source)
        own_attention = self.own[which if self.fuse == "mean" else 0]
        cross_attention = self.cross[which] if self.fuse == "mean" else own_attention
        own, cross = own_attention(t, t), cross_attention(t, s)
        if self.maps and self.maps[which].watching:
            self.maps[which](_grid(cross_attention.received(t, s), target.shape[2:]))  # type: ignore[operator]
        if self.fuse == "mean":
            out = _grid(self.drop(self.out[which]((own + cross) / 2)), target.shape[2:])
        else:
            both = torch.cat([_grid(own, target.shape[2:]), _grid(cross, target.shape[2:])], dim=1)
            out = self.drop(self.out[which](both))
        return out + target if self.skip else out


class _Attention(nn.Module):
    """One softmax attention with its own bias-free projections, tokens `(B, N, C)`."""

    def __init__(self, channels: int, reduction: int, dropout: float) -> None:
        super().__init__()
        self.query = nn.Linear(channels, channels // reduction, bias=False)
        self.key = nn.Linear(channels, channels // reduction, bias=False)
        self.value = nn.Linear(channels, channels, bias=False)
        self.scale = (channels // reduction) ** -0.5
        self.dropout = dropout

    def forward(self, target: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Queries from target, keys and values from source, both `(B, N, C)`, to `(B, N, C)`."""
        q, k, v = self.query(target), self.key(source), self.value(source)
        # Equal widths of Q, K and V open the kernels that never hold the N x N map; zero columns leave Q K^T as it is.
        # At level 2 of a 64 x 128 x 128 patch on one core: 0.35 s and 97 MiB instead of 2.3 s and 386 MiB.
        padding = (0, v.shape[-1] - q.shape[-1])
        q, k = nn.functional.pad(q, padding), nn.functional.pad(k, padding)
        attended = nn.functional.scaled_dot_product_attention(
            q[:, None], k[:, None], v[:, None], dropout_p=self.dropout if self.training else 0.0, scale=self.scale
        )
        return attended[:, 0]

    def received(self, target: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """How much attention each source voxel gets, `(B, N, 1)`: the mean over the queries times N, 1 when uniform."""
        q, k = self.query(target).float(), self.key(source).float()
        weights = [
            torch.softmax(part @ k.transpose(1, 2) * self.scale, dim=-1).sum(dim=1)
            for part in q.split(_QUERIES_AT_ONCE, dim=1)
        ]
        return torch.stack(weights).sum(dim=0)[..., None]


def _tokens(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(2).transpose(1, 2)


def _grid(tokens: torch.Tensor, sizes: torch.Size) -> torch.Tensor:
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], *sizes)
