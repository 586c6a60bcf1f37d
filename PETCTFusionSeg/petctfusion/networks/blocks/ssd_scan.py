"""The state-space-dual scan of Dao and Gu, "Transformers are SSMs" (Mamba-2, arXiv 2405.21060): only matrix products.

    H_t = exp(delta_t a) H_(t-1) + delta_t x_t B_t^T        y_t = H_t C_t

One decay per head instead of one per channel and state, so another function than `selective_scan` and other weights;
inside a chunk the whole recurrence is the matrix exp(S_q - S_k) C_q . B_k, lower triangular, S = cumsum(delta a).
"""

from __future__ import annotations

import torch


def ssd_scan(
    x: torch.Tensor,
    delta: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    chunk: int = 32,
) -> torch.Tensor:
    """x `(B, H, P, L)`, delta `(B, H, L)` positive, a `(H,)` negative, b, c `(B, G, N, L)`, to y `(B, H, P, L)`.

    The H heads are G equal groups. Float32 inside (float64 for float64 input), also under autocast; y in x's dtype.
    Raises ValueError for shapes that do not fit together.
    """
    batch, heads, _, length = x.shape
    if delta.shape != (batch, heads, length) or a.shape != (heads,) or b.shape != c.shape or heads % b.shape[1]:
        raise ValueError(
            "x must be (B, H, P, L), delta (B, H, L), a (H,), b and c (B, G, N, L) with H a multiple of G; got "
            + ", ".join(str(tuple(t.shape)) for t in (x, delta, a, b, c))
        )
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    with torch.autocast(x.device.type, enabled=False):
        y = _ssd(x.to(dtype), delta.to(dtype), a.to(dtype), b.to(dtype), c.to(dtype), min(chunk, length))
    return y.to(x.dtype)


def _ssd(
    x: torch.Tensor, delta: torch.Tensor, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, chunk: int
) -> torch.Tensor:
    length, repeats = x.shape[-1], x.shape[1] // b.shape[1]

    def cut(t: torch.Tensor) -> torch.Tensor:
        """`(..., L)` to `(..., chunks, Q)`; delta = 0 after the end leaves the state alone."""
        return torch.nn.functional.pad(t, (0, -length % chunk)).reshape(*t.shape[:-1], -1, chunk)

    dx = cut(delta.unsqueeze(2) * x).transpose(2, 3)  # (B, H, chunks, P, Q)
    decay = cut(delta * a.unsqueeze(-1)).cumsum(-1)  # S: (B, H, chunks, Q)
    b_cut, c_cut = cut(b).transpose(2, 3), cut(c).transpose(2, 3)  # (B, G, chunks, N, Q)
    similar = (c_cut.transpose(-1, -2) @ b_cut).repeat_interleave(repeats, dim=1)  # C_q . B_k: (B, H, chunks, Q, Q)
    b_cut, c_cut = b_cut.repeat_interleave(repeats, dim=1), c_cut.repeat_interleave(repeats, dim=1)
    # -inf before exp: S_q - S_k is positive above the diagonal and its exponential could overflow.
    future = torch.ones(chunk, chunk, dtype=torch.bool, device=x.device).triu(1)
    steps = (decay.unsqueeze(-1) - decay.unsqueeze(-2)).masked_fill(future, -torch.inf)
    y = dx @ (similar * torch.exp(steps)).transpose(-1, -2)
    ends = (dx * torch.exp(decay[..., -1:] - decay).unsqueeze(-2)) @ b_cut.transpose(-1, -2)  # (B, H, chunks, P, N)
    whole = torch.exp(decay[..., -1])
    state, firsts = torch.zeros_like(ends[:, :, 0]), []
    for i in range(ends.shape[2]):
        firsts.append(state)
        state = whole[:, :, i, None, None] * state + ends[:, :, i]
    y = y + (torch.stack(firsts, dim=2) @ c_cut) * torch.exp(decay).unsqueeze(-2)
    return y.transpose(2, 3).flatten(-2)[..., :length]
