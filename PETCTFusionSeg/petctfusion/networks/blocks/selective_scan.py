"""The selective scan (S6) of Gu and Dao, "Mamba", arXiv 2312.00752, in plain PyTorch for CPU and GPU.

    h_t = exp(delta_t A) h_(t-1) + delta_t B_t u_t        y_t = C_t h_t + D u_t

`sequential` is the definition, `chunked` the fast form (chunked_scan.py), `matrix` writes each chunk as one lower
triangular matrix. All are the same function.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch

from petctfusion.networks.blocks.chunked_scan import chunked_scan
from petctfusion.networks.blocks.scan_kernel import kernel_scan, kernel_works

ScanForm = Literal["chunked", "sequential", "matrix"]
# The default by measurement: one core, 192 channels, 16 states, milliseconds forward / with backward:
#   L =            64          256        1024       4096          16384
#   chunked 64     1.6 / 7     6 / 20     12 / 39    39 / 143      176 / 595
#   sequential     1.8 / 12    12 / 80    89 / 288   659 / 2099
#   matrix 16      9 / 24      35 / 95    200 / 602  1621 / 13168


def selective_scan(
    u: torch.Tensor,
    delta: torch.Tensor,
    A: torch.Tensor,  # noqa: N803
    B: torch.Tensor,  # noqa: N803
    C: torch.Tensor,  # noqa: N803
    D: torch.Tensor | None = None,  # noqa: N803
    *,
    form: ScanForm = "chunked",
    chunk: int = 64,
) -> torch.Tensor:
    """u, delta `(B, D, L)`, A `(D, N)`, B, C `(B, G, N, L)`, D `(D,)` or None, to y `(B, D, L)` in u's dtype.

    `delta` is already positive. The D channels are G equal groups, each with its own B and C. Computed in float32
    (float64 for float64 input), also under autocast. On a GPU, "chunked" uses the kernel of mamba-ssm where it works.
    Raises ValueError for shapes that do not fit together.
    """
    _check(u, delta, A, B, C, form, chunk)
    dtype = torch.float64 if u.dtype == torch.float64 else torch.float32
    with torch.autocast(u.device.type, enabled=False):
        u_, delta_, a, b, c = (t.to(dtype) for t in (u, delta, A, B, C))
        chunk = min(chunk, u.shape[-1])
        if form == "sequential":
            y = _sequential(u_, delta_, a, b, c)
        elif form == "matrix":
            y = _matrix(u_, delta_, a, b, c, chunk)
        elif kernel_works(u.device, dtype):
            y = kernel_scan(u_, delta_, a, b, c)
        else:
            y = chunked_scan(u_, delta_, a, b, c, chunk)
        if D is not None:
            y = y + D.to(dtype).unsqueeze(-1) * u_
    return y.to(u.dtype)


def _check(
    u: torch.Tensor, delta: torch.Tensor, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, form: str, chunk: int
) -> None:
    if form not in get_args(ScanForm):
        raise ValueError(f"form must be one of {', '.join(get_args(ScanForm))}, got {form!r}")
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1, got {chunk}")
    fits = u.ndim == 3 and u.shape == delta.shape and a.ndim == 2 and a.shape[0] == u.shape[1] and b.ndim == 4
    fits = fits and b.shape == c.shape and (b.shape[0], b.shape[2], b.shape[3]) == (u.shape[0], a.shape[1], u.shape[2])
    if not fits or u.shape[1] % b.shape[1]:
        raise ValueError(
            "u and delta must be (B, D, L), A (D, N), B and C (B, G, N, L) with D a multiple of G; got "
            + ", ".join(str(tuple(t.shape)) for t in (u, delta, a, b, c))
        )


def _per_channel(x: torch.Tensor, channels: int) -> torch.Tensor:
    """`(B, G, ...)` to `(B, D, ...)`, each group's values for each of its channels."""
    return x.repeat_interleave(channels // x.shape[1], dim=1)


def _sequential(
    u: torch.Tensor, delta: torch.Tensor, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor
) -> torch.Tensor:
    """The definition: one step after the other."""
    b, c = _per_channel(b, u.shape[1]), _per_channel(c, u.shape[1])
    h = u.new_zeros(*u.shape[:2], a.shape[1])
    outputs = []
    # unbind, not x[..., t]: the gradient of an index is as long as the whole sequence, at every step.
    for u_t, d_t, b_t, c_t in zip(u.unbind(-1), delta.unbind(-1), b.unbind(-1), c.unbind(-1), strict=True):
        d = d_t.unsqueeze(-1)
        h = torch.exp(d * a) * h + d * u_t.unsqueeze(-1) * b_t
        outputs.append((h * c_t).sum(-1))
    return torch.stack(outputs, dim=-1)


def _matrix(
    u: torch.Tensor, delta: torch.Tensor, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, chunk: int
) -> torch.Tensor:
    """Each chunk as y_q = sum_k<=q [ sum_n C_q B_k exp((S_q - S_k) A) ] delta_k u_k + C_q exp(S_q A) H.

    S = cumsum(delta), H the state before the chunk. Few, large operations (no loop over time inside a chunk), `chunk`
    times the work of the recurrence.
    """
    length, channels, states = u.shape[-1], u.shape[1], a.shape[1]

    def cut(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(x, (0, -length % chunk)).reshape(*x.shape[:-1], -1, chunk)

    total = cut(delta).cumsum(-1)  # S: (B, D, chunks, Q)
    du = cut(delta * u)
    b, c = _per_channel(cut(b), channels), _per_channel(cut(c), channels)  # (B, D, N, chunks, Q)
    # Masked before exp: S_q - S_k is negative above the diagonal and exp of its negative product could overflow.
    future = torch.ones(chunk, chunk, dtype=torch.bool, device=u.device).triu(1)
    distance = (total.unsqueeze(-1) - total.unsqueeze(-2)).masked_fill(future, 0.0)
    kernel = torch.zeros_like(distance)
    for n in range(states):
        decay = torch.exp(distance * a[:, n].view(-1, 1, 1, 1))
        kernel = kernel + c[:, :, n].unsqueeze(-1) * b[:, :, n].unsqueeze(-2) * decay
    y = (kernel.masked_fill(future, 0.0) @ du.unsqueeze(-1)).squeeze(-1)
    rate = a.view(channels, states, 1, 1)
    after = total[..., -1:] - total  # the decay from each step to the chunk's end
    ends = (torch.exp(after.unsqueeze(2) * rate) * b * du.unsqueeze(2)).sum(-1)  # (B, D, N, chunks)
    whole = torch.exp(total[..., -1].unsqueeze(2) * a.unsqueeze(-1))
    state, firsts = torch.zeros_like(ends[..., 0]), []
    for i in range(ends.shape[-1]):
        firsts.append(state)
        state = whole[..., i] * state + ends[..., i]
    first = torch.stack(firsts, dim=-1).unsqueeze(-1)
    y = y + (c * torch.exp(total.unsqueeze(2) * rate) * first).sum(2)
    return y.flatten(-2)[..., :length]
