"""`petctfusion benchmark whole-body`: models beside two rules on a cohort of phantoms (no torch at import)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from petctfusion.errors import BadInputError

if TYPE_CHECKING:
    from petctfusion.training.benchmark.whole_body import BodyRow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion benchmark whole-body`."""
    parser.add_argument("--cohort", type=Path, required=True, help="folder made by petctfusion phantom --cohort")
    parser.add_argument("--split", choices=["train", "tune", "test"], default="test")
    parser.add_argument("--model", action="append", required=True, help="name or folder; may be repeated")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda:N")
    parser.add_argument("--output", type=Path, help="also write rows, means, command and commit as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure and print; every body's row."""
    from petctfusion.inference import SegmentOptions, load_model
    from petctfusion.models import find_model
    from petctfusion.training.benchmark.files import write_json
    from petctfusion.training.benchmark.whole_body import load_bodies, measure_bodies
    from petctfusion.training.benchmark.whole_body_tables import (
        bodies_document,
        body_table,
        organ_table,
        summarise_bodies,
        summary_table,
    )
    from petctfusion.training.provenance import current_commit

    installed = [find_model(name) for name in args.model]
    models = {f"{m.name} {m.version}": load_model(m.folder, args.device) for m in installed}
    if len(models) < len(installed):
        raise BadInputError("The same model is given twice.", "Name each model once.")
    rows = measure_bodies(load_bodies(args.cohort, args.split), models, SegmentOptions(device=args.device), _tell)
    summaries = summarise_bodies(rows)
    print(f"Simulated whole bodies, {args.split} maps, CT grid. Nothing here was measured on a patient.\n")  # noqa: T201
    print(f"{summary_table(summaries)}\n\n{organ_table(summaries)}")  # noqa: T201
    for name in models:
        print(f"\n{name}\n\n{body_table(rows, name)}")  # noqa: T201
    if args.output is not None:
        provenance = {
            "command": f"petctfusion benchmark whole-body --split {args.split}",
            "commit": current_commit(),
            "weights_sha256": {f"{m.name} {m.version}": m.card.sha256 for m in installed},
        }
        write_json(bodies_document(rows, provenance), args.output)
    return 0


def _tell(row: BodyRow) -> None:
    """One line on stderr."""
    sys.stderr.write(
        f"{row.patient} {row.method}: Dice {row.dice:.3f}, {row.tp} found, {row.fn} missed, {row.fp} false, "
        f"FPV {row.fpv_ml:.1f} ml\n"
    )
