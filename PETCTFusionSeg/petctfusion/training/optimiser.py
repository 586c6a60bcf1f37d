"""The network of a recipe, and the optimiser with its groups of parameters."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from petctfusion.errors import BadInputError
from petctfusion.networks import build
from petctfusion.networks.entries import ENTRIES
from petctfusion.networks.registry import network_entry
from petctfusion.networks.weight_decay import decays
from petctfusion.training.pretraining.network import pretraining_network
from petctfusion.training.recipe import Recipe
from petctfusion.training.settings import did_you_mean


def network_arguments(recipe: Recipe) -> dict[str, Any]:
    """The recipe's [arguments] with its modalities. Raises `BadInputError` for unknown ones, saying what was meant."""
    if recipe.network not in (ids := [entry.id for entry in ENTRIES]):
        raise BadInputError(f"There is no network named {recipe.network!r}.", did_you_mean(recipe.network, ids))
    known = inspect.signature(network_entry(recipe.network).builder()).parameters
    if recipe.clicks is not None and "clicks" not in known:
        raise BadInputError(f"{recipe.network} takes no clicks.", "Take [clicks] out of the recipe.")
    if recipe.arguments.get("clicks", recipe.clicks is not None) is not (recipe.clicks is not None):
        raise BadInputError("clicks in [arguments] goes with a table [clicks].", "Leave clicks out of [arguments].")
    unknown = sorted(set(recipe.arguments) - set(known))
    if unknown:
        raise BadInputError(f"{recipe.network} takes no argument {unknown[0]!r}.", did_you_mean(unknown[0], known))
    stated = tuple(recipe.arguments.get("modalities", recipe.modalities))
    if stated != recipe.modalities:
        raise BadInputError(
            f"[arguments] names the modalities {', '.join(stated)}, [clip] {', '.join(recipe.modalities)}.",
            "Name the same ones in the same order, or leave them out of [arguments].",
        )
    guided = {} if recipe.clicks is None else {"clicks": True}
    return {**recipe.arguments, **guided, "modalities": list(recipe.modalities)}


def network_of(recipe: Recipe) -> nn.Module:
    """The network with random weights. Raises `BadInputError` when it cannot be built or does not take `patch`."""
    try:
        if recipe.pretraining is not None:
            network = pretraining_network(recipe)
        else:
            network = build(recipe.network, **network_arguments(recipe))
    except (TypeError, ValueError) as error:
        tables = "[arguments]" if recipe.pretraining is None else "[arguments] or [pretraining]"
        raise BadInputError(
            f"The network {recipe.network} cannot be built as the recipe says: {error}.", f"Correct {tables}."
        ) from error
    stated: Any = getattr(network, "divisor", 1)
    each = (stated,) * 3 if isinstance(stated, int) else tuple(stated)
    if recipe.patch[0] == 1:
        each = (1, *each[-2:])
    if any(size < 1 or size % step for size, step in zip(recipe.patch, each, strict=True)):
        size, steps = (" x ".join(str(n) for n in triple) for triple in (recipe.patch, each))
        raise BadInputError(
            f"Patches of {size} voxels do not suit {recipe.network}: it takes multiples of {steps} (z, y, x).",
            "Correct patch in the recipe.",
        )
    return network


def channels_last(network: nn.Module) -> nn.Module:
    """`network` with its convolutions channels-last; a 2.5-D network has some of either rank."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in network.parameters():
        if parameter.ndim in formats:
            # Not contiguous(): it leaves the strides of 1 x 1 x 1 kernels, and with them other sums are chosen.
            parameter.data = parameter.data.to(memory_format=formats[parameter.ndim])
    return network


def adam(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """AdamW; zero layers (physical units) and what `decays` excepts without decay, zero layers at a lower rate.

    What was carried over from a trained model learns at its own rate.
    """
    physical = set(getattr(network, "physical_parameters", list)())
    slow = set(getattr(network, "transferred_parameters", list)()) if recipe.initial else set()
    others = [(name, p) for name, p in network.named_parameters() if p not in physical | slow]
    carried = [(name, p) for name, p in network.named_parameters() if p in slow]
    slow_rate = recipe.learning_rate * recipe.initial_rate_factor
    groups = (
        ([p for name, p in others if decays(name, p)], recipe.learning_rate, recipe.weight_decay),
        ([p for name, p in others if not decays(name, p)], recipe.learning_rate, 0.0),
        ([p for name, p in carried if decays(name, p)], slow_rate, recipe.weight_decay),
        ([p for name, p in carried if not decays(name, p)], slow_rate, 0.0),
        (list(physical & set(network.parameters())), recipe.learning_rate * recipe.physical_rate_factor, 0.0),
    )
    ordered = {id(p): i for i, p in enumerate(network.parameters())}
    return torch.optim.AdamW(
        [
            {"params": sorted(ps, key=lambda p: ordered[id(p)]), "lr": rate, "base_rate": rate, "weight_decay": decay}
            for ps, rate, decay in groups
            if ps
        ],
        lr=recipe.learning_rate,
    )
