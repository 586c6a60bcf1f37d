"""`petctfusion benchmark reliability`: what the models' probabilities are worth (no torch at import)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion benchmark reliability`."""
    parser.add_argument("--data", type=Path, required=True, help="folder with split.json, margins.json and STS_nnn/")
    parser.add_argument("--model", action="append", help="name or folder; may be repeated (default: every shipped one)")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda:N")
    parser.add_argument("--output", type=Path, help="also write everything as JSON, and the diagrams beside it as SVG")


def run(args: argparse.Namespace) -> int:
    """Temperature on the tuning patients, everything else on the validation patients."""
    from petctfusion.inference import load_model
    from petctfusion.models import find_model, list_models
    from petctfusion.training.benchmark.files import write_json
    from petctfusion.training.benchmark.reliability_run import document, measure_reliability, tuning_counts
    from petctfusion.training.benchmark.reliability_tables import reliability_diagram, reliability_table, study_table
    from petctfusion.training.benchmark.study import load_studies
    from petctfusion.training.datasets.sts import sts_patients
    from petctfusion.training.provenance import current_commit

    shipped = [model for model in list_models() if model.shipped and model.name.startswith("sts-")]
    installed = [find_model(name) for name in args.model] if args.model else shipped
    parts = {split: sts_patients(args.data, split) for split in ("tune", "validation")}
    found = []
    for chosen in installed:
        name = f"{chosen.name} {chosen.version}"
        model = load_model(chosen.folder, args.device)

        def tell(text: str, name: str = name) -> None:
            sys.stderr.write(f"{name}: {text}\n")

        tuning = tuning_counts(load_studies(parts["tune"]), model, args.device)
        validation = measure_reliability(load_studies(parts["validation"]), model, args.device, tell)
        found.append(document(name, tuning, validation))
    print(f"{len(parts['validation'])} validation patients, both crops, CT grid\n")  # noqa: T201
    print(reliability_table(found))  # noqa: T201
    for result in found:
        print(f"\n{result['model']}\n\n{study_table(result)}")  # noqa: T201
    if args.output is not None:
        provenance = {"command": "petctfusion benchmark reliability", "commit": current_commit()}
        write_json({**provenance, "models": found}, args.output)
        for result in found:
            picture = args.output.with_name(f"{args.output.stem}-{result['model'].replace(' ', '-')}.svg")
            picture.write_text(reliability_diagram(result), encoding="utf-8")
    return 0
