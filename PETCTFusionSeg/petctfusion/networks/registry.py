"""The one door to all networks: `build(id, **arguments)`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from petctfusion.errors import ModelError
from petctfusion.networks.anatomy_guided import AnatomyGuidedFusion


@dataclass(frozen=True)
class NetworkEntry:
    """One selectable system: its id, the published system it follows, and how to build it."""

    id: str
    system: str
    build: Callable[..., nn.Module]


_ENTRIES = (
    NetworkEntry(
        "anatomy_guided",
        "Anatomy-guided modality fusion (Ahmad et al., Sci Rep 15:12153, 2025), re-implementation",
        AnatomyGuidedFusion,
    ),
)


def network_entries() -> tuple[NetworkEntry, ...]:
    """All systems that `build` knows."""
    return _ENTRIES


def build(network_id: str, **arguments: Any) -> nn.Module:
    """Build a network by id. Raises `ModelError` for an unknown id or an argument that the network does not take."""
    for entry in _ENTRIES:
        if entry.id == network_id:
            unknown = sorted(set(arguments) - set(inspect.signature(entry.build).parameters))
            if unknown:
                raise ModelError(
                    f"The network {network_id} takes no argument named {', '.join(unknown)}.",
                    "Correct the model card or the recipe.",
                )
            return entry.build(**arguments)
    known = ", ".join(entry.id for entry in _ENTRIES)
    raise ModelError(f"There is no network named {network_id!r}.", f"Known networks: {known}.")
