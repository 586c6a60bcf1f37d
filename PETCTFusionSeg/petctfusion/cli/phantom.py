"""`petctfusion phantom`: a simulated patient with known truth."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from petctfusion.cli.command import Command
from petctfusion.cli.exits import OK


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion phantom`."""
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for CT, PET and truth")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="equal seeds give equal voxels (default: 0)")
    parser.add_argument(
        "--view",
        choices=("whole-body", "thigh", "lesion"),
        default="whole-body",
        help="whole-body (default), thigh: a sarcoma in one thigh, lesion: the same cut close",
    )
    parser.add_argument("--anatomy", type=Path, metavar="FILE", help="organ label map instead of the drawn organs")
    parser.add_argument("--measure", action="store_true", help="measure resolution, liver and recovery on the result")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of text")


def run(args: argparse.Namespace) -> int:
    """Writes the phantom and prints where; with --measure also its image quality."""
    # Here, so that `petctfusion --help` does not wait for SimpleITK.
    from petctfusion.cli.phantom_run import make

    files, quality = make(args)
    if args.json:
        print(json.dumps({"files": files, "quality": quality}))
    else:
        print("\n".join([*(f"{name:<12}  {path}" for name, path in files.items()), *quality]))
    return OK


command = Command("phantom", "Make a simulated PET/CT with known truth.", configure, run)
