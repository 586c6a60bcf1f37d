"""Attention maps of any network as named volumes on the grid of its input."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from petctfusion.networks.blocks.probe import Probe

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def attention_maps(network: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the network's probes see in one forward of `x` `(B, M, *spatial)`: name to `(B, 1, *spatial)`, float32.

    Coarser maps are resampled linearly. A map of several channels gives one entry a channel ("name, channel 1"), and a
    probe passed several times, or a name used twice, one entry each ("name (2)"). The network runs in evaluation mode
    without gradients and comes back as it was. A network without probes gives an empty dictionary. Raises `ValueError`
    when a map has other axes than the input.
    """
    return watched_forward(network, x)[1]


def watched_forward(network: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """What the network answers, and its attention maps (see `attention_maps`)."""
    maps: dict[str, torch.Tensor] = {}
    with _watched(network) as probes:
        logits: torch.Tensor = network(x)
        for probe in probes:
            for seen in probe.seen:
                for name, channel in _channels(probe.name, seen, x):
                    maps[_free_name(name, maps)] = channel
    return logits, maps


def has_attention(network: nn.Module) -> bool:
    """Whether there is anything to look at."""
    return any(isinstance(module, Probe) for module in network.modules())


@contextlib.contextmanager
def _watched(network: nn.Module) -> Iterator[list[Probe]]:
    probes = [module for module in network.modules() if isinstance(module, Probe)]
    training = [module for module in network.modules() if module.training]
    network.eval()
    for probe in probes:
        probe.watching = True
    try:
        with torch.no_grad():
            yield probes
    finally:
        for probe in probes:
            probe.watching = False
            probe.seen = []
        for module in training:
            module.training = True


def _channels(name: str, seen: torch.Tensor, x: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    if seen.ndim != x.ndim or seen.shape[0] != x.shape[0]:
        raise ValueError(f"the map {name!r} has shape {tuple(seen.shape)}, which does not fit {tuple(x.shape)}")
    on_grid = seen.float()
    if on_grid.shape[2:] != x.shape[2:]:
        on_grid = nn.functional.interpolate(on_grid, size=x.shape[2:], mode=_LINEAR[x.ndim - 2], align_corners=False)
    channels = on_grid.shape[1]
    for index in range(channels):
        yield name if channels == 1 else f"{name}, channel {index + 1}", on_grid[:, index : index + 1]


def _free_name(name: str, taken: dict[str, torch.Tensor]) -> str:
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free
