"""Where training moved the windows of the zero layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from petctfusion.errors import ModelError
from petctfusion.networks.blocks.zero_layer import ZeroLayer, initial_windows

_UNITS = {"CT": "HU", "PET": "SUV"}


@dataclass(frozen=True)
class WindowShift:
    """(level, width) of one window before and after training, in `unit`."""

    modality: str
    unit: str
    start: tuple[float, float]
    learned: tuple[float, float]


def window_shifts(network: nn.Module, modalities: Sequence[str]) -> list[WindowShift]:
    """Of every zero layer that learns. Raises `ModelError` for a network without any."""
    layers = getattr(network, "zero_layers", ())
    if not any(isinstance(layer, ZeroLayer) for layer in layers):
        raise ModelError(
            "This model's network learns no windows.", "Choose a model of anatomy_guided with learnable zero layers."
        )
    return [
        WindowShift(kind, _UNITS.get(kind, "standard deviations"), start, learned)
        for kind, layer in zip(modalities, layers, strict=True)
        for start, learned in zip(initial_windows(kind), layer.windows(), strict=True)
    ]
