"""Named windows into a network: where a paper means attention, a `Probe` lets `explain.attention_maps` look."""

from __future__ import annotations

import torch
from torch import nn


class Probe(nn.Module):
    """Returns its argument unchanged; while `watching`, keeps it in `seen` (one entry a call, detached).

    `name` is what a reader sees, for instance "spatial gate, level 2". Put maps through as `(B, C, *spatial)` at any
    resolution, with the spatial axes of the network's input; every channel becomes a map of its own. A map that is made
    only to be seen is computed inside `if self.map_x.watching:`.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.watching = False
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, C, *spatial)`, returned as it is."""
        if self.watching:
            self.seen.append(x.detach())
        return x

    def extra_repr(self) -> str:
        """The name, in the printed network."""
        return repr(self.name)
