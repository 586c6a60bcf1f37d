"""`petctfusion benchmark`: the options live with the table's maker."""

from __future__ import annotations

import argparse

from petctfusion.cli.command import Command


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion benchmark`."""
    from petctfusion.training.benchmark.command import add_arguments

    add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measures; raises `FusionError`."""
    from petctfusion.training.benchmark.command import run as measure

    return measure(args)


command = Command("benchmark", "Measure models and networks on real patients, beside clinical rules.", configure, run)
