"""`petctfusion benchmark igtv`: from GTV to IGTV on breathing phantoms (no torch at import)."""

from __future__ import annotations

import argparse
from pathlib import Path

from petctfusion.errors import BadInputError
from petctfusion.training.benchmark.console import say, thread_count
from petctfusion.training.benchmark.igtv_rows import GTV, TRAININGS
from petctfusion.training.settings import did_you_mean

_NAMES = (*(one.name for one in TRAININGS), GTV)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion benchmark igtv`."""
    parser.add_argument("--cohort", type=Path, metavar="DIR", help="of petctfusion phantom --cohort N --breathing igtv")
    parser.add_argument("--gtv", type=Path, metavar="DIR", help="of petctfusion phantom --cohort N --breathing gtv")
    parser.add_argument(
        "--also", type=Path, metavar="DIR", action="append", default=[],
        help="another cohort (--chest) whose test phantoms are measured too; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--row", metavar="NAME", action="append", default=[], help=f"{', '.join(_NAMES)} (default: all)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--recipe", default="phantom_igtv", help="name or TOML file (default: phantom_igtv)")
    parser.add_argument("--gtv-recipe", default="phantom_gtv", help="name or TOML file (default: phantom_gtv)")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda:N")
    parser.add_argument("--threads", type=thread_count, default=2, help="CPU threads (2)")
    parser.add_argument("--again", action="store_true", help="measure finished rows anew")
    parser.add_argument(
        "--table", action="store_true", help="train nothing; tables of what is finished, figures beside"
    )
    parser.add_argument("--results", type=Path, default=Path("docs/results/igtv"), help="one JSON a finished row")
    parser.add_argument("--work", type=Path, default=Path("runs/igtv"), help="trainings, continued if stopped")


def run(args: argparse.Namespace) -> int:
    """Trains and measures the rows that have no result yet, then prints the tables and draws the figures."""
    for name in args.row:
        if name not in _NAMES:
            raise BadInputError(f"The experiment has no row {name!r}.", did_you_mean(name, _NAMES))
    if not args.table:
        if args.cohort is None or args.gtv is None:
            raise BadInputError("--cohort and --gtv are needed.", "Make both with petctfusion phantom --breathing.")
        from petctfusion.training.benchmark.igtv_experiment import IgtvExperiment, IgtvWish

        wish = IgtvWish(
            args.cohort, args.gtv, tuple(args.also), args.results, args.work, args.recipe, args.gtv_recipe,
            args.seed, args.device, args.threads, args.again,
        )  # fmt: skip
        IgtvExperiment(wish, say).run(args.row or _NAMES)
    _show(args.results)
    return 0


def _show(results: Path) -> None:
    from petctfusion.training.benchmark.files import write_text
    from petctfusion.training.benchmark.igtv_figure import igtv_figure
    from petctfusion.training.benchmark.igtv_results import read_results
    from petctfusion.training.benchmark.igtv_tables import anatomies, lines_of, markdown

    found, left_out = read_results(results, _NAMES)
    print(markdown(found, left_out))  # noqa: T201
    for anatomy in anatomies(found):
        path = results / f"igtv-{anatomy.replace(' ', '-')}.svg"
        write_text(igtv_figure(lines_of(found, anatomy), anatomy), path)
        say(f"figure: {path.name}")
