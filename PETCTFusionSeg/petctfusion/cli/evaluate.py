"""`petctfusion evaluate`: a contour, or a cohort of them, against the reference."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from petctfusion.cli.command import Command

_LABEL = "a value, or the name of a segment (.seg.nrrd); default: every voxel that is not zero"


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion evaluate`."""
    parser.add_argument(
        "prediction",
        type=Path,
        metavar="PRED",
        help="mask to judge (NIfTI, NRRD, MHA, .seg.nrrd, RTSTRUCT), a folder of them, or a quoted pattern whose star "
        "is the patient: 'pred/*/mask.nii.gz'",
    )
    parser.add_argument("reference", type=Path, metavar="REF", help="what to judge by; its grid is used")
    parser.add_argument(
        "--pet", type=Path, metavar="PET", help="PET in SUV (file, DICOM folder, or as PRED): adds uptake"
    )
    parser.add_argument("--pet-units", choices=("auto", "suvbw", "bqml"), default="auto", help="as in segment")
    parser.add_argument("--label", metavar="L", help=_LABEL)
    parser.add_argument("--reference-label", metavar="L", help="the same for REF, where it differs")
    parser.add_argument("--roi", metavar="NAME", help="region of an RTSTRUCT (default: --label, or its only one)")
    parser.add_argument("--threshold", type=_share, metavar="P", help="from where on probabilities count, such as 0.5")
    parser.add_argument("--tolerance-mm", type=_distance, metavar="T", help="of the NSD (default: 2 mm or one voxel)")
    parser.add_argument("--connectivity", type=int, choices=(6, 18, 26), default=18, help="of lesions (default: 18)")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="F",
        help="report: a .html, .csv or .json file, or a folder for all three",
    )
    parser.add_argument("--jobs", type=_jobs, metavar="N", help="patients at a time (default: one per processor core)")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of text")


def run(args: argparse.Namespace) -> int:
    """Prints the comparison; a cohort with failed patients ends with exit code 8."""
    # Here, so that `petctfusion --help` does not wait for SimpleITK.
    from petctfusion.cli.evaluate_run import evaluate

    return evaluate(args)


def _distance(text: str) -> float:
    value = _number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no distance; give millimetres, 0 or more")
    return value


def _share(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no probability; give a number above 0, up to 1")
    return value


def _jobs(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of patients; give 1 or more")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return value


command = Command("evaluate", "Compare contours with a reference: one pair, or a cohort with a report.", configure, run)
