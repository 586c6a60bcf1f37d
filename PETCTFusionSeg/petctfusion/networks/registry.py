"""The one door to all networks: `build(id, **arguments)`."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from petctfusion.errors import BadInputError, ModelError
from petctfusion.networks.entries import ENTRIES, FOREIGN, NetworkEntry

if TYPE_CHECKING:
    from torch import nn


def network_entries() -> tuple[NetworkEntry, ...]:
    """All networks to choose from; `build` also knows those of foreign models."""
    return ENTRIES


def network_entry(network_id: str) -> NetworkEntry:
    """The entry of an id. Raises `ModelError` for an unknown one."""
    for entry in (*ENTRIES, *FOREIGN):
        if entry.id == network_id:
            return entry
    known = ", ".join(entry.id for entry in ENTRIES)
    raise ModelError(f"There is no network named {network_id!r}.", f"Known networks: {known}.")


def build(network_id: str, **arguments: Any) -> nn.Module:
    """Build a network by id; its channels are then in its attribute `modalities`.

    Raises `ModelError` for an unknown id, an argument that the network does not take or a package that is missing,
    `ValueError` for an argument's nonsensical value.
    """
    builder = network_entry(network_id).builder()
    signature = inspect.signature(builder)
    unknown = sorted(set(arguments) - set(signature.parameters))
    if unknown:
        raise ModelError(
            f"The network {network_id} takes no argument named {', '.join(unknown)}.",
            "Correct the model card or the recipe.",
        )
    network = builder(**arguments)
    bound = signature.bind(**arguments)
    bound.apply_defaults()
    network.modalities = tuple(bound.arguments["modalities"])  # type: ignore[assignment]
    return network


def require_modalities(network: nn.Module, present: Collection[str]) -> None:
    """Refuses a study that lacks a modality the network cannot do without.

    `network` comes from `build`. The channel of an absent modality that the network lists in `optional_modalities` is
    filled with `blocks.intensity.absent_value`. Raises `BadInputError` that names what is missing.
    """
    modalities = tuple(str(name) for name in network.modalities)  # type: ignore[union-attr]
    optional: Collection[str] = getattr(network, "optional_modalities", ())
    missing = [name for name in modalities if name not in present]
    needed = [name for name in missing if name not in optional]
    if needed or len(missing) == len(modalities):
        raise BadInputError(
            f"This network needs {' and '.join(modalities)}, and {' and '.join(needed or missing)} is missing.",
            "Load the missing volume, or choose a model that runs without it.",
        )
