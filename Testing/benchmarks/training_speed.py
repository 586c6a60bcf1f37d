"""Training steps beside a plain loop, in one run and in turns: seconds a step, and how many times faster.

The plain loop is what one writes first: the same network, loss, optimiser and patches; contiguous float32 tensors, the
system's memory allocation, every patch drawn in the loop, no moving average, no clipping, no logs. Ours is the trainer
as `petctfusion train` starts it, in float32 and with precision = "auto". Each is a process of its own, and they take
turns, so that a busy machine is busy for all.

    python Testing/benchmarks/training_speed.py [--steps 6] [--rounds 3] [--threads 2] [--patch 64]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

NETWORKS: dict[str, dict[str, Any] | None] = {"anatomy_guided": None, "early_unet": {}}
WAYS = ("plain", "float32", "auto")
# Shapes of the sarcoma crops on a grid of 4 mm.
_SHAPES = ((74, 60, 62), (52, 40, 48), (96, 58, 70), (60, 66, 44))


def main() -> None:
    """Prints a table of medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6, help="measured steps a turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--patch", type=int, help="voxels a side, instead of the recipe's")
    parser.add_argument("--network", choices=list(NETWORKS), action="append")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args)
        return
    print("| network | way | s a step | times the plain loop |\n|---|---|---|---|")
    for network in args.network or NETWORKS:
        medians = {way: statistics.median(times) for way, times in measured(network, args).items()}
        for way, seconds in medians.items():
            print(f"| {network} | {way} | {seconds:.3f} | {medians['plain'] / seconds:.2f} |", flush=True)


def measured(network: str, args: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds a step of every turn; the first turn of each warms up and does not count."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "OMP_", "LD_PRELOAD"))}
    command = [sys.executable, __file__, "--network", network, "--steps", str(args.steps)]
    command += ["--threads", str(args.threads), *(["--patch", str(args.patch)] if args.patch else []), "--worker"]
    workers = {
        way: subprocess.Popen(
            [*command, way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for way in WAYS
    }
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(args.rounds + 1):
        for way, worker in workers.items():
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
            seconds = json.loads(worker.stdout.readline())
            if turn:
                times[way].append(seconds)
    for worker in workers.values():
        worker.communicate()
    return times


def work(args: argparse.Namespace) -> None:
    """Answers every line of stdin with the mean seconds of `args.steps` steps."""
    way = args.worker
    if way != "plain":
        # As the command does, before torch is loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    torch.set_num_threads(args.threads)
    turns = (plain if way == "plain" else trainer)(recipe(args.network[0], way, args.patch), args.steps)
    for _ in sys.stdin:
        print(json.dumps(next(turns)), flush=True)


def recipe(network: str, way: str, patch: int | None) -> Any:
    """The shipped recipe with another network, precision or patch."""
    from petctfusion.training.recipe import read_recipe

    shipped = read_recipe("sts_anatomy_guided", seed=1)
    arguments = shipped.arguments if NETWORKS[network] is None else NETWORKS[network]
    precision = "auto" if way == "auto" else "float32"
    size = (patch,) * 3 if patch else shipped.patch
    return dataclasses.replace(
        shipped, network=network, arguments=arguments, precision=precision, patch=size, steps=10**6
    )


def plain(recipe: Any, steps: int) -> Iterator[float]:
    """Turns of the plain loop."""
    import torch

    from petctfusion.networks import build
    from petctfusion.training.objectives import objective_for
    from petctfusion.training.patches import PatchSettings, draw_patch

    network = build(recipe.network, **recipe.arguments)
    objective = objective_for(recipe, network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    settings = PatchSettings(recipe.patch, recipe.modalities, recipe.augmentation)
    patients, rng = cases(), np.random.default_rng(1)

    def step() -> None:
        drawn = [draw_patch(patients[rng.integers(len(patients))], settings, rng) for _ in range(recipe.batch)]
        image, target = torch.stack([one.image for one in drawn]), torch.stack([one.target for one in drawn])
        loss = objective(network, image, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()

    while True:
        yield timed(lambda: [step() for _ in range(steps)]) / steps


def trainer(recipe: Any, steps: int) -> Iterator[float]:
    """Turns of the trainer, from the end of a step to the end of one `steps` later: logs and drawing ahead included."""
    from petctfusion.training.allocator import keep_memory
    from petctfusion.training.trainer import Trainer

    keep_memory()
    with tempfile.TemporaryDirectory() as folder:
        running = Trainer(recipe, cases(), [], Path(folder), events=True)
        while True:
            ends: list[float] = []
            # One step more at each end: the first has nobody drawing ahead of it, the last nothing to draw.
            running.run(lambda _, ends=ends: ends.append(time.perf_counter()), running.step + steps + 2)
            yield (ends[steps] - ends[0]) / steps


def cases() -> list[Any]:
    """Bodies with a hot ball each."""
    from petctfusion.training.cases import Case

    made = []
    for number, shape in enumerate(_SHAPES):
        rng = np.random.default_rng(number)
        z, y, x = np.ogrid[tuple(slice(n) for n in shape)]
        radius = np.sqrt((z - shape[0] / 2) ** 2 + (y - shape[1] / 2) ** 2 + (x - shape[2] / 2) ** 2)
        inside = (radius <= 9.0).astype(np.float32)
        ct = rng.normal(40.0, 20.0, shape) + 20 * inside
        pet = rng.gamma(4.0, 0.2, shape) + 6 * inside
        image = np.stack([ct, pet]).astype(np.float32)
        made.append(Case(f"ball {number}", image, inside, np.argwhere(inside > 0.5), (4.0, 4.0, 4.0)))
    return made


def timed(action: Callable[[], object]) -> float:
    """Seconds of wall time."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
