"""`petctfusion benchmark networks`: arguments (no torch at import) and what they lead to."""

from __future__ import annotations

import argparse
from pathlib import Path

from petctfusion.errors import BadInputError
from petctfusion.training.benchmark.console import PARTLY, say, thread_count
from petctfusion.training.benchmark.sts_command import tell_row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion benchmark networks`."""
    parser.add_argument("--data", type=Path, help="folder with split.json, margins.json and STS_nnn/")
    what = parser.add_argument_group("what to train and measure")
    what.add_argument(
        "--system", metavar="NAME", action="append", default=[],
        help="may be repeated; 'baselines' are the rules and the blind ellipsoid (default: all that --list shows)",
    )  # fmt: skip
    what.add_argument(
        "--model", metavar="FOLDER", action="append", default=[], help="a trained model to measure: name or folder"
    )
    what.add_argument("--budget", choices=["quick", "full"], default="quick", help="full is meant for a GPU")
    what.add_argument("--split", choices=["validation", "tune"], default="validation")
    what.add_argument("--seed", type=int, default=1)
    what.add_argument("--device", default="cpu", help="auto, cpu or cuda:N")
    what.add_argument("--threads", type=thread_count, default=2, help="CPU threads (2)")
    what.add_argument("--again", action="store_true", help="measure finished runs anew")
    parser.add_argument("--list", action="store_true", help="list the systems and their finished runs, and stop")
    parser.add_argument("--table", action="store_true", help="train nothing; print the tables of finished runs")
    parser.add_argument("--page", type=Path, metavar="FILE.html", help="also write them as a page, its figure as .svg")
    parser.add_argument("--reference", metavar="NAME", help="line to test the others against (default: early_unet)")
    parser.add_argument("--results", type=Path, default=Path("docs/results/networks"), help="one JSON a finished run")
    parser.add_argument("--work", type=Path, default=Path("runs/networks"), help="trainings, continued if stopped")


def run(args: argparse.Namespace) -> int:
    """Trains and measures what has no result yet, then shows the tables. Exit code 8 where a system failed."""
    if args.list:
        return _list(args.results)
    code = 0 if args.table else _measure(args)
    if args.table or args.page is not None:
        _show(args)
    return code


def _measure(args: argparse.Namespace) -> int:
    if args.data is None:
        raise BadInputError(
            "--data is missing.", "Give the folder of the sarcoma patients, or --table for the finished runs."
        )
    from petctfusion.models import find_model
    from petctfusion.training.benchmark.systems import BASELINES, wanted_entries

    everything = not args.system and not args.model
    entries = wanted_entries(args.system) if args.system or everything else []
    models = [find_model(name) for name in args.model]
    from petctfusion.training.benchmark.campaign import Campaign, Wish

    wish = Wish(
        args.data, args.split, args.results, args.work, args.budget, args.seed, args.device, args.threads, args.again
    )
    failed = Campaign(wish, say, tell_row).run(entries, models, everything or BASELINES in args.system)
    if len(failed) == 1 == len(args.system) + len(args.model):
        raise failed[0].error
    return PARTLY if failed else 0


def _show(args: argparse.Namespace) -> int:
    from petctfusion.training.benchmark.comparison import comparison_of
    from petctfusion.training.benchmark.files import write_text
    from petctfusion.training.benchmark.page import page
    from petctfusion.training.benchmark.plot import dice_figure
    from petctfusion.training.benchmark.runs import read_runs
    from petctfusion.training.benchmark.table import markdown

    runs = read_runs(args.results, args.split)
    for left_out in runs.left_out:
        say(f"left out: {left_out.reason}")
    comparison = comparison_of(runs, args.reference)
    if args.page is not None:
        write_text(page(comparison), args.page)
        write_text(dice_figure(comparison.lines) + "\n", args.page.with_suffix(".svg"))
    print(markdown(comparison))  # noqa: T201
    return 0


def _list(results: Path) -> int:
    from petctfusion.training.benchmark.systems import BASELINES, entries

    listed = [(entry.name, entry.missing or entry.title) for entry in entries()]
    for name, text in [*listed, (BASELINES, "Clinical SUV rules and a blind ellipsoid; nothing is trained.")]:
        finished = len(list(results.glob(f"{name}-*.json")))
        print(f"{name:<18}{finished or '-':>3} finished  {text}")  # noqa: T201
    return 0
