"""`petctfusion phantom`: a simulated patient with known truth, or a cohort of them."""

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
    cohort = parser.add_argument_group(
        "cohort", "whole bodies around real organ maps, split by person, as `petctfusion train --kind csv` reads them"
    )
    cohort.add_argument("--cohort", type=int, metavar="N", help="make N phantoms; a second start makes what is missing")
    cohort.add_argument(
        "--breathing",
        choices=("gtv", "igtv"),
        help="lung tumours instead: gtv at rest, igtv as they move (average CT, blurred PET, union of the phases)",
    )
    cohort.add_argument(
        "--textures",
        action="store_true",
        help="single lesions instead, of two kinds that only their texture tells apart",
    )
    cohort.add_argument("--chest", type=Path, metavar="FILE", help="with --breathing: a real chest CT that breathes")
    cohort.add_argument("--lungs", type=Path, metavar="FILE", help="mask of the lungs of --chest")
    cohort.add_argument("--maps", type=Path, metavar="DIR", help="folder of organ label maps, one a person")
    cohort.add_argument(
        "--negatives", type=float, default=0.25, metavar="SHARE", help="share without lesions (default: 0.25)"
    )
    cohort.add_argument("--jobs", type=int, default=1, metavar="N", help="phantoms made at a time (default: 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of text")


def run(args: argparse.Namespace) -> int:
    """Writes the phantom and prints where, with --measure also its image quality; or makes a cohort."""
    # Here, so that `petctfusion --help` does not wait for SimpleITK.
    if args.cohort is not None:
        from petctfusion.cli.phantom_cohort import make_all

        return make_all(args)
    from petctfusion.cli.phantom_run import make

    files, quality = make(args)
    if args.json:
        print(json.dumps({"files": files, "quality": quality}))
    else:
        print("\n".join([*(f"{name:<12}  {path}" for name, path in files.items()), *quality]))
    return OK


command = Command("phantom", "Make a simulated PET/CT with known truth.", configure, run)
