"""State-space mixers: SS2D of VMamba (v0; Liu et al., arXiv 2401.10166) and a one-direction SS1D.

Names and shapes of SS2D's parameters are those of the published VMamba weights. `scan` chooses what mixes along the
paths: "selective" is the published Mamba scan; "ssd" has one decay per head (Mamba-2; matrix products only; other
weights); "none" is the control: the paths carry each value straight to its own output, all other layers stay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn

from petctfusion.networks.blocks.cross_scan import PATHS, cross_merge, cross_scan
from petctfusion.networks.blocks.selective_scan import ScanForm, selective_scan
from petctfusion.networks.blocks.ssd_scan import ssd_scan

Scan = Literal["selective", "ssd", "none"]

_DELTA_RANGE = (1e-3, 1e-1)
_DELTA_FLOOR = 1e-4
_HEAD_CHANNELS = 32


@dataclass(frozen=True)
class ScanOptions:
    """Numbers that all mixers of a network share: states N, inner width (times the channels), the scan and its form."""

    states: int = 16
    expansion: int = 2
    scan: Scan = "selective"
    form: ScanForm = "chunked"

    def __post_init__(self) -> None:
        if min(self.states, self.expansion) < 1:
            raise ValueError(f"states and expansion must be at least 1, got {self.states} and {self.expansion}")
        if self.scan not in get_args(Scan):
            raise ValueError(f"scan must be one of {', '.join(get_args(Scan))}, got {self.scan!r}")
        if self.form not in get_args(ScanForm):
            raise ValueError(f"scan_form must be one of {', '.join(get_args(ScanForm))}, got {self.form!r}")


class PathScan(nn.Module):
    """Scans along `paths` sequences with weights of their own: delta, B and C from the values, A and D learned.

    delta = softplus(W_dt x_dt + b), (x_dt, B, C) = W_x u; A = -exp(A_logs), at first -(1..N); D at first 1.
    """

    def __init__(self, channels: int, rank: int, paths: int, options: ScanOptions) -> None:
        super().__init__()
        self.scan, self.form, self.states = options.scan, options.form, options.states
        if self.scan == "none":
            return
        states, selective = options.states, options.scan == "selective"
        # One delta per channel through a low rank (Mamba), or directly one per head (Mamba-2).
        self.deltas = channels if selective else channels // math.gcd(channels, _HEAD_CHANNELS)
        self.rank = rank if selective else self.deltas
        bound = channels**-0.5
        self.x_proj_weight = nn.Parameter(torch.empty(paths, self.rank + 2 * states, channels).uniform_(-bound, bound))
        if selective:
            bound = self.rank**-0.5
            self.dt_projs_weight = nn.Parameter(torch.empty(paths, channels, self.rank).uniform_(-bound, bound))
            self.A_logs = nn.Parameter(torch.log(torch.arange(1.0, states + 1)).repeat(paths * channels, 1))
        else:
            self.A_logs = nn.Parameter(torch.log(torch.empty(paths * self.deltas).uniform_(1, 16)))
        self.dt_projs_bias = nn.Parameter(_delta_bias(paths, self.deltas))
        self.Ds = nn.Parameter(torch.ones(paths * channels))

    def along_paths(self, u: torch.Tensor) -> torch.Tensor:
        """`(B, paths, C, L)` to the same shape; float32, also under autocast."""
        if self.scan == "none":
            return u
        with torch.autocast(u.device.type, enabled=False):
            u = u.to(self.Ds.dtype)
            batch, paths, channels, length = u.shape
            projected = torch.einsum("bkdl,kcd->bkcl", u, self.x_proj_weight)
            low, b, c = torch.split(projected, [self.rank, self.states, self.states], dim=2)
            if self.scan == "selective":
                low = torch.einsum("bkrl,kdr->bkdl", low, self.dt_projs_weight)
            delta = nn.functional.softplus(low + self.dt_projs_bias.unsqueeze(-1)).flatten(1, 2)
            rate = -torch.exp(self.A_logs)
            if self.scan == "selective":
                y = selective_scan(u.flatten(1, 2), delta, rate, b, c, self.Ds, form=self.form)
            else:
                heads = u.reshape(batch, paths * self.deltas, channels // self.deltas, length)
                y = ssd_scan(heads, delta, rate, b, c).flatten(1, 2) + self.Ds.unsqueeze(-1) * u.flatten(1, 2)
        return y.view(batch, paths, channels, length)


class SS2D(PathScan):
    """Gated mixing of an image: depthwise 3x3, four-path scan, LayerNorm, SiLU gate; `(B, H, W, C)` to the same."""

    def __init__(self, channels: int, options: ScanOptions) -> None:
        inner = options.expansion * channels
        super().__init__(inner, math.ceil(channels / 16), PATHS, options)
        self.in_proj = nn.Linear(channels, 2 * inner, bias=False)
        self.conv2d = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.out_norm = nn.LayerNorm(inner)
        self.out_proj = nn.Linear(inner, channels, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, H, W, C)` to `(B, H, W, C)`."""
        height, width = x.shape[1:3]
        values, gate = self.in_proj(x).chunk(2, dim=-1)
        values = nn.functional.silu(self.conv2d(values.permute(0, 3, 1, 2)))
        # Without a scan the four paths return the values themselves: the sum is four times them, and LayerNorm
        # removes the factor, so the detour is not made.
        merged = values if self.scan == "none" else cross_merge(self.along_paths(cross_scan(values)), height, width)
        mixed = self.out_norm(merged.permute(0, 2, 3, 1)) * nn.functional.silu(gate)
        result: torch.Tensor = self.out_proj(mixed.to(gate.dtype))
        return result


class SS1D(PathScan):
    """The same along one sequence in one direction and without the convolution; `(B, L, C)` to the same."""

    def __init__(self, channels: int, options: ScanOptions) -> None:
        inner = options.expansion * channels
        super().__init__(inner, math.ceil(channels / 16), 1, options)
        self.in_proj = nn.Linear(channels, 2 * inner, bias=False)
        self.out_norm = nn.LayerNorm(inner)
        self.out_proj = nn.Linear(inner, channels, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, L, C)` to `(B, L, C)`."""
        values, gate = self.in_proj(x).chunk(2, dim=-1)
        scanned = self.along_paths(nn.functional.silu(values).transpose(1, 2).unsqueeze(1)).squeeze(1).transpose(1, 2)
        result: torch.Tensor = self.out_proj((self.out_norm(scanned) * nn.functional.silu(gate)).to(gate.dtype))
        return result


def _delta_bias(paths: int, deltas: int) -> torch.Tensor:
    """softplus^-1 of time steps drawn log-uniformly between 0.001 and 0.1, as published, `(paths, deltas)`."""
    low, high = (math.log(limit) for limit in _DELTA_RANGE)
    step = torch.exp(torch.empty(paths, deltas).uniform_(low, high)).clamp(min=_DELTA_FLOOR)
    return step + torch.log(-torch.expm1(-step))
