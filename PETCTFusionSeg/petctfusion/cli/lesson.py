"""`petctfusion lesson check`: what is in an instructor's file, or what is wrong with it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from petctfusion.cli.command import Command
from petctfusion.cli.exits import OK


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion lesson`."""
    parser.add_argument("what", choices=("check",), metavar="check", help="look whether a lesson can be taught")
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="instructor's JSON (default: the package's)")
    parser.add_argument(
        "--images", action="store_true", help="also make or read the images of every case (seconds a case)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of text")


def run(args: argparse.Namespace) -> int:
    """Prints the cases; a wrong file is one sentence on stderr."""
    # Here, so that `petctfusion --help` does not wait for SimpleITK.
    from petctfusion.models import default_model, find_model
    from petctfusion.teaching import prepare_case, read_lesson
    from petctfusion.volumes.geometry import Geometry

    lesson = read_lesson(args.file)
    rows = []
    for number, case in enumerate(lesson.cases, start=1):
        model = find_model(case.model) if case.model else default_model()
        row: dict[str, object] = {"case": number, "title": case.title, "hints": len(case.hints)}
        row["model"] = model.reference
        if args.images:
            grid = Geometry.of(prepare_case(case).ct)
            row["voxels"] = list(grid.size)
        rows.append(row)
    if args.json:
        print(json.dumps({"title": lesson.title, "cases": rows}))
        return OK
    print(lesson.title)
    for row in rows:
        print("  {case}. {title} ({hints} hints, network {model})".format(**row))
    return OK


command = Command("lesson", "Check an instructor's file for teaching.", configure, run)
