"""A model folder becomes a network, or the networks of an ensemble, ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from petctfusion.errors import ModelError
from petctfusion.inference.devices import plan_device
from petctfusion.inference.memory_ladder import Triple
from petctfusion.models import EnsembleCard, ModelCard, ModelStore
from petctfusion.networks import build


@dataclass(frozen=True)
class LoadedModel:
    """A card, its network in eval mode with its weights (float32), and the device it lies on."""

    card: ModelCard
    network: nn.Module
    device: str

    @property
    def parts(self) -> tuple[tuple[LoadedModel, float], ...]:
        """The networks whose probabilities are summed, and the share of each: itself alone."""
        return ((self, 1.0),)

    @property
    def divisor(self) -> Triple:
        """Window lengths (z, y, x) that the network takes are multiples of these."""
        stated = getattr(self.network, "divisor", 16)
        each = (stated,) * 3 if isinstance(stated, int) else tuple(stated)
        z, y, x = (1,) * (3 - len(each)) + each
        return z, y, x


@dataclass(frozen=True)
class LoadedEnsemble:
    """A card, its members, and the device on which they run.

    The members rest in main memory, and each visits a GPU in its turn: there, one network at a time takes room.
    """

    card: EnsembleCard
    members: tuple[LoadedModel, ...]
    device: str

    @property
    def parts(self) -> tuple[tuple[LoadedModel, float], ...]:
        """The networks whose probabilities are summed, and the share of each; the shares sum to 1."""
        total = sum(member.weight for member in self.card.members)
        shares = (member.weight / total for member in self.card.members)
        return tuple(zip(self.members, shares, strict=True))


AnyLoaded = LoadedModel | LoadedEnsemble


def load_model(folder: Path | str, device: str = "auto") -> AnyLoaded:
    """The model in `folder`, verified by its checksum, on `device` ("auto", "cpu", "cuda", "cuda:N").

    Raises `ModelError` for a folder that is damaged or does not fit its card, `DeviceError` for an unusable device.
    """
    model = ModelStore.default().verify(folder)
    chosen = plan_device(device)
    if isinstance(model.card, ModelCard):
        return _loaded(model.card, model.folder, chosen)
    members = (_loaded(m.card, m.folder, "cpu") for m in model.members if isinstance(m.card, ModelCard))
    return LoadedEnsemble(model.card, tuple(members), chosen)


def _loaded(card: ModelCard, folder: Path, device: str) -> LoadedModel:
    network = _built(card)
    try:
        weights = load_file(folder / card.weights.file)
        network.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in weights.items()})
    except (SafetensorError, OSError) as error:
        raise ModelError(f"The weights of {card.name} cannot be read: {error}.", "Install the model again.") from error
    except RuntimeError as error:
        raise ModelError(
            f"The weights of {card.name} do not fit its network: {str(error).splitlines()[-1].strip()}",
            "Install the model again, or correct network and arguments in model.json.",
        ) from error
    if card.clicks is not None and not getattr(network, "takes_clicks", False):
        raise ModelError(
            f"The network {card.network} of {card.name} takes no clicks, though its card says how to show them.",
            "Take clicks out of model.json, or install the model again.",
        )
    network.requires_grad_(False).eval().to(device)
    return LoadedModel(card, network, device)


def _built(card: ModelCard) -> nn.Module:
    try:
        return build(card.network, **card.arguments)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"The network {card.network} cannot be built from the model card: {error}.",
            "Correct the arguments in model.json, or install the model again.",
        ) from error
