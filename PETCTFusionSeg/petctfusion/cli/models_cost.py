"""`petctfusion models cost`: parameters, multiply-accumulates, memory and seconds of one window on the CPU."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from petctfusion.cli.command import UsageError
from petctfusion.cli.exits import OK
from petctfusion.cli.progress import ProgressDisplay
from petctfusion.errors import FusionError

if TYPE_CHECKING:
    from petctfusion.networks.cost import NetworkCost

_COLUMNS = ("network", "window", "parameters (M)", "GMAC", "kMAC a voxel", "scan updates (G)", "peak (MB)", "seconds")


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion models cost`."""
    parser.add_argument(
        "--network", metavar="ID", action="extend", nargs="+", default=[], help="only these (default: all)"
    )
    parser.add_argument(
        "--window", type=int, default=96, help="length of each axis in voxels, brought to the nearest legal one (96)"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (2)")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")


def run(args: argparse.Namespace) -> int:
    """Measures each network in a process of its own. One that fails is told and left out, unless asked for by name."""
    if args.window < 1 or args.threads < 1:
        raise UsageError("--window and --threads must be at least 1.", "See petctfusion models cost --help.")
    from petctfusion.networks import network_entries, network_entry
    from petctfusion.networks.cost import measure_in_new_process

    ids = [network_entry(name).id for name in args.network] or [entry.id for entry in network_entries()]
    costs = []
    with ProgressDisplay() as display:
        for number, network_id in enumerate(ids, start=1):
            display.say(f"measuring {network_id} ({number} of {len(ids)})")
            try:
                costs.append(measure_in_new_process(network_id, args.window, args.threads))
            except FusionError as error:
                if args.network:
                    raise
                display.say(f"warning: {error}")
    print(_json(costs) if args.json else _markdown(costs) if args.markdown else _text(costs))
    return OK


def _json(costs: list[NetworkCost]) -> str:
    return json.dumps([{**asdict(cost), "macs_per_voxel": cost.macs_per_voxel} for cost in costs])


def _cells(cost: NetworkCost) -> tuple[str, ...]:
    return (
        cost.id,
        " x ".join(str(length) for length in cost.window),
        f"{cost.parameters / 1e6:.2f}",
        f"{cost.macs / 1e9:.1f}",
        f"{cost.macs_per_voxel / 1e3:.1f}",
        f"{cost.scan_updates / 1e9:.2f}" if cost.scan_updates else "-",
        "-" if cost.peak_memory_bytes is None else f"{cost.peak_memory_bytes / 1e6:.0f}",
        f"{cost.seconds:.2f}",
    )


def _text(costs: list[NetworkCost]) -> str:
    rows = [_COLUMNS, *(_cells(cost) for cost in costs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = []
    for row in rows:
        cells = zip(row, widths, range(len(_COLUMNS)), strict=True)
        lines.append("  ".join(cell.ljust(width) if i < 2 else cell.rjust(width) for cell, width, i in cells).rstrip())
    return "\n".join(lines)


def _markdown(costs: list[NetworkCost]) -> str:
    rows = [_COLUMNS, ("---", "---", *["---:"] * (len(_COLUMNS) - 2)), *(_cells(cost) for cost in costs)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
