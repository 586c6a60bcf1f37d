"""What a training begins with instead of random weights: pre-trained encoders, or a whole model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from petctfusion.errors import BadInputError
from petctfusion.models import ModelCard, find_model
from petctfusion.training.pretraining.encoder import PretrainedEncoder, carry_over, read_encoder


@dataclass(frozen=True)
class InitialModel:
    """The weights of a model; `patients`: those that they were learned from, `sha256` that of its file."""

    state: Mapping[str, torch.Tensor]
    name: str
    network: str
    patients: tuple[str, ...]
    sha256: str

    def __str__(self) -> str:
        return f"the weights of {self.name}"


Initial = PretrainedEncoder | InitialModel


def begin_with(name: str, network: nn.Module, network_id: str, kept_aside: Sequence[str]) -> Initial:
    """Put what a recipe's `initial` names into its network: a file of encoders, or a model by name or folder.

    Raises `BadInputError` when it does not fit the network, or has seen one of `kept_aside`; `ModelError`.
    """
    path = Path(name)
    if path.suffix == ".safetensors":
        encoder = read_encoder(path)
        carry_over(encoder, network, kept_aside)
        return encoder
    model = _read_model(name)
    _put(model, network, network_id, kept_aside)
    return model


def _read_model(name: str) -> InitialModel:
    found = find_model(Path(name) if Path(name).is_dir() else name)
    card = found.card
    if not isinstance(card, ModelCard):
        raise BadInputError(f"{found.reference} is an ensemble, which has no weights.", "Name one of its members.")
    try:
        state = {
            key: t.float() if t.is_floating_point() else t
            for key, t in load_file(found.folder / card.weights.file).items()
        }
    except (OSError, SafetensorError) as error:
        raise BadInputError(
            f"The weights of {found.reference} cannot be read: {error}.", "Install it again."
        ) from error
    return InitialModel(state, found.reference, card.network, card.training.patients, card.sha256)


def _put(model: InitialModel, network: nn.Module, network_id: str, kept_aside: Sequence[str]) -> None:
    """All weights of the model must have a place; what it lacks (heads of deep supervision, clicks) stays as it was."""
    seen = sorted(set(model.patients) & set(kept_aside))
    if seen:
        raise BadInputError(
            f"{model.name} has seen {seen[0]}, whom this run chooses its settings on.",
            "Begin with a model of the patients that this run learns from.",
        )
    own = network.state_dict()
    alien = [key for key, tensor in model.state.items() if key not in own or own[key].shape != tensor.shape]
    if model.network != network_id or alien:
        raise BadInputError(
            f"The weights of {model.name} do not fit this recipe's network"
            + (f" ({alien[0]})." if alien else f": they are of {model.network}."),
            "Correct network or [arguments], or leave initial out.",
        )
    network.load_state_dict({**own, **model.state})
