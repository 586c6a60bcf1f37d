"""`petctfusion evaluate`: Dice and HD95 of two masks."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from petctfusion.cli.command import Command
from petctfusion.cli.exits import OK


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion evaluate`."""
    parser.add_argument("prediction", type=Path, metavar="PRED", help="mask to judge: NIfTI, NRRD or MHA")
    parser.add_argument("reference", type=Path, metavar="REF", help="mask to judge by; its grid is used")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of text")


def run(args: argparse.Namespace) -> int:
    """Prints the comparison."""
    # Here, so that `petctfusion --help` does not wait for SimpleITK.
    from petctfusion.cli.segment_result import (
        DEFINITION,
        comparison_lines,
        comparison_values,
        comparison_warnings,
    )
    from petctfusion.metrics import compare
    from petctfusion.volumes import read_mask

    comparison = compare(read_mask(args.prediction), read_mask(args.reference))
    warnings = comparison_warnings(comparison)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if args.json:
        print(json.dumps({**comparison_values(comparison), "warnings": warnings}, allow_nan=False))
    else:
        print("\n".join([*comparison_lines(comparison), f"Prediction    {comparison.volume_ml:.1f} ml", DEFINITION]))
    return OK


command = Command("evaluate", "Compare two masks: Dice, HD95 and volumes.", configure, run)
