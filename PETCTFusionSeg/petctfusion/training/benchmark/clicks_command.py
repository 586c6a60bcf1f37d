"""`petctfusion benchmark clicks`: what clicks are worth (no torch at import)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from petctfusion.errors import BadInputError

if TYPE_CHECKING:
    from petctfusion.training.benchmark.clicks_run import ClickRow

COUNTS = (0, 1, 3, 5, 10)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion benchmark clicks`."""
    parser.add_argument("--data", type=Path, required=True, help="folder with split.json, margins.json and STS_nnn/")
    parser.add_argument("--split", choices=["tune", "validation"], default="validation")
    parser.add_argument("--model", required=True, help="name or folder of a model that takes clicks")
    parser.add_argument("--beside", help="name or folder of the model whose probability clicks constrain (the default)")
    parser.add_argument("--clicks", type=int, nargs="+", default=list(COUNTS), metavar="N", help="0 1 3 5 10")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda:N")
    parser.add_argument("--output", type=Path, help="also write everything as JSON, and the curves beside it as SVG")


def run(args: argparse.Namespace) -> int:
    """Measures and prints, both ways: constraints on one model's probability, and the answers of the guided network."""
    counts = sorted(set(args.clicks))
    if counts[0] < 0:
        raise BadInputError("A number of clicks is below 0.", "Give numbers from 0 on, such as --clicks 0 1 3.")
    from petctfusion.inference import LoadedModel, load_model
    from petctfusion.models import default_model, find_model
    from petctfusion.training.benchmark.clicks_run import Way, measure_clicks, summarise_clicks
    from petctfusion.training.benchmark.clicks_tables import clicks_figure, clicks_table
    from petctfusion.training.benchmark.files import write_json, write_text
    from petctfusion.training.benchmark.study import load_studies
    from petctfusion.training.datasets.sts import sts_patients
    from petctfusion.training.provenance import current_commit

    patients = sts_patients(args.data, args.split)
    guided = load_model(find_model(args.model).folder, args.device)
    if not isinstance(guided, LoadedModel) or guided.card.clicks is None:
        raise BadInputError(
            f"The model {guided.card.name} takes no clicks.",
            "Train one with a recipe that has a table [clicks], such as sts_anatomy_guided_clicks.",
        )
    beside = load_model((find_model(args.beside) if args.beside else default_model()).folder, args.device)
    ways = [Way(beside, False), Way(guided, True)]
    rows = []
    for study in load_studies(patients):
        for way in ways:
            rows += measure_clicks(study, way, counts, _tell)
    lines = summarise_clicks(rows)
    print(f"{args.split}: {len(patients)} patients, CT grid, each click in the middle of the largest error\n")  # noqa: T201
    print(clicks_table(lines))  # noqa: T201
    if args.output is not None:
        document = {
            "command": f"petctfusion benchmark clicks --split {args.split}",
            "commit": current_commit(),
            "weights_sha256": {f"{m.card.name} {m.card.version}": m.card.sha256 for m in (beside, guided)},
            "summary": lines,
            "rows": [row.to_json() for row in rows],
        }
        write_json(document, args.output)
        write_text(clicks_figure(lines), args.output.with_suffix(".svg"))
    return 0


def _tell(row: ClickRow) -> None:
    sys.stderr.write(
        f"{row.patient} {row.crop} {row.way}: {row.clicks} clicks, Dice {row.dice:.3f} HD95 {row.hd95_mm:.1f} mm\n"
    )
