"""`petctfusion benchmark ablations`: arguments (no torch at import) and what they lead to."""

from __future__ import annotations

import argparse
from pathlib import Path

from petctfusion.errors import BadInputError
from petctfusion.training.benchmark.ablation import Ablation, AblationEntry, ablation_names, read_ablation
from petctfusion.training.benchmark.console import PARTLY, say, thread_count
from petctfusion.training.benchmark.sts_command import tell_row
from petctfusion.training.benchmark.system import BudgetName


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion benchmark ablations`."""
    parser.add_argument("study", nargs="?", help="name of a study of the package (see --list) or a TOML file")
    parser.add_argument("--data", type=Path, help="folder with split.json, margins.json and STS_nnn/")
    parser.add_argument("--row", metavar="NAME", action="append", default=[], help="may be repeated (default: all)")
    parser.add_argument("--budget", choices=["quick", "full"], default="quick", help="full is meant for a GPU")
    parser.add_argument("--split", choices=["validation", "tune"], default="validation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda:N")
    parser.add_argument("--threads", type=thread_count, default=2, help="CPU threads (2)")
    parser.add_argument("--again", action="store_true", help="measure finished rows anew, also those made elsewhere")
    parser.add_argument("--list", action="store_true", help="list the studies and their rows, and stop")
    parser.add_argument(
        "--table", action="store_true", help="train nothing; print the tables (default: of all studies)"
    )
    parser.add_argument("--results", type=Path, default=Path("docs/results/ablations"), help="one JSON a finished row")
    parser.add_argument(
        "--networks", type=Path, default=Path("docs/results/networks"),
        help="finished runs of `benchmark networks`: a row of the same recipe is taken from there",
    )  # fmt: skip
    parser.add_argument("--work", type=Path, default=Path("runs/ablations"), help="trainings, continued if stopped")


def run(args: argparse.Namespace) -> int:
    """Trains and measures the rows that have no result yet. Exit code 8 where one of several failed."""
    if args.list:
        return _list()
    if args.table:
        return _show(args)
    if args.study is None or args.data is None:
        raise BadInputError("A study and --data are needed.", "See --list, or --table for what is finished.")
    return _measure(args, read_ablation(args.study))


def _measure(args: argparse.Namespace, study: Ablation) -> int:
    entries = study.entries(args.row)
    for entry in entries:
        _require_trainable(entry, args.budget)
    from petctfusion.training.benchmark.ablation_runs import twin_of
    from petctfusion.training.benchmark.campaign import Campaign, Wish
    from petctfusion.training.benchmark.run import Data

    wish = Wish(
        args.data, args.split, args.results, args.work, args.budget, args.seed, args.device, args.threads, args.again,
        benchmark=f"ablations {args.study}",
    )  # fmt: skip
    campaign = Campaign(wish, say, tell_row)
    data = Data("sts", args.split, tuple(patient.name for patient in campaign.patients))
    wanted = []
    for entry in entries:
        folders = [] if args.again else [args.networks, args.results]
        twin = twin_of(entry, folders, data, args.budget, args.seed)
        if twin is None:
            wanted.append(entry)
        else:
            say(f"{entry.name}: {twin.name} is of the same recipe and seed; --again trains it anew")
    failed = campaign.run(wanted, [], baselines=False)
    _keep_learned(args, wanted)
    if len(failed) == 1 == len(wanted):
        raise failed[0].error
    return PARTLY if failed else 0


def _require_trainable(entry: AblationEntry, budget: BudgetName) -> None:
    """Asked of every row before the first training: a wrong key is not told after hours. Raises `BadInputError`."""
    try:
        entry.system().require_trainable(budget)
    except BadInputError as error:
        raise BadInputError(f"Row {entry.row.name}: {error.message}", error.hint) from error


def _keep_learned(args: argparse.Namespace, entries: list[AblationEntry]) -> None:
    """What the pre-trainings learned belongs to the results."""
    from petctfusion.training.benchmark.files import write_json
    from petctfusion.training.pretraining.export import read_learned

    for stem in {Path(entry.row.pretraining).stem for entry in entries if entry.row.pretraining}:
        name = f"{stem}-{args.budget}-seed{args.seed}"
        path = args.work / name / "encoder.json"
        if path.exists():
            write_json(read_learned(path), args.results / "pretraining" / f"{name}.json")


def _show(args: argparse.Namespace) -> int:
    from petctfusion.training.benchmark.ablation_runs import runs_of
    from petctfusion.training.benchmark.ablation_table import learned_files, markdown
    from petctfusion.training.pretraining.export import read_learned

    texts = []
    for name in [args.study] if args.study else ablation_names():
        found = runs_of(read_ablation(name), [args.networks, args.results], args.split, args.budget)
        told = [read_learned(path) for path in learned_files(found, args.results, args.budget)]
        learned = [one for one in told if one["score"] is not None]
        texts.append(f"## {found.study.name}\n\n{markdown(found, learned)}")
    print("\n\n".join(texts))  # noqa: T201
    return 0


def _list() -> int:
    for name in ablation_names():
        study = read_ablation(name)
        print(f"{name}: {study.question}")  # noqa: T201
        for row in study.rows:
            print(f"  {row.name:<16}{row.title}")  # noqa: T201
    return 0
