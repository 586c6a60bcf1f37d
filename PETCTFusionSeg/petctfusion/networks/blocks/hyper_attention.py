"""Cross-attention from image features to prompt tokens, whose projections a hypernetwork rewrites for every case.

"Hypernet-Controlled Cross-Attention" is named, without a formula, in the abstract of Huang et al., Medical Image
Analysis 110:103956 (2026). The low-rank form is ours: LoRA (arXiv 2106.09685) with factors emitted by a hypernetwork
(arXiv 1609.09106).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import nn

from petctfusion.networks.blocks.position_code import position_code

Control = Literal["low-rank", "full", "film", "gate", "fixed"]

_QUERIES_AT_ONCE = 4096
_FACTOR_DEVIATION = 0.02


class HyperCrossAttention(nn.Module):
    """F' = F + g * softmax(Q K^T / sqrt(C / heads)) V W_o, the identity at the start (W_o = 0).

    F, T below are after LayerNorm; e = GELU(Linear[mean F ; mean T]), g = sigmoid(Linear(e)) per channel.
    `control`, what the hypernetwork emits for Q from F, K and V from T:
      "low-rank"  Q = F W_Q + F U(e) V(e), rank r; V(e) = 0 and U(e) != 0 at the start, so that gradients flow
      "full"      Q = F (W_Q + W(e)), W(e) = 0 at the start (in x C numbers a projection: for narrow stages)
      "film"      Q = (1 + s(e)) * F W_Q + b(e), s = b = 0 at the start
      "gate"      only g
      "fixed"     nothing, g = 1: ordinary cross-attention
    `feature_stride` and `token_stride` (input voxels a step, one number an axis) add `position_code` to Q and K, so
    that a voxel can find the tokens where it lies; None leaves attention blind to place. Raises `ValueError` for an
    unknown control, or channels that the heads do not divide.
    """

    def __init__(
        self,
        channels: int,
        token_channels: int = 64,
        heads: int = 4,
        rank: int = 8,
        hidden: int = 64,
        control: Control = "low-rank",
        feature_stride: Sequence[int] | None = None,
        token_stride: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if control not in get_args(Control):
            raise ValueError(f"control must be one of {', '.join(get_args(Control))}, got {control!r}")
        if heads < 1 or channels % heads:
            raise ValueError(f"channels must be a multiple of the {heads} heads, got {channels}")
        self.heads, self.feature_stride, self.token_stride = heads, feature_stride, token_stride
        self.norm_feature, self.norm_token = nn.LayerNorm(channels), nn.LayerNorm(token_channels)
        inputs = (channels, token_channels, token_channels)
        self.projections = nn.ModuleList([nn.Linear(width, channels) for width in inputs])
        self.output = nn.Linear(channels, channels)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        self.condition = nn.Linear(channels + token_channels, hidden) if control != "fixed" else None
        self.gate = nn.Linear(hidden, channels) if control != "fixed" else None
        self.controls = nn.ModuleList([])
        if control == "low-rank":
            self.controls.extend(_LowRank(hidden, width, channels, rank) for width in inputs)
        elif control == "full":
            self.controls.extend(_Full(hidden, width, channels) for width in inputs)
        elif control == "film":
            self.controls.extend(_Film(hidden, channels) for _ in inputs)

    def forward(self, feature: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """F `(B, C, *grid)` and T `(B, token_channels, *token grid)` to `(B, C, *grid)`."""
        q, k, v, e = self._projected(feature, tokens)
        attended = nn.functional.scaled_dot_product_attention(self._split(q), self._split(k), self._split(v))
        change = self.output(attended.transpose(1, 2).flatten(2).to(q.dtype))
        if self.gate is not None:
            change = torch.sigmoid(self.gate(e)).unsqueeze(1) * change
        return feature + torch.unflatten(change.mT, 2, feature.shape[2:])

    def attention_to(self, feature: torch.Tensor, tokens: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """How much of each voxel's attention goes to each kind of token, mean of the heads.

        F, T as in `forward`, `shares` `(B, K, *token grid)` in [0, 1], to `(B, K, *grid)`, float32.
        """
        q, k, _, _ = self._projected(feature, tokens)
        queries, keys = self._split(q).float(), self._split(k).float()
        kinds = shares.flatten(2).mT.float().unsqueeze(1)
        parts = []
        for part in torch.split(queries, _QUERIES_AT_ONCE, dim=2):  # one map of 35,840 x 2,240 x 4 would take 1.3 GB
            weights = torch.softmax(part @ keys.mT / queries.shape[-1] ** 0.5, dim=-1)
            parts.append((weights @ kinds).mean(dim=1))
        return torch.unflatten(torch.cat(parts, dim=1).mT, 2, feature.shape[2:])

    def _projected(
        self, feature: torch.Tensor, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Q `(B, n, C)`, K and V `(B, m, C)`, e `(B, hidden)`."""
        f, t = self.norm_feature(feature.flatten(2).mT), self.norm_token(tokens.flatten(2).mT)
        e = f.new_zeros(f.shape[0], 0)
        if self.condition is not None:
            e = nn.functional.gelu(self.condition(torch.cat([f.mean(dim=1), t.mean(dim=1)], dim=-1)))
        q, k, v = (projection(x) for projection, x in zip(self.projections, (f, t, t), strict=True))
        if self.controls:
            q, k, v = (
                control(plain, x, e) for control, plain, x in zip(self.controls, (q, k, v), (f, t, t), strict=True)
            )
        if self.feature_stride is not None and self.token_stride is not None:
            q = q + self._code(feature.shape[2:], self.feature_stride, q)
            k = k + self._code(tokens.shape[2:], self.token_stride, k)
        return q, k, v, e

    def _code(self, grid: torch.Size, stride: Sequence[int], like: torch.Tensor) -> torch.Tensor:
        code = position_code(grid, stride, like.shape[-1] // self.heads, like.device)
        return code.repeat(1, self.heads).to(like.dtype)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)


