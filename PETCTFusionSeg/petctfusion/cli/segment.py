"""`petctfusion segment`: CT and PET in, tumour label map and numbers out."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from petctfusion.cli.command import Command
from petctfusion.cli.exits import OK


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion segment`."""
    parser.add_argument("--ct", type=Path, required=True, metavar="F", help="CT: NIfTI, NRRD, MHA or DICOM folder")
    parser.add_argument("--pet", type=Path, required=True, metavar="F", help="PET: the same choices")
    parser.add_argument(
        "--reference", type=Path, metavar="F", help="contour to compare with (image, .seg.nrrd or RTSTRUCT)"
    )
    parser.add_argument(
        "--pet-units",
        choices=("auto", "suvbw", "bqml"),
        default="auto",
        help="auto (default): the file's tags decide, a file without tags counts as SUVbw and this is said; "
        "suvbw: the values are SUV by body weight whatever the tags say; bqml: insist on a conversion from DICOM tags",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--model", metavar="NAME", help="model name, name@version or folder (default: the shipped one)")
    parser.add_argument("--device", type=_device, default="auto", help="auto (default), cpu or cuda:N")
    parser.add_argument("--grid", choices=("ct", "pet"), default="ct", help="grid of the result (default: ct)")
    parser.add_argument("--probability", action="store_true", help="also write the probability map")
    parser.add_argument(
        "--maps",
        action="store_true",
        help="also write, as volumes, what the network attended to and how unsure it was",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of text")


def run(args: argparse.Namespace) -> int:
    """Prints the result; raises `FusionError` and then leaves no file."""
    # Here, so that `petctfusion --help` does not wait for SimpleITK.
    from petctfusion.cli.segment_run import segment

    result = segment(args)
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if args.json:
        print(json.dumps(result.to_json(), allow_nan=False))
    else:
        print("\n".join(result.lines()))
    return OK


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no device; choose auto, cpu or cuda:N")
    return text


command = Command("segment", "Outline the tumour on a PET/CT; with a reference also Dice and HD95.", configure, run)
