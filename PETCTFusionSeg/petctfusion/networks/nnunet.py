"""A network as nnU-Net v2's plans describe it, built through dynamic-network-architectures (Apache-2.0).

Isensee et al., Nature Methods 18:203-211, 2021; residual encoders: nnU-Net Revisited, arXiv 2404.09556.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from petctfusion.networks.blocks.softmax_head import foreground_logits

ARCHITECTURES = ("PlainConvUNet", "ResidualEncoderUNet")
# The settings that plans give as the name of a class; a name is looked up here and never imported.
_CLASSES: dict[str, dict[str, type[nn.Module]]] = {
    "conv_op": {"Conv2d": nn.Conv2d, "Conv3d": nn.Conv3d},
    "norm_op": {norm.__name__: norm for norm in (nn.InstanceNorm2d, nn.InstanceNorm3d, nn.BatchNorm2d, nn.BatchNorm3d)},
    "dropout_op": {"Dropout2d": nn.Dropout2d, "Dropout3d": nn.Dropout3d},
    "nonlin": {kind.__name__: kind for kind in (nn.LeakyReLU, nn.ReLU, nn.ELU, nn.GELU, nn.SiLU)},
}


class NnUNet(nn.Module):
    """The mean of one or several folds on windows `(B, M, z, y, x)` of normalised values; logits `(B, K, z, y, x)`.

    The logit of a label belongs to its softmax probability, averaged over the folds. A network of slices also takes
    `(B, M, y, x)`. `transpose`: which axis of (z, y, x) is the network's first, second and third. `divisor` is in
    (z, y, x).
    """

    def __init__(self, folds: Sequence[nn.Module], transpose: Sequence[int], strides: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.folds = nn.ModuleList(folds)
        self.is_flat = len(strides[0]) == 2
        self.there = tuple(2 + axis for axis in transpose)
        self.back = tuple(2 + list(transpose).index(axis) for axis in range(3))
        along = [math.prod(stage[axis] for stage in strides) for axis in range(len(strides[0]))]
        own = [1, *along] if self.is_flat else along
        self.divisor = tuple(own[list(transpose).index(axis)] for axis in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        is_slice = x.ndim == 4
        volume = (x[:, :, None] if is_slice else x).permute(0, 1, *self.there)
        if self.is_flat:
            batch, channels, slices, rows, columns = volume.shape
            flat = volume.transpose(1, 2).reshape(batch * slices, channels, rows, columns)
            scores = self._scores(flat)
            scores = scores.view(batch, slices, scores.shape[1], rows, columns).transpose(1, 2)
        else:
            scores = self._scores(volume.contiguous())
        logits = foreground_logits(scores).permute(0, 1, *self.back)
        return logits[:, :, 0] if is_slice else logits

    def _scores(self, x: torch.Tensor) -> torch.Tensor:
        """Softmax scores of one fold, or the logarithm of the mean probability of several."""
        if len(self.folds) == 1:
            scores: torch.Tensor = self.folds[0](x)
            return scores
        return torch.stack([fold(x).float().log_softmax(dim=1) for fold in self.folds]).logsumexp(dim=0)

    def own_weights(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers by name, each once: the package gives one tensor up to four names."""
        return {**dict(self.named_parameters()), **dict(self.named_buffers())}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As usual, from all names or from those of `own_weights`."""
        known = {id(tensor): name for name, tensor in self.own_weights().items()}
        complete = dict(state_dict)
        for name, tensor in self.state_dict(keep_vars=True).items():
            if name not in complete and known[id(tensor)] in complete:
                complete[name] = complete[known[id(tensor)]]
        return super().load_state_dict(complete, strict, assign)


def nnunet(
    architecture: str = "PlainConvUNet",
    settings: Mapping[str, Any] | None = None,
    heads: int = 2,
    modalities: Sequence[str] = ("CT", "PET"),
    transpose: Sequence[int] = (0, 1, 2),
    folds: int = 1,
) -> NnUNet:
    """The network of plans: `settings` are their `arch_kwargs`, `heads` the labels with the background.

    Raises `ValueError` for an architecture or a class that is not among nnU-Net's own, or for missing settings.
    """
    from dynamic_network_architectures.architectures import unet

    if architecture not in ARCHITECTURES:
        raise ValueError(f"the architecture must be {' or '.join(ARCHITECTURES)}, got {architecture!r}")
    if sorted(transpose) != [0, 1, 2] or heads < 2 or folds < 1:
        raise ValueError(f"nonsensical transpose, heads or folds: {list(transpose)}, {heads}, {folds}")
    values = {**(settings or {}), "deep_supervision": False}
    for name, classes in _CLASSES.items():
        if values.get(name) is not None:
            short = str(values[name]).rpartition(".")[2]
            if short not in classes:
                raise ValueError(f"{name} must be one of {', '.join(classes)}, got {values[name]!r}")
            values[name] = classes[short]
    if "conv_op" not in values or "strides" not in values:
        raise ValueError("the plans' settings lack conv_op or strides")
    dims = 2 if values["conv_op"] is nn.Conv2d else 3
    try:
        strides = [_per_axis(stage, dims) for stage in values["strides"]]
        networks = [
            getattr(unet, architecture)(input_channels=len(modalities), num_classes=heads, **values)
            for _ in range(folds)
        ]
    except (AssertionError, IndexError, KeyError) as error:
        raise ValueError(f"the plans' settings do not describe a network: {error}") from error
    if not strides or any(len(stage) != dims for stage in strides):
        raise ValueError(f"strides must have {dims} numbers a stage, got {strides}")
    return NnUNet(networks, tuple(transpose), strides)


def _per_axis(stride: Any, dims: int) -> list[int]:
    return [int(n) for n in stride] if isinstance(stride, (list, tuple)) else [int(stride)] * dims