class _LowRank(nn.Module):
    def __init__(self, hidden: int, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.inputs, self.rank = inputs, rank
        self.u, self.v = nn.Linear(hidden, inputs * rank), nn.Linear(hidden, rank * outputs)
        nn.init.normal_(self.u.weight, std=_FACTOR_DEVIATION)
        nn.init.normal_(self.u.bias, std=_FACTOR_DEVIATION)
        nn.init.zeros_(self.v.weight)
        nn.init.zeros_(self.v.bias)

    def forward(self, plain: torch.Tensor, x: torch.Tensor, e: torch.Tensor) -> torch.Tensor:
        """plain `(B, n, out)`, x `(B, n, in)`, e `(B, hidden)` to `(B, n, out)`."""
        u = torch.unflatten(self.u(e), -1, (self.inputs, self.rank))
        v = torch.unflatten(self.v(e), -1, (self.rank, -1))
        return plain + (x @ u) @ v


class _Full(nn.Module):
    def __init__(self, hidden: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.weight = nn.Linear(hidden, inputs * outputs)
        nn.init.zeros_(self.weight.weight)
        nn.init.zeros_(self.weight.bias)

    def forward(self, plain: torch.Tensor, x: torch.Tensor, e: torch.Tensor) -> torch.Tensor:
        """plain `(B, n, out)`, x `(B, n, in)`, e `(B, hidden)` to `(B, n, out)`."""
        return plain + x @ torch.unflatten(self.weight(e), -1, (self.inputs, -1))


class _Film(nn.Module):
    def __init__(self, hidden: int, outputs: int) -> None:
        super().__init__()
        self.scale_and_shift = nn.Linear(hidden, 2 * outputs)
        nn.init.zeros_(self.scale_and_shift.weight)
        nn.init.zeros_(self.scale_and_shift.bias)

    def forward(self, plain: torch.Tensor, x: torch.Tensor, e: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """plain `(B, n, out)`, e `(B, hidden)` to `(B, n, out)`; x is not needed."""
        scale, shift = self.scale_and_shift(e).unsqueeze(1).chunk(2, dim=-1)
        controlled: torch.Tensor = (1 + scale) * plain + shift
        return controlled
