"""`petctfusion benchmark`: which benchmark (no torch at import)."""

from __future__ import annotations

import argparse

from petctfusion.training.benchmark import (
    ablations_command,
    classification_command,
    clicks_command,
    igtv_command,
    networks_command,
    reliability_command,
    sts_command,
    whole_body_command,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion benchmark`."""
    kinds = parser.add_subparsers(
        dest="benchmark",
        required=True,
        metavar="sts|networks|ablations|whole-body|reliability|clicks|igtv|classification",
    )
    text = "models beside clinical rules and a blind ellipsoid, on the sarcoma patients"
    sts_command.add_arguments(kinds.add_parser("sts", help=text, description=text))
    text = "train every network under one budget, measure all of them on the same patients, table and page of all runs"
    networks_command.add_arguments(kinds.add_parser("networks", help=text, description=text))
    text = "one idea switched on or off at a time: rows trained from recipes that differ in it, and their differences"
    ablations_command.add_arguments(kinds.add_parser("ablations", help=text, description=text))
    text = "models beside two SUV rules on simulated whole bodies: lesions, and whose uptake is wrongly marked"
    whole_body_command.add_arguments(kinds.add_parser("whole-body", help=text, description=text))
    text = "what the models' probabilities are worth: calibration, and whether errors lie where they are unsure"
    reliability_command.add_arguments(kinds.add_parser("reliability", help=text, description=text))
    text = "what clicks are worth: Dice and HD95 after so many of them, by constraints and by a network that is guided"
    clicks_command.add_arguments(kinds.add_parser("clicks", help=text, description=text))
    text = "from GTV to IGTV on breathing phantoms: from scratch or transferred, with and without slice interaction"
    igtv_command.add_arguments(kinds.add_parser("igtv", help=text, description=text))
    text = "contour and class together, on simulated lesions that only their texture tells apart"
    classification_command.add_arguments(kinds.add_parser("classification", help=text, description=text))


def run(args: argparse.Namespace) -> int:
    """Runs it; raises `FusionError`."""
    commands = {
        "sts": sts_command,
        "networks": networks_command,
        "ablations": ablations_command,
        "whole-body": whole_body_command,
        "reliability": reliability_command,
        "clicks": clicks_command,
        "igtv": igtv_command,
        "classification": classification_command,
    }
    code: int = commands[args.benchmark].run(args)
    return code
