"""Prints the agreement tables of docs/metrics.md: this library against MONAI, surface-distance, MedPy, the SimpleITK
recipe and plastimatch, by the definition of each.

python Testing/benchmarks/metric_agreement.py [DATA] [--all]      DATA: the folder with sts/, else PETCTFUSION_DATA
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from masks import Pair, edge_cases, patients, synthetic
from peers import PEERS, Ours, Peer, Values, answered, version

EQUAL = 1e-6
Answers = dict[str, dict[str, Values | str]]
"""By pair, then by peer."""


def row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def header(*cells: str) -> str:
    return row(*cells) + "\n|" + "---|" * len(cells)


def number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else str(value)


def differences(peer: Peer, quantity: str, pairs: Sequence[Ours], answers: Answers) -> list[tuple[float, str]]:
    """How far our value by the peer's definition is off the peer's, with the pair's name, largest first."""
    found = []
    for ours in pairs:
        theirs = answers[ours.pair.name][peer.name]
        if not isinstance(theirs, str):
            found.append((abs(theirs[quantity] - peer.quantities[quantity].value(ours)), ours.pair.name))
    return sorted(found, reverse=True)


def print_summary(peers: Sequence[Peer], pairs: Sequence[Ours], answers: Answers) -> None:
    print(f"\nLargest difference over {len(pairs)} pairs, ours by the peer's definition:\n")
    print(header("library", "its number", "ours", f"largest difference (pairs equal to {EQUAL:.0e})", "its precision"))
    for peer in peers:
        for name, quantity in peer.quantities.items():
            off = differences(peer, name, pairs, answers)
            equal = sum(value <= EQUAL for value, _ in off)
            print(
                row(
                    f"{peer.name} {version(peer)}",
                    name,
                    f"`{quantity.ours}`" if quantity.is_public else quantity.ours,
                    f"{off[0][0]:.0e} ({equal} of {len(off)})" if off else "no answer",
                    quantity.precision,
                )
            )


def print_values(peers: Sequence[Peer], pairs: Sequence[Ours], answers: Answers) -> None:
    """The same pairs under the same name, HD95: what one would read in a paper."""
    names = {
        "MONAI": "HD95",
        "surface-distance": "HD95",
        "MedPy": "hd95",
        "SimpleITK recipe": "HD95, larger",
        "plastimatch": "Percent 0.95 (boundary)",
    }
    shown = [peer for peer in peers if peer.name in names]
    print("\nWhat each calls HD95, mm:\n")
    print(header("pair", "Dice", "ours", "ours, surfels", "ours, pooled", *(peer.name for peer in shown)))
    for ours in pairs:
        theirs = [answers[ours.pair.name][peer.name] for peer in shown]
        found = ours.found
        values = [found.hd95_mm, found.surfel.hausdorff_mm(95), found.voxel.pooled_mm(95)]
        cells = [f"{value:.3f}" for value in values]
        cells += [
            v.split(":")[0] if isinstance(v, str) else f"{v[names[p.name]]:.3f}"
            for p, v in zip(shown, theirs, strict=True)
        ]
        print(row(ours.pair.name, f"{found.dice:.4f}", *cells))


def own_values(ours: Ours) -> str:
    found = ours.found
    named = (
        ("Dice", found.dice),
        ("HD95", found.hd95_mm),
        ("NSD", found.surfel.nsd(2.0)),
        ("ASSD", found.assd_mm),
    )
    return ", ".join(f"{name} {number(value)}" for name, value in named)


def print_edge_cases(peers: Sequence[Peer]) -> None:
    print("\nWhat each answers where there is little or nothing to measure:\n")
    print(header("case", "ours", *(peer.name for peer in peers)))
    for pair in edge_cases():
        cells = []
        for peer in peers:
            theirs = answered(peer, pair)
            if isinstance(theirs, str):
                cells.append(f"raises {theirs.split(':')[0]}")
            else:
                cells.append(", ".join(f"{name} {number(theirs[name])}" for name in peer.edge_names))
        print(row(pair.name, own_values(Ours.of(pair)), *cells))


def print_all(peers: Sequence[Peer], pairs: Sequence[Ours], answers: Answers) -> None:
    print("\nEvery value:\n")
    print(header("pair", "library", "its number", "its value", "ours by its definition", "difference"))
    for ours in pairs:
        for peer in peers:
            theirs = answers[ours.pair.name][peer.name]
            if isinstance(theirs, str):
                print(row(ours.pair.name, peer.name, "", theirs, "", ""))
                continue
            for name, quantity in peer.quantities.items():
                own = quantity.value(ours)
                cells = (f"{theirs[name]:.9f}", f"{own:.9f}", f"{abs(theirs[name] - own):.0e}")
                print(row(ours.pair.name, peer.name, name, *cells))


def main() -> None:
    default = os.environ.get("PETCTFUSION_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", nargs="?", type=Path, default=Path(default))
    parser.add_argument("--all", action="store_true", help="print every value as well")
    arguments = parser.parse_args()
    for peer in PEERS:
        if peer.missing():
            print(f"Left out: {peer.missing()}", file=sys.stderr)
    peers = [peer for peer in PEERS if not peer.missing()]
    masks: list[Pair] = [*synthetic(), *patients(arguments.data / "sts")]
    pairs, answers = [], {}
    for pair in masks:
        print(f"... {pair.name}", file=sys.stderr, flush=True)
        pairs.append(Ours.of(pair))
        answers[pair.name] = {peer.name: answered(peer, pair) for peer in peers}
    print_summary(peers, pairs, answers)
    print_values(peers, pairs, answers)
    print_edge_cases(peers)
    if arguments.all:
        print_all(peers, pairs, answers)


if __name__ == "__main__":
    main()
