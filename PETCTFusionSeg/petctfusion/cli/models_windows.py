"""`petctfusion models windows`: where training moved the windows of a model's zero layers."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from petctfusion.cli.exits import OK
from petctfusion.volumes.writing import output_error

if TYPE_CHECKING:
    from petctfusion.networks.window_shift import WindowShift


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion models windows`."""
    parser.add_argument("model", help="name, name@version or folder")
    parser.add_argument("--figure", type=Path, metavar="FILE.svg", help="also draw them")


def run(args: argparse.Namespace) -> int:
    """Prints the windows before and after training. Raises `ModelError` where nothing was learned, `OutputError`."""
    from petctfusion.cli.window_figure import window_figure
    from petctfusion.errors import ModelError
    from petctfusion.inference import load_model
    from petctfusion.models import find_model
    from petctfusion.networks.window_shift import window_shifts

    installed = find_model(args.model)
    parts = load_model(installed.folder, "cpu").parts
    if len(parts) > 1:
        raise ModelError(f"{installed.reference} is an ensemble.", "Choose one of its members.")
    model = parts[0][0]
    shifts = window_shifts(model.network, model.card.modalities)
    print(json.dumps([asdict(shift) for shift in shifts]) if args.json else _table(shifts))
    if args.figure is not None:
        try:
            args.figure.write_text(window_figure(shifts, installed.reference) + "\n", encoding="utf-8")
        except OSError as error:
            raise output_error(args.figure, error) from error
    return OK


def _table(shifts: list[WindowShift]) -> str:
    lines = [
        "| modality | level before | learned | width before | learned | unit |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for shift in shifts:
        cells = (f"{v:.4g}" for pair in zip(shift.start, shift.learned, strict=True) for v in pair)
        lines.append(f"| {shift.modality} | {' | '.join(cells)} | {shift.unit} |")
    return "\n".join(lines)
