"""`petctfusion models ensemble`: several installed models become one whose probability is their weighted mean."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from petctfusion.cli.exits import OK
from petctfusion.errors import BadInputError

if TYPE_CHECKING:
    from petctfusion.models.ensemble import Adjust


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion models ensemble`."""
    parser.add_argument("name", help="the ensemble's name")
    parser.add_argument(
        "members", nargs="+", metavar="member", help="two or more installed models: name or name@version"
    )
    parser.add_argument("--weights", nargs="+", type=float, metavar="W", help="one a member (default: all equal)")
    parser.add_argument("--threshold", type=float, help="default: the weighted mean of the members' thresholds")
    parser.add_argument("--title", help="one line that a list shows")
    parser.add_argument("--model-version", default="1.0.0", help="version in the model card")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="write it there instead of installing it")
    chosen = parser.add_argument_group(
        "threshold and smallest lesion chosen on tuning patients that no member has seen"
    )
    chosen.add_argument("--calibrate-on", type=Path, metavar="DATA", help="the data set's folder, or table")
    chosen.add_argument("--kind", default="sts", help="its layout, as for petctfusion train (default: sts)")
    chosen.add_argument("--device", default="cpu", help="auto, cpu (default) or cuda:N")


def run(args: argparse.Namespace) -> int:
    """Makes the ensemble and says where it is; raises `FusionError`."""
    from petctfusion.models.ensemble import EnsembleChoices, make_ensemble

    if args.threshold is not None and args.calibrate_on is not None:
        raise BadInputError("The threshold is given and to be chosen.", "Leave out --threshold or --calibrate-on.")
    weights = None if args.weights is None else tuple(args.weights)
    choices = EnsembleChoices(args.name, args.model_version, args.title, weights, args.threshold)
    model = make_ensemble(args.members, choices, args.output, _calibration(args))
    if args.json:
        print(json.dumps({"model": model.reference, "folder": str(model.folder), "card": model.card.to_json()}))
        return OK
    verb = "installed" if args.output is None else "written"
    print(f"{model.reference}, an {model.card.network} models, is {verb} in {model.folder}.")
    print(f"Threshold {model.card.threshold:g}. Licence: {model.card.licence}.")
    return OK


def _calibration(args: argparse.Namespace) -> Adjust | None:
    """What chooses the settings, if that is asked for."""
    if args.calibrate_on is None:
        return None

    def adjust(folder: Path) -> None:
        from petctfusion.training.ensemble import calibrate_ensemble
        from petctfusion.training.material import TrainingData

        data = TrainingData(args.kind, args.calibrate_on)
        calibrate_ensemble(folder, data, args.device, lambda line: print(line, file=sys.stderr))

    return adjust
