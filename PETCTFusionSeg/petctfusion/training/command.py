"""`petctfusion train`: arguments (no torch at import) and the run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from petctfusion.errors import BadInputError

if TYPE_CHECKING:
    from petctfusion.training.trainer import TrainingProgress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `petctfusion train`."""
    parser.add_argument("recipe", help="name of a recipe of the package (see --list) or a TOML file", nargs="?")
    parser.add_argument("--list", action="store_true", help="list the recipes of the package and stop")
    parser.add_argument(
        "--data", type=Path, help="folder of the sarcoma collection: split.json, margins.json, STS_nnn/"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("runs/train"), help="folder of the run; continued if it exists"
    )
    parser.add_argument("--model-output", type=Path, help="write the finished model here (default: OUTPUT/model)")
    parser.add_argument("--model-version", default="1.0.0", help="version in the model card")
    parser.add_argument("--steps", type=int, help="instead of the recipe's number of steps")
    parser.add_argument("--seed", type=int, help="instead of the recipe's seed")
    parser.add_argument(
        "--stop-at", type=int, help="stop after this step (the run can be continued); no model is written"
    )
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda:N")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads; another number may change the last bits")


def run(args: argparse.Namespace) -> int:
    """Train, calibrate on the tuning patients, write the model folder; prints its weights' sha256."""
    from petctfusion.training.recipe import read_recipe, recipe_names

    if args.list:
        print("\n".join(recipe_names()))  # noqa: T201
        return 0
    if args.recipe is None or args.data is None:
        raise BadInputError("A recipe and --data are needed.", "See petctfusion train --help.")
    from petctfusion.training.session import train_sts

    recipe = read_recipe(args.recipe, steps=args.steps, seed=args.seed)
    with _Bar(recipe.steps) as bar:
        outcome = train_sts(
            recipe,
            data=args.data,
            folder=args.output,
            model_folder=args.model_output or args.output / "model",
            version=args.model_version,
            device=args.device,
            threads=args.threads,
            stop_at=args.stop_at,
            report=bar.update,
            say=bar.say,
        )
    print(f"weights sha256 {outcome.sha256}")  # noqa: T201
    if outcome.model_folder is not None:
        print(f"model {outcome.model_folder}")  # noqa: T201
    return 0


class _Bar:
    """tqdm on a terminal, a plain line every hundred steps in a pipe."""

    def __init__(self, steps: int) -> None:
        from tqdm import tqdm

        self._terminal = sys.stderr.isatty()
        self._bar = tqdm(total=steps, unit="step", disable=not self._terminal)
        self._loss = 0.0
        self._seconds = 0.0

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def update(self, progress: TrainingProgress) -> None:
        """One step is done."""
        weight = 0.02 if self._loss else 1.0
        self._loss += weight * (progress.loss - self._loss)
        self._seconds += weight * (progress.seconds_per_step - self._seconds)
        self._bar.update(progress.step - self._bar.n)
        self._bar.set_postfix(loss=f"{self._loss:.3f}")
        if not self._terminal and progress.step % 100 == 0:
            left = (progress.steps - progress.step) * self._seconds / 60
            self.say(f"step {progress.step}/{progress.steps} loss {self._loss:.4f} about {left:.0f} min left")
        if progress.score is not None:
            self.say(
                f"step {progress.step}: tuning Dice {progress.score.as_is:.3f} as is, "
                f"{progress.score.recropped:.3f} re-cropped"
            )

    def say(self, line: str) -> None:
        """A line beside the bar."""
        self._bar.write(line, file=sys.stderr)
