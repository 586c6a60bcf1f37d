"""`petctfusion train`: arguments (no torch at import) and the run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from petctfusion.errors import BadInputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion train`."""
    from petctfusion.training.datasets.registry import KINDS

    kinds = "; ".join(f"{name}: {kind.layout}" for name, kind in KINDS.items())
    parser.add_argument("recipe", help="name of a recipe of the package (see --list) or a TOML file", nargs="?")
    parser.add_argument("--list", action="store_true", help="list the recipes of the package and stop")
    parser.add_argument("--data", type=Path, help=f"folder of the data set (for csv the table). {kinds}")
    parser.add_argument("--kind", choices=list(KINDS), default="sts", help="layout of the data set (default: sts)")
    parser.add_argument("--label", help="the one label, segment or ROI to learn (default: all tumour)")
    parser.add_argument(
        "--output", type=Path, default=Path("runs/train"), help="folder of the run; continued if it exists"
    )
    parser.add_argument("--model-output", type=Path, help="write the finished model here (default: OUTPUT/model)")
    parser.add_argument("--model-version", default="1.0.0", help="version in the model card")
    parser.add_argument("--folds", type=int, help="deal the patients into so many folds instead of the set's own split")
    parser.add_argument("--fold", type=int, help="train this fold only, from 0 (default: all of them in turn)")
    parser.add_argument("--steps", type=int, help="instead of the recipe's number of steps")
    parser.add_argument("--seed", type=int, help="instead of the recipe's seed")
    parser.add_argument("--precision", help="instead of the recipe's: float32, bfloat16 or auto")
    parser.add_argument(
        "--stop-at", type=int, help="stop after this step (the run can be continued); no model is written"
    )
    parser.add_argument("--cache", type=Path, help="folder of the prepared cases (default: OUTPUT/cache)")
    parser.add_argument("--jobs", type=int, default=2, help="patients prepared at a time (default: 2)")
    parser.add_argument("--device", default="cpu", help="cpu (default), auto, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads; another number may change the last bits")


def run(args: argparse.Namespace) -> int:
    """Train, calibrate on the tuning patients, write the model folder; prints its weights' sha256.

    A recipe with [pretraining] ends with its encoders and what they have learned.
    """
    # Read when torch is loaded: a thread that spins while it waits takes a core from its neighbours, drawing included.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from petctfusion.training.recipe import read_recipe, recipe_names

    if args.list:
        print("\n".join(recipe_names()))  # noqa: T201
        return 0
    if args.recipe is None or args.data is None:
        raise BadInputError("A recipe and --data are needed.", "See petctfusion train --help.")
    _check_numbers(args)
    recipe = read_recipe(args.recipe, steps=args.steps, seed=args.seed, precision=args.precision)
    from petctfusion.training.material import FOLD_SEED, TrainingData
    from petctfusion.training.progress import TrainingDisplay
    from petctfusion.training.session import RunSettings, train_model

    for fold in _folds(args):
        data = TrainingData(args.kind, args.data, args.label, None if fold is None else (fold, args.folds, FOLD_SEED))
        settings = RunSettings(
            folder=_of_fold(args.output, fold),
            model_folder=None if args.model_output is None else _of_fold(args.model_output, fold),
            version=args.model_version,
            device=args.device,
            threads=args.threads,
            jobs=args.jobs,
            cache=args.cache or args.output / "cache",
            stop_at=args.stop_at,
        )
        with TrainingDisplay() as display:
            outcome = train_model(recipe, data, settings, display.update, display.say)
        if os.environ.get("RANK", "0") == "0":
            _tell(outcome.sha256, outcome.model_folder, outcome.encoder)
    return 0


def _tell(sha256: str, model: Path | None, encoder: Path | None) -> None:
    print(f"weights sha256 {sha256}", flush=True)  # noqa: T201
    if model is not None:
        print(f"model {model}", flush=True)  # noqa: T201
    if encoder is not None:
        print(f"encoder {encoder}", flush=True)  # noqa: T201


def _folds(args: argparse.Namespace) -> list[int | None]:
    if args.folds is None:
        if args.fold is not None:
            raise BadInputError("--fold needs --folds.", "Say how many folds there are: --folds 5 --fold 0.")
        return [None]
    if args.fold is not None and not 0 <= args.fold < args.folds:
        raise BadInputError(f"There is no fold {args.fold} of {args.folds}.", "Folds are counted from 0.")
    return list(range(args.folds)) if args.fold is None else [args.fold]


def _of_fold(folder: Path, fold: int | None) -> Path:
    return folder if fold is None else folder / f"fold_{fold}"


def _check_numbers(args: argparse.Namespace) -> None:
    for name in ("steps", "stop_at", "jobs", "threads", "folds"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise BadInputError(f"--{name.replace('_', '-')} {value} makes no sense.", "Give a number of 1 or more.")
