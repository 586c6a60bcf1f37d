"""`petctfusion train`: the options live with the trainer."""

from __future__ import annotations

import argparse

from petctfusion.cli.command import Command


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion train`."""
    from petctfusion.training.command import add_arguments

    add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Trains; raises `FusionError`."""
    from petctfusion.training.command import run as train

    return train(args)


command = Command("train", "Train a model from a recipe; a stopped run is continued.", configure, run)
