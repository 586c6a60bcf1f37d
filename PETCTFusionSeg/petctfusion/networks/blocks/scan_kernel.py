"""The CUDA kernel of mamba-ssm, where it is installed and gives right results.

Importing the package proves nothing: its default build comes without the kernel. So a small case is run forward and
backward once per device and compared with the definition. This path could not be run where it was written (no GPU
build of mamba-ssm); the comparison is what protects from a kernel that differs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

_TOLERANCE = 1e-3


def kernel_works(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the kernel may be used: float32 on CUDA, determinism not asked for, and the capability test passed."""
    # The kernel's backward adds with atomics: equal seeds do not give equal bits.
    if device.type != "cuda" or dtype != torch.float32 or torch.are_deterministic_algorithms_enabled():
        return False
    return _passes(device)


def kernel_scan(
    u: torch.Tensor, delta: torch.Tensor, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor
) -> torch.Tensor:
    """y without the D u term; only after `kernel_works`."""
    y: torch.Tensor = _kernel()(u.contiguous(), delta.contiguous(), a.contiguous(), b.contiguous(), c.contiguous())
    return y


def _kernel() -> Callable[..., Any]:
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn  # type: ignore[import-not-found,unused-ignore]

    kernel: Callable[..., Any] = selective_scan_fn
    return kernel


@functools.lru_cache(maxsize=8)
def _passes(device: torch.device) -> bool:
    try:
        found = _case(device, kernel_scan)
    except (ImportError, AttributeError, NameError, RuntimeError, TypeError):
        return False
    expected = _case(device, _definition)
    return all(torch.allclose(f, e, rtol=_TOLERANCE, atol=_TOLERANCE) for f, e in zip(found, expected, strict=True))


def _case(device: torch.device, scan: Callable[..., torch.Tensor]) -> list[torch.Tensor]:
    """The output and the five gradients of a fixed 1 x 8 x 16 case with 4 states."""

    def wave(*shape: int) -> torch.Tensor:
        count = torch.Size(shape).numel()
        return torch.sin(torch.arange(1, count + 1, device=device, dtype=torch.float32) * 0.7).view(shape)

    raw = [wave(1, 8, 16), wave(1, 8, 16).abs() * 0.2 + 0.01, -wave(8, 4).abs() - 0.1, wave(1, 1, 4, 16)]
    raw.append(wave(1, 1, 4, 16).flip(-1))
    with torch.enable_grad():
        arguments = [t.requires_grad_() for t in raw]
        y = scan(*arguments)
        return [y.detach(), *torch.autograd.grad((y * wave(1, 8, 16).cos()).sum(), arguments)]


def _definition(
    u: torch.Tensor, delta: torch.Tensor, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor
) -> torch.Tensor:
    h = u.new_zeros(*u.shape[:2], a.shape[1])
    outputs = []
    for t in range(u.shape[-1]):
        d = delta[..., t, None]
        h = torch.exp(d * a) * h + d * u[..., t, None] * b[:, :, :, t]
        outputs.append((h * c[:, :, :, t]).sum(-1))
    return torch.stack(outputs, dim=-1)
