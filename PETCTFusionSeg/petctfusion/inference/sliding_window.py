"""A network over a volume larger than its window: Gaussian-weighted mean of overlapping windows and mirrored copies."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from petctfusion.errors import CancelledError
from petctfusion.inference.maps import MapSum
from petctfusion.inference.options import AXES
from petctfusion.inference.windows import Triple, importance, padding, window_starts
from petctfusion.networks.explain import watched_forward

Report = Callable[[int, int], None]
ShouldCancel = Callable[[], bool]


def predict_windows(
    array: NDArray[np.float32],
    network: nn.Module,
    patch: Triple,
    *,
    air: Sequence[float],
    overlap: float = 0.5,
    flips: Sequence[str] = (),
    batch: int = 1,
    device: str = "cpu",
    half: bool = False,
    report: Report | None = None,
    should_cancel: ShouldCancel | None = None,
    attention: MapSum | None = None,
) -> NDArray[np.float32]:
    """Probability (K, z, y, x) in [0, 1] of `array` (M, z, y, x) in physical units, one channel per label (sigmoid).

    `air` holds one value per modality for the voxels around a volume smaller than `patch`. A network of images is
    given by a patch of one slice: it sees `(B, M, y, x)`. `flips` names axes; the mean runs over all combinations.
    `report(done, total)` counts windows, mirrored ones as their own; `should_cancel` is asked before every forward
    pass of `batch` windows. `network` must be in eval mode on `device`. `attention` is given the attention maps of the
    windows that are not mirrored. Raises `CancelledError`.
    """
    pads = padding(array.shape[1:], patch)
    volume = _padded(array, pads, air)
    starts = window_starts(volume.shape[1:], patch, overlap)
    mirrors = _mirrors(flips)
    jobs = [(start, mirror) for start in starts for mirror in mirrors]
    weight = torch.from_numpy(importance(patch))
    total: torch.Tensor | None = None
    for first in range(0, len(jobs), batch):
        if should_cancel is not None and should_cancel():
            raise CancelledError("The run was cancelled.")
        chunk = jobs[first : first + batch]
        watches = attention is not None and any(not mirror for _start, mirror in chunk)
        probabilities, seen = _forward(volume, network, chunk, patch, device, half, watches)
        if total is None:
            total = torch.zeros((probabilities.shape[1], *volume.shape[1:]))
        for index, ((start, mirror), probability) in enumerate(zip(chunk, probabilities, strict=True)):
            if attention is not None and not mirror and seen:
                corner = tuple(at - before for at, (before, _after) in zip(start, pads, strict=True))
                attention.add(corner, weight.numpy(), {name: values[index, 0] for name, values in seen.items()})
            z, y, x = _box(start, patch)
            weighted = torch.flip(probability, mirror) if mirror else probability
            total[:, z, y, x] += weighted * weight
        if report is not None:
            report(first + len(chunk), len(jobs))
    assert total is not None  # a volume has at least one window
    total /= _summed_weight(volume.shape[1:], starts, weight, patch) * len(mirrors)
    z, y, x = _inside(array.shape[1:], patch)
    return np.ascontiguousarray(total.numpy()[:, z, y, x])


def _forward(
    volume: NDArray[np.float32],
    network: nn.Module,
    chunk: list[tuple[Triple, tuple[int, ...]]],
    patch: Triple,
    device: str,
    half: bool,
    watches: bool,
) -> tuple[torch.Tensor, dict[str, NDArray[np.float32]]]:
    """Probabilities (B, K, z, y, x) of some windows on the CPU, still mirrored, float32; and attention (B, 1, z, y, x)
    by name, if it is to be watched."""
    windows = []
    for start, mirror in chunk:
        z, y, x = _box(start, patch)
        window = torch.from_numpy(volume[:, z, y, x])
        windows.append(torch.flip(window, mirror) if mirror else window)
    stack = torch.stack(windows).to(device)
    is_flat = patch[0] == 1
    with torch.inference_mode(), _precision(device, half):
        shown = stack[:, :, 0] if is_flat else stack
        logits, seen = watched_forward(network, shown) if watches else (network(shown), {})
    probability = torch.sigmoid(logits.float())
    maps = {name: (values[:, :, None] if is_flat else values).cpu().numpy() for name, values in seen.items()}
    return (probability[:, :, None] if is_flat else probability).cpu(), maps


def _precision(device: str, half: bool) -> AbstractContextManager[object]:
    return torch.autocast(device.partition(":")[0], dtype=torch.bfloat16) if half else nullcontext()


def _mirrors(flips: Sequence[str]) -> list[tuple[int, ...]]:
    """Axes of a tensor (C, z, y, x) to mirror, one entry per forward pass; the first mirrors nothing."""
    axes = [1 + AXES.index(axis) for axis in flips]
    return [c for count in range(len(axes) + 1) for c in itertools.combinations(axes, count)]


def _padded(array: NDArray[np.float32], pads: list[tuple[int, int]], air: Sequence[float]) -> NDArray[np.float32]:
    if not any(before or after for before, after in pads):
        return array
    channels = [np.pad(channel, pads, constant_values=value) for channel, value in zip(array, air, strict=True)]
    return np.stack(channels)


def _summed_weight(shape: Sequence[int], starts: list[Triple], weight: torch.Tensor, patch: Triple) -> torch.Tensor:
    summed = torch.zeros(tuple(shape))
    for start in starts:
        summed[_box(start, patch)] += weight
    return summed


def _inside(shape: Sequence[int], patch: Triple) -> tuple[slice, slice, slice]:
    """Where the volume lies in its padded copy."""
    z, y, x = (slice(pad[0], pad[0] + size) for pad, size in zip(padding(shape, patch), shape, strict=True))
    return z, y, x


def _box(start: Triple, patch: Triple) -> tuple[slice, slice, slice]:
    z, y, x = (slice(s, s + p) for s, p in zip(start, patch, strict=True))
    return z, y, x
