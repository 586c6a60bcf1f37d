"""The two encoders that pre-training hands to segmentation, with the intensity scale they have learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from petctfusion.networks.anatomy_prompted.trunk import Encoder, Stride
from petctfusion.networks.blocks.intensity import FixedScaling

Refine = Callable[[int, torch.Tensor], torch.Tensor]


class DualEncoder(nn.Module):
    """`FixedScaling` and one `Encoder` of one channel per modality.

    Pre-training and segmentation scale alike (the notes on the system suggest two scales): features carried over are
    then the same features.
    """

    def __init__(
        self,
        spatial_dims: int,
        modalities: Sequence[str],
        widths: Sequence[int],
        strides: Sequence[Stride],
        blocks: int,
    ) -> None:
        super().__init__()
        self.scaling = FixedScaling(modalities)
        self.names = tuple(modalities)
        self.encoders = nn.ModuleList([Encoder(spatial_dims, 1, widths, strides, blocks) for _ in modalities])

    def forward(self, scaled: torch.Tensor, refine: Refine | None = None) -> list[list[torch.Tensor]]:
        """Scaled `(B, M, *spatial)` to, per modality, `(B, width, *spatial / stride)` per stage, finest first."""
        return [encoder(scaled[:, i : i + 1], refine) for i, encoder in enumerate(self.encoders)]

    def state(self) -> dict[str, torch.Tensor]:
        """A copy of the encoders' weights on the CPU, "<modality>.<weight>"."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self._tensors().items()}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over what `state` gave. Raises `ValueError`, and changes nothing, when the encoders differ."""
        own = self._tensors()
        differing = {name for name in own if name not in state or state[name].shape != own[name].shape}
        differing |= set(state) - set(own)
        if differing:
            raise ValueError(
                f"the weights belong to other encoders ({len(differing)} tensors differ, such as {min(differing)}); "
                "build both networks with the same modalities, widths and blocks"
            )
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(state[name])

    def _tensors(self) -> dict[str, torch.Tensor]:
        named = zip(self.names, self.encoders, strict=True)
        return {f"{modality}.{name}": t for modality, encoder in named for name, t in encoder.state_dict().items()}
