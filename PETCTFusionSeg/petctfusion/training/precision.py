"""Half precision in the network, single precision in the losses: bfloat16 needs no scaling of gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from petctfusion.inference.devices import has_fast_half


def uses_bfloat16(wanted: str, device: str) -> bool:
    """Whether to compute in bfloat16 on `device` ("cpu", "cuda:N"); "auto" only where the hardware has it."""
    return wanted == "bfloat16" or (wanted == "auto" and has_fast_half(device))


@contextmanager
def autocast(half: bool, device: str) -> Iterator[None]:
    """Convolutions and matrix products in bfloat16, or everything as it is."""
    if not half:
        yield
        return
    kind = device.partition(":")[0]
    with torch.autocast(kind, dtype=torch.bfloat16):
        if kind != "cpu":
            yield
            return
        with ShallowConvolutions():
            yield


class ShallowConvolutions(TorchFunctionMode):
    """On a CPU, 3-D convolutions over fewer planes than their kernel has stay in single precision.

    Their bfloat16 weight gradients are not all written (torch 2.13 with oneDNN on AMX: kernel 3 on 2 planes, 7 on 6):
    what stood in memory before, often nan, goes into the weights. Other axes and two dimensions are not affected.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """`func`, unless it is such a convolution."""
        is_shallow = func is torch.conv3d and args[0].shape[-3] < args[1].shape[-3]
        if is_shallow:
            with torch.autocast("cpu", enabled=False):
                tensors = [a.float() if isinstance(a, torch.Tensor) else a for a in args]
                return func(*tensors, **(kwargs or {}))
        return func(*args, **(kwargs or {}))
