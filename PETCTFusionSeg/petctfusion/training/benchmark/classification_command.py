"""`petctfusion benchmark classification`: contour and class together, on two textures (no torch at import)."""

from __future__ import annotations

import argparse
from pathlib import Path

from petctfusion.errors import BadInputError
from petctfusion.training.benchmark.console import say, thread_count
from petctfusion.training.settings import did_you_mean

ROWS = {
    "mask": ("dual attention, pooled over its own contour", {}),
    "mean": ("dual attention, pooled over the window", {"arguments": {"pooling": "mean"}}),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion benchmark classification`."""
    parser.add_argument("--cohort", type=Path, metavar="DIR", help="of petctfusion phantom --cohort N --textures")
    parser.add_argument("--row", metavar="NAME", action="append", default=[], help=f"{', '.join(ROWS)} (default: all)")
    parser.add_argument("--recipe", default="phantom_textures", help="name or TOML file (default: phantom_textures)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="instead of the recipe's number of steps")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda:N")
    parser.add_argument("--threads", type=thread_count, default=2, help="CPU threads (2)")
    parser.add_argument("--again", action="store_true", help="measure finished rows anew")
    parser.add_argument("--table", action="store_true", help="train nothing; the table of what is finished")
    parser.add_argument(
        "--results", type=Path, default=Path("docs/results/classification"), help="one JSON a finished row"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("runs/classification"), help="trainings, continued if stopped"
    )


def run(args: argparse.Namespace) -> int:
    """Trains and measures the rows that have no result yet, then prints the table."""
    for name in args.row:
        if name not in ROWS:
            raise BadInputError(f"There is no row {name!r}.", did_you_mean(name, ROWS))
    if not args.table:
        if args.cohort is None:
            raise BadInputError("--cohort is needed.", "Make one: petctfusion phantom --cohort 300 --textures.")
        from petctfusion.training.benchmark.classification_experiment import ClassificationWish, train_and_measure

        for name in args.row or ROWS:
            title, changes = ROWS[name]
            wish = ClassificationWish(
                name, title, changes, args.cohort, args.results, args.work, args.recipe, args.seed, args.steps,
                args.device, args.threads,
            )  # fmt: skip
            if wish.path.exists() and not args.again:
                say(f"{name}: already done; --again measures it anew")
            else:
                train_and_measure(wish, say)
    from petctfusion.training.benchmark.classification_results import markdown, read_results

    print(markdown(read_results(args.results)))  # noqa: T201
    return 0
