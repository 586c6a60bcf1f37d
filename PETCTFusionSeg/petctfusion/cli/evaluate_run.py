"""The run behind `petctfusion evaluate`: pairs, outcomes, a report on stdout and, if asked for, in files."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from petctfusion import __version__
from petctfusion.cli.command import UsageError
from petctfusion.cli.evaluate_text import cohort_lines, listed, pair_lines
from petctfusion.cli.exits import OK, PARTLY
from petctfusion.cli.failures import append_log
from petctfusion.cli.outputs import OutputFolder
from petctfusion.cli.progress import ProgressDisplay
from petctfusion.errors import BadInputError
from petctfusion.evaluation import (
    Evaluation,
    Failure,
    Pair,
    Report,
    Settings,
    cohort_pairs,
    csv_text,
    evaluate_cohort,
    evaluate_pair,
    html_page,
    is_cohort,
    single_pair,
)
from petctfusion.parallel import usable_cores
from petctfusion.volumes import MaskChoice
from petctfusion.volumes.reading import existing

_WRITERS: dict[str, Callable[[Report], str]] = {
    ".html": html_page,
    ".csv": csv_text,
    ".json": lambda report: json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n",
}


def evaluate(args: argparse.Namespace) -> int:
    """One pair or a cohort; prints, writes, and returns the exit code. Raises `FusionError`."""
    files = _files(args.output)
    with contextlib.ExitStack() as stack:
        # Before the work, so that a cohort does not end in "no permission".
        output = None if not files else stack.enter_context(OutputFolder(files[0].parent))
        report, one = _evaluated(args)
        _require_label(report)
        if output is not None:
            for path in files:
                output.write_text(path.name, _WRITERS[path.suffix.lower()](report))
            output.commit()
    _tell(report, one, files, args.json)
    return PARTLY if report.failures else OK


def _evaluated(args: argparse.Namespace) -> tuple[Report, Evaluation | None]:
    """The report, and the evaluation itself where there is only one pair."""
    settings = _settings(args)
    for path in (args.prediction, args.reference):
        if "*" not in str(path):
            existing(path)
    command = shlex.join(["petctfusion", "evaluate", *_arguments(args)])
    date = datetime.now().astimezone().isoformat(timespec="seconds")
    if not is_cohort(args.prediction, args.reference):
        found = evaluate_pair(single_pair(args.prediction, args.reference, args.pet), settings)
        return Report([found], settings, command, __version__, date), found
    pairs = cohort_pairs(args.prediction, args.reference, args.pet)
    outcomes = _with_progress(pairs, settings, args.jobs or usable_cores())
    for outcome in outcomes:
        if isinstance(outcome, Failure) and outcome.details:
            append_log(f"evaluating {outcome.patient}:\n{outcome.details}")
    return Report(outcomes, settings, command, __version__, date), None


def _with_progress(pairs: list[Pair], settings: Settings, jobs: int) -> list[Evaluation | Failure]:
    with ProgressDisplay() as display:
        return evaluate_cohort(pairs, settings, jobs, lambda done, total: display.update(done, total, "evaluating"))


def _settings(args: argparse.Namespace) -> Settings:
    label = args.label if args.reference_label is None else args.reference_label
    return Settings(
        MaskChoice(args.label, args.roi, args.threshold),
        MaskChoice(label, args.roi, args.threshold),
        args.tolerance_mm,
        args.connectivity,
        args.pet_units,
    )


def _require_label(report: Report) -> None:
    """A label that no file holds is a wrong word, not an empty contour."""
    found = report.evaluations
    if found and all(evaluation.missing_label for evaluation in found):
        raise BadInputError(
            f"No file holds the label {found[0].missing_label}. {found[0].notes[0]}",
            "Choose another --label, or none for everything that is not zero.",
        )


def _files(output: Path | None) -> list[Path]:
    """The reports to write: the one file, or all kinds in a folder."""
    if output is None:
        return []
    if output.suffix.lower() in _WRITERS and not output.is_dir():
        return [output]
    if output.is_file() or (output.suffix and not output.is_dir()):
        raise UsageError(
            f"{output} is no report that can be written.", "Name it .html, .csv or .json, or give a folder."
        )
    return [output / f"report{suffix}" for suffix in _WRITERS]


def _tell(report: Report, one: Evaluation | None, files: list[Path], as_json: bool) -> None:
    for warning in report.warnings:
        who = "" if one is not None else f" ({listed(warning.patients)})"
        print(f"warning: {warning.text}{who}", file=sys.stderr)
    if as_json:
        definition = " ".join(f"{term}: {text}" for term, text in report.definitions)
        values = report.to_json() if one is None else {**one.to_json(), "definition": definition}
        print(json.dumps({**values, "reports": [str(path.absolute()) for path in files]}, allow_nan=False))
        return
    lines = cohort_lines(report) if one is None else pair_lines(one, report.definitions)
    print("\n".join([*lines, *(f"Report: {path.absolute()}" for path in files)]))


def _arguments(args: argparse.Namespace) -> list[str]:
    """The command as it can be typed again."""
    words = [str(args.prediction), str(args.reference)]
    defaults = {"pet_units": "auto", "connectivity": 18}
    for name in (
        *("pet", "pet_units", "label", "reference_label", "roi", "threshold", "tolerance_mm", "connectivity"),
        *("output", "jobs"),
    ):
        value = getattr(args, name)
        if value is not None and value != defaults.get(name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words
