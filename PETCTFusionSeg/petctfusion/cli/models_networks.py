"""`petctfusion models networks`: every network that can be trained and built into a model."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from petctfusion.cli.exits import OK
from petctfusion.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

    from petctfusion.networks import NetworkEntry


def run(args: argparse.Namespace) -> int:
    """Prints the table; a network whose package is missing is listed without its size."""
    from petctfusion.networks import network_entries

    rows = [_row(entry) for entry in network_entries()]
    print(json.dumps(rows) if args.json else _table(rows))
    return OK


def _row(entry: NetworkEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "system": entry.system,
        "kind": entry.kind,
        "parameters": _parameters(entry.id),
        "modalities": list(entry.modalities),
        "spatial_dims": list(entry.spatial_dims),
        "paper": entry.paper,
    }


def _parameters(network_id: str) -> int | None:
    try:
        return sum(parameter.numel() for parameter in _built(network_id).parameters())
    except ModelError as error:
        print(f"warning: {error}", file=sys.stderr)
        return None


def _built(network_id: str) -> nn.Module:
    import torch

    from petctfusion.networks import build

    try:
        # Shapes without values: the largest network has 102 million to draw.
        with torch.device("meta"):
            return build(network_id)
    except RuntimeError:  # a constructor that reads a value, as Swin UNETR's does
        return build(network_id)


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'id':<18} {'kind':<9} {'parameters':>11}  {'dims':<5} {'modalities':<11} system"]
    for row in rows:
        size = "-" if row["parameters"] is None else f"{row['parameters']:,}"
        dims = ", ".join(f"{dims}" for dims in row["spatial_dims"])
        names = " + ".join(row["modalities"])
        lines.append(f"{row['id']:<18} {row['kind']:<9} {size:>11}  {dims:<5} {names:<11} {row['system']}")
    return "\n".join(lines)
