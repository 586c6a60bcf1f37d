"""A MONAI bundle becomes a card with safetensors; no pickle and no Python of the bundle is run.

A TorchScript program is stored byte for byte as one tensor, so that the card's checksum covers it like weights.

What differs from MONAI's own inference: resampling is linear with a Gaussian against aliasing, scaling follows it with
the study's own numbers, and the windows' probabilities are averaged with Gaussian weights instead of their logits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from petctfusion.errors import ModelError
from petctfusion.inference.checkpoints import load_checkpoint
from petctfusion.inference.foreign_weights import save_weights
from petctfusion.models import ModelCard, write_card
from petctfusion.models.foreign import ForeignChoices
from petctfusion.models.monai_bundle import Bundle, read_bundle
from petctfusion.networks import build


def convert_monai(source: Path, target: Path, choices: ForeignChoices) -> ModelCard:
    """Write the model of a bundle into `target` and return its card. Raises `ModelError`, `OSError`."""
    bundle = read_bundle(source, choices)
    try:
        network = build("monai_bundle", **bundle.arguments)
    except ValueError as error:
        raise ModelError(
            f"The bundle's network cannot be built: {error}.", "Only MONAI's own networks are supported."
        ) from error
    if bundle.is_script:
        weights = _program(network, bundle)
    else:
        _check_outputs(bundle, bundle.settings.get("out_channels"))
        weights = _loaded(network, bundle)
    card = bundle.card(save_weights(weights, target, "uint8" if bundle.is_script else "float32"))
    write_card(card, target)
    return card


def _loaded(network: nn.Module, bundle: Bundle) -> dict[str, torch.Tensor]:
    """The weights of model.pt under the names of the built network, which takes them all."""
    try:
        network.get_submodule("body").load_state_dict(_weights(load_checkpoint(bundle.file)))
    except RuntimeError as error:
        raise ModelError(
            f"The weights of {bundle.file} do not fit the bundle's network: {str(error).splitlines()[-1].strip()}",
            "Download the bundle again.",
        ) from error
    # Copies: safetensors refuses a tensor that has two names.
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _program(network: nn.Module, bundle: Bundle) -> dict[str, torch.Tensor]:
    """The bytes of model.ts, once they have answered an empty window with the channels of the metadata."""
    content = np.frombuffer(bundle.file.read_bytes(), dtype=np.uint8)
    weights = {"body.program": torch.from_numpy(content.copy())}
    try:
        network.load_state_dict(weights)
        with torch.inference_mode():
            answer = network.eval()(torch.zeros(1, len(bundle.modalities), *bundle.window[::-1]))
    except RuntimeError as error:
        raise ModelError(
            f"The program {bundle.file} does not run: {str(error).strip().splitlines()[-1].strip()}",
            "Download the bundle again, or export it with the PyTorch of this computer.",
        ) from error
    _check_outputs(bundle, answer.shape[1] + (bundle.head == "softmax"))
    return weights


def _check_outputs(bundle: Bundle, found: object) -> None:
    wanted = len(bundle.labels) + (bundle.head == "softmax")
    if found != wanted:
        raise ModelError(
            f"The bundle's network has {found} outputs, its metadata names {wanted}.", "Download the bundle again."
        )


def _weights(checkpoint: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The state of the network, alone in its file or under one of the names that MONAI's trainers use."""
    for name in ("model", "state_dict"):
        if isinstance(checkpoint.get(name), dict):
            checkpoint = checkpoint[name]
    return {str(name).removeprefix("module."): value for name, value in checkpoint.items()}
