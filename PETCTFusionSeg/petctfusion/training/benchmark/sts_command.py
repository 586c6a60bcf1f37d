"""`petctfusion benchmark sts`: models beside rules on the sarcoma patients (no torch at import)."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from petctfusion.errors import BadInputError
from petctfusion.training.benchmark.row import Row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion benchmark sts`."""
    parser.add_argument("--data", type=Path, required=True, help="folder with split.json, margins.json and STS_nnn/")
    parser.add_argument("--split", choices=["train", "tune", "validation"], default="validation")
    parser.add_argument("--having-mr", action="store_true", help="only the patients who have an MR too")
    parser.add_argument("--model", action="append", help="name or folder; may be repeated (default: the shipped model)")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda:N")
    parser.add_argument("--output", type=Path, help="also write rows, means, command and commit as JSON")
    parser.add_argument("--into-card", action="store_true", help="also write the means into the measured models' cards")


def run(args: argparse.Namespace) -> int:
    """Measure and print; every patient's row, both crops."""
    from petctfusion.inference import SegmentOptions, load_model
    from petctfusion.models import default_model, find_model, write_card
    from petctfusion.training.benchmark.cohort import measure_cohort
    from petctfusion.training.benchmark.summary import card_rows, patient_table, summarise, summary_table, write_rows
    from petctfusion.training.datasets.sts import sts_patients
    from petctfusion.training.provenance import current_commit

    patients = sts_patients(args.data, args.split)
    if args.having_mr:
        patients = [patient for patient in patients if patient.file("MR").is_file()]
        if not patients:
            raise BadInputError(f"None of the part {args.split} has an MR.", "Leave out --having-mr.")
    installed = [find_model(name) for name in args.model] if args.model else [default_model()]
    models = {f"{m.name} {m.version}": load_model(m.folder, args.device) for m in installed}
    if len(models) < len(installed):
        raise BadInputError("The same model is given twice.", "Name each model once.")
    rows = measure_cohort(patients, models, SegmentOptions(device=args.device), tell_row)
    print(f"{args.split}: {len(patients)} patients, CT grid, reference CT_GTV\n")  # noqa: T201
    print(summary_table(summarise(rows)))  # noqa: T201
    for name in models:
        print(f"\n{name}\n\n{patient_table(rows, name)}")  # noqa: T201
    if args.output is not None:
        provenance = {
            "command": f"petctfusion benchmark sts --split {args.split}" + " --having-mr" * args.having_mr,
            "commit": current_commit(),
            "weights_sha256": {f"{m.name} {m.version}": m.card.sha256 for m in installed},
        }
        write_rows(rows, args.output, provenance)
    if args.into_card:
        for (name, _), model in zip(models.items(), installed, strict=True):
            write_card(replace(model.card, metrics=card_rows(rows, name, f"sts {args.split}")), model.folder)
    return 0


def tell_row(row: Row) -> None:
    """One line on stderr."""
    sys.stderr.write(f"{row.patient} {row.crop} {row.method}: Dice {row.dice:.3f} HD95 {row.hd95_mm:.1f} mm\n")
