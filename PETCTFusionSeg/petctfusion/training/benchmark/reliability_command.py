"""`petctfusion benchmark reliability`: what the models' probabilities are worth (no torch at import)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from petctfusion.errors import BadInputError

if TYPE_CHECKING:
    from petctfusion.training.benchmark.study import Study

    Studies = Callable[[], Iterable[Study]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion benchmark reliability`."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="folder with split.json, margins.json and STS_nnn/")
    source.add_argument("--cohort", type=Path, metavar="DIR", help="folder made by petctfusion phantom --cohort")
    parser.add_argument(
        "--model", action="append",
        help="name or folder; may be repeated (default: every shipped one of sarcomas; needed with --cohort)",
    )  # fmt: skip
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda:N")
    parser.add_argument("--output", type=Path, help="also write everything as JSON, and the diagrams beside it as SVG")


def run(args: argparse.Namespace) -> int:
    """Temperature on the tuning patients or phantoms, everything else on those of validation or test."""
    if args.cohort is not None and not args.model:
        raise BadInputError("With --cohort a model has to be named.", "Add --model NAME, such as phantom-igtv.")
    from petctfusion.inference import load_model
    from petctfusion.models import find_model, list_models
    from petctfusion.training.benchmark.files import write_json
    from petctfusion.training.benchmark.reliability_run import document, measure_reliability, tuning_counts
    from petctfusion.training.benchmark.reliability_tables import reliability_diagram, reliability_table, study_table
    from petctfusion.training.provenance import current_commit

    shipped = [model for model in list_models() if model.shipped and model.name.startswith("sts-")]
    installed = [find_model(name) for name in args.model] if args.model else shipped
    tuning, measured, heading = _studies(args)
    found = []
    for chosen in installed:
        name = f"{chosen.name} {chosen.version}"
        model = load_model(chosen.folder, args.device)

        def tell(text: str, name: str = name) -> None:
            sys.stderr.write(f"{name}: {text}\n")

        counts = tuning_counts(tuning(), model, args.device)
        found.append(document(name, counts, measure_reliability(measured(), model, args.device, tell)))
    print(f"{heading}\n")  # noqa: T201
    print(reliability_table(found))  # noqa: T201
    for result in found:
        print(f"\n{result['model']}\n\n{study_table(result)}")  # noqa: T201
    if args.output is not None:
        provenance = {
            "command": "petctfusion benchmark reliability",
            "commit": current_commit(),
            "simulated": args.cohort is not None,
        }
        write_json({**provenance, "models": found}, args.output)
        for result in found:
            picture = args.output.with_name(f"{args.output.stem}-{result['model'].replace(' ', '-')}.svg")
            picture.write_text(reliability_diagram(result), encoding="utf-8")
    return 0


def _studies(args: argparse.Namespace) -> tuple[Studies, Studies, str]:
    """What a temperature is fitted to, what is measured (each read anew whenever it is called), and a heading."""
    from petctfusion.training.benchmark.study import load_phantoms, load_studies, phantoms
    from petctfusion.training.datasets.sts import sts_patients

    if args.cohort is not None:
        number = len(phantoms(args.cohort, "test"))
        heading = f"Simulated test studies: {number}, CT grid. Nothing here was measured on a patient."
        return partial(load_phantoms, args.cohort, "tune"), partial(load_phantoms, args.cohort, "test"), heading
    tune, validation = (sts_patients(args.data, split) for split in ("tune", "validation"))
    heading = f"{len(validation)} validation patients, both crops, CT grid"
    return partial(load_studies, tune), partial(load_studies, validation), heading
