"""The chunk-parallel selective scan and its backward, in plain tensor operations.

The sequence is cut into chunks that run in lockstep. Sweep 1 runs every chunk from a zero state and keeps its last
state; a short loop over the chunks carries the states on; sweep 2 runs every chunk from its true first state and writes
the output. All exponents are <= 0 where A is, so nothing overflows. The backward pass recomputes the states from the
saved carries (formulas: Gu and Dao, "Mamba", arXiv 2312.00752, reversed in time), so that saved memory is
O(B D L + B D N L / chunk) and not O(B D N L). Channels are worked off in blocks that fit the cache.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

# Elements of one time step's state, all chunks together. CPU: 128k floats stay in the cache (L = 4096, 192 channels, 16
# states: 38 ms, and 59 ms with 16k); a GPU wants few, large launches.
_STEP_ELEMENTS = {"cpu": 1 << 17}
_STEP_ELEMENTS_ELSEWHERE = 1 << 24
_BLOCK_CHANNELS = 64
# Elements of the recomputed states of one block in the backward pass (256 MB in float32; 4 GB on a GPU).
_STATE_ELEMENTS = {"cpu": 1 << 26}
_STATE_ELEMENTS_ELSEWHERE = 1 << 30


def chunked_scan(
    u: torch.Tensor, delta: torch.Tensor, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, chunk: int
) -> torch.Tensor:
    """y of `selective_scan` without the D u term; u, delta `(B, D, L)`, a `(D, N)`, b, c `(B, G, N, L)`."""
    parts = _batch_parts(u.shape[0], u.shape[1] // b.shape[1], a.shape[1], u.shape[2], chunk, u.device.type)
    if len(parts) > 1:
        pieces = zip(*(torch.split(t, parts) for t in (u, delta, b, c)), strict=True)
        return torch.cat([chunked_scan(u_, d_, a, b_, c_, chunk) for u_, d_, b_, c_ in pieces])
    if torch.is_grad_enabled() and any(t.requires_grad for t in (u, delta, a, b, c)):
        y: torch.Tensor = _ChunkedScan.apply(u, delta, a, b, c, chunk)  # type: ignore[no-untyped-call]
        return y
    return _scan(u, delta, a, b, c, chunk)[0]


def _batch_parts(batch: int, per_group: int, states: int, length: int, chunk: int, device: str) -> list[int]:
    """Sizes of the parts of the batch that leave room for blocks of `_BLOCK_CHANNELS` channels.

    1024 sequences of 16 steps, 768 channels, 16 states: 0.69 s, and 1.18 s undivided (blocks of 8 channels).
    """
    step = _STEP_ELEMENTS.get(device, _STEP_ELEMENTS_ELSEWHERE)
    size = max(1, step // (states * -(-length // chunk) * min(per_group, _BLOCK_CHANNELS)))
    return [min(size, batch - i) for i in range(0, batch, size)]


class _ChunkedScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        u: torch.Tensor,
        delta: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        c: torch.Tensor,
        chunk: int,
    ) -> torch.Tensor:
        y, carries = _scan(u, delta, a, b, c, chunk)
        ctx.save_for_backward(u, delta, a, b, c, *carries)
        ctx.chunk = chunk
        return y

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad_y: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        u, delta, a, b, c, *carries = ctx.saved_tensors
        return (*_scan_backward(grad_y, u, delta, a, b, c, carries, ctx.chunk), None)


def _blocks(batch: int, channels: int, groups: int, states: int, length: int, chunk: int, device: str) -> list[slice]:
    """Channel ranges, none across two groups of B and C, that keep a step and a block's states within their limits."""
    chunks = -(-length // chunk)
    step = _STEP_ELEMENTS.get(device, _STEP_ELEMENTS_ELSEWHERE) // (batch * states * chunks)
    kept = _STATE_ELEMENTS.get(device, _STATE_ELEMENTS_ELSEWHERE) // (batch * states * length)
    per_group = channels // groups
    width = max(1, min(step, kept, per_group))
    starts = [group * per_group + i for group in range(groups) for i in range(0, per_group, width)]
    return [slice(i, min(i + width, (i // per_group + 1) * per_group)) for i in starts]


def _lockstep(x: torch.Tensor, chunk: int) -> torch.Tensor:
    """`(B, X, L)` to contiguous `(chunk, B, X, chunks)`, zeros after the end (delta = 0 leaves the state alone)."""
    x = torch.nn.functional.pad(x, (0, -x.shape[-1] % chunk))
    return x.reshape(*x.shape[:-1], -1, chunk).permute(3, 0, 1, 2).contiguous()


def _sequence(x: torch.Tensor, length: int) -> torch.Tensor:
    """The inverse of `_lockstep`."""
    return x.permute(1, 2, 3, 0).flatten(-2)[..., :length]


def _scan(
    u: torch.Tensor, delta: torch.Tensor, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, chunk: int
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The output `(B, D, L)` and, for every channel block, each chunk's first state `(B, N, d, chunks)`."""
    batch, channels, length = u.shape
    groups, states = b.shape[1:3]
    per_group = channels // groups
    b_steps = [_lockstep(b[:, g], chunk) for g in range(groups)]
    c_steps = [_lockstep(c[:, g], chunk) for g in range(groups)]
    outputs, carries = [], []
    for block in _blocks(batch, channels, groups, states, length, chunk, u.device.type):
        group = block.start // per_group
        d_block = _lockstep(delta[:, block], chunk)
        du = d_block * _lockstep(u[:, block], chunk)
        a_block = a[block].t().unsqueeze(-1)
        first = _first_states(d_block, du, a_block, b_steps[group])
        h, y = first.clone(), []
        for q in range(chunk):
            _step(h, d_block[q], du[q], a_block, b_steps[group][q])
            y.append((h * c_steps[group][q].unsqueeze(2)).sum(1))
        outputs.append(_sequence(torch.stack(y), length))
        carries.append(first)
    return torch.cat(outputs, dim=1), carries


def _step(h: torch.Tensor, d: torch.Tensor, du: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> None:
    """h <- exp(delta A) h + delta u B in place."""
    h.mul_((d.unsqueeze(1) * a).exp_()).addcmul_(du.unsqueeze(1), b.unsqueeze(2))


def _first_states(d: torch.Tensor, du: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The state before each chunk's first step, `(B, N, d, chunks)`."""
    chunk, batch, width, chunks = d.shape
    first = d.new_zeros(batch, a.shape[0], width, chunks)
    if chunks == 1:
        return first
    h = torch.zeros_like(first)
    for q in range(chunk):
        _step(h, d[q], du[q], a, b[q])
    whole = torch.exp(d.sum(0).unsqueeze(1) * a)
    for i in range(1, chunks):
        first[..., i] = whole[..., i - 1] * first[..., i - 1] + h[..., i - 1]
    return first


def _scan_backward(
    grad_y: torch.Tensor,
    u: torch.Tensor,
    delta: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    carries: list[torch.Tensor],
    chunk: int,
) -> tuple[torch.Tensor, ...]:
    """Gradients of u, delta, a, b, c."""
    batch, channels, length = u.shape
    groups, states = b.shape[1:3]
    per_group = channels // groups
    b_steps = [_lockstep(b[:, g], chunk) for g in range(groups)]
    c_steps = [_lockstep(c[:, g], chunk) for g in range(groups)]
    grad_b, grad_c = [torch.zeros_like(x) for x in b_steps], [torch.zeros_like(x) for x in c_steps]
    grads_u, grads_delta, grads_a = [], [], []
    blocks = _blocks(batch, channels, groups, states, length, chunk, u.device.type)
    for block, first in zip(blocks, carries, strict=True):
        group = block.start // per_group
        d, u_, y = (_lockstep(x[:, block], chunk) for x in (delta, u, grad_y))
        a_block = a[block].t().unsqueeze(-1)
        d_grad_u, d_grad_delta, d_grad_a = _block_backward(
            d, u_, y, a_block, b_steps[group], c_steps[group], first, grad_b[group], grad_c[group]
        )
        grads_u.append(_sequence(d_grad_u, length))
        grads_delta.append(_sequence(d_grad_delta, length))
        grads_a.append(d_grad_a)
    return (
        torch.cat(grads_u, dim=1),
        torch.cat(grads_delta, dim=1),
        torch.cat(grads_a),
        torch.stack([_sequence(x, length) for x in grad_b], dim=1),
        torch.stack([_sequence(x, length) for x in grad_c], dim=1),
    )


def _block_backward(
    d: torch.Tensor,
    u: torch.Tensor,
    grad_y: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    first: torch.Tensor,
    grad_b: torch.Tensor,
    grad_c: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of u, delta `(chunk, B, d, chunks)` and a `(d, N)`; adds to `grad_b`, `grad_c`.

    With g_t the gradient of h_t and w_t = exp(delta_t A) g_t what it hands to step t - 1:
    g_t = C_t y'_t + w_(t+1); C'_t = sum_d y'_t h_t; B'_t = sum_d g_t delta_t u_t; u'_t = delta_t sum_n g_t B_t;
    delta'_t = sum_n w_t A h_(t-1) + u_t sum_n g_t B_t; A' = sum_(b,t) delta_t w_t h_(t-1).
    """
    chunk = d.shape[0]
    du = d * u
    states = first.new_empty(chunk + 1, *first.shape)
    states[0] = first
    decay, work = torch.empty_like(first), torch.empty_like(first)
    for q in range(chunk):
        h = states[q + 1].copy_(states[q])
        _step(h, d[q], du[q], a, b[q])
    w = _last_gradients(d, grad_y, a, c)
    grad_u, grad_delta, grad_a = torch.empty_like(u), torch.empty_like(d), torch.zeros_like(first)
    for q in reversed(range(chunk)):
        grad_c[q] += torch.mul(states[q + 1], grad_y[q].unsqueeze(1), out=work).sum(2)
        g = w.addcmul_(grad_y[q].unsqueeze(1), c[q].unsqueeze(2))
        grad_b[q] += torch.mul(g, du[q].unsqueeze(1), out=work).sum(2)
        through_b = torch.mul(g, b[q].unsqueeze(2), out=work).sum(1)
        torch.mul(d[q].unsqueeze(1), a, out=decay)
        w = g.mul_(decay.exp_())
        torch.mul(w, states[q], out=work)
        grad_a.addcmul_(work, d[q].unsqueeze(1))
        grad_delta[q] = work.mul_(a).sum(1).addcmul_(u[q], through_b)
        grad_u[q] = through_b.mul_(d[q])
    return grad_u, grad_delta, grad_a.sum((0, 3)).t()


def _last_gradients(d: torch.Tensor, grad_y: torch.Tensor, a: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """The gradient that each chunk's last state receives from later chunks, `(B, N, d, chunks)`."""
    chunk, batch, width, chunks = d.shape
    last = d.new_zeros(batch, a.shape[0], width, chunks)
    if chunks == 1:
        return last
    w, decay = torch.zeros_like(last), torch.empty_like(last)
    for q in reversed(range(chunk)):
        w.addcmul_(grad_y[q].unsqueeze(1), c[q].unsqueeze(2))
        torch.mul(d[q].unsqueeze(1), a, out=decay)
        w.mul_(decay.exp_())
    whole = torch.exp(d.sum(0).unsqueeze(1) * a)
    for i in reversed(range(chunks - 1)):
        last[..., i] = whole[..., i + 1] * last[..., i + 1] + w[..., i + 1]
    return last
