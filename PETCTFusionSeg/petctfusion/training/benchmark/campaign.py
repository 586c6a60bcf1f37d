"""Trains what is wanted, measures it, and leaves one JSON for every finished run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from petctfusion.errors import BadInputError, CancelledError, FusionError
from petctfusion.inference import SegmentOptions, load_model
from petctfusion.inference.devices import plan_device
from petctfusion.models import InstalledModel
from petctfusion.training.benchmark.cohort import RowReport, measure_baselines, measure_method
from petctfusion.training.benchmark.model_method import ModelMethod, model_facts
from petctfusion.training.benchmark.origin import origin_of
from petctfusion.training.benchmark.row import Row
from petctfusion.training.benchmark.run import Data, Run, run_file_name, write_run
from petctfusion.training.benchmark.study import load_studies
from petctfusion.training.benchmark.system import BudgetName, Facts, Order, Say
from petctfusion.training.benchmark.systems import BASELINES, Candidate
from petctfusion.training.datasets.sts import Split, StsPatient, sts_patients


@dataclass(frozen=True)
class Wish:
    """What all runs of one call share. `again` makes finished runs anew; `benchmark`: the words behind that command."""

    data: Path
    split: Split
    results: Path
    work: Path
    budget: BudgetName
    seed: int
    device: str
    threads: int
    again: bool
    benchmark: str = "networks"


@dataclass(frozen=True)
class Failed:
    """A run that could not be made, and why."""

    name: str
    error: FusionError


class Campaign:
    """The runs of one call. The patients are looked up at once, so that a wrong folder is told before any training.

    `say` is told what happens, `report` every row. Raises `BadInputError`, `DeviceError`.
    """

    def __init__(self, wish: Wish, say: Say, report: RowReport) -> None:
        self.wish, self.say, self.report = wish, say, report
        self.patients: list[StsPatient] = sts_patients(wish.data, wish.split)
        self.device = plan_device(wish.device)
        torch.set_num_threads(wish.threads)

    def run(self, entries: Sequence[Candidate], models: list[InstalledModel], baselines: bool) -> list[Failed]:
        """Every run that has no file yet; one that fails costs no other. Returns those that failed."""
        jobs: list[tuple[str, Callable[[], None]]] = [(BASELINES, self._baselines)] if baselines else []
        jobs += [(model.reference, partial(self._model, model)) for model in models]
        jobs += [(entry.name, partial(self._system, entry)) for entry in entries]
        failed = []
        for name, job in jobs:
            error = _error_of(job)
            if error is not None:
                self.say(f"{name} is left out: {error}")
                failed.append(Failed(name, error))
        return failed

    def _baselines(self) -> None:
        if self._is_done(BASELINES, "", None):
            return
        rows = []
        for study in load_studies(self.patients):
            found = measure_baselines(study)
            for row in found:
                self.report(row)
            rows += found
        title = "Clinical SUV rules and a blind ellipsoid"
        self._write(BASELINES, title, "", None, Facts(precision=""), rows, f"--system {BASELINES}")

    def _model(self, model: InstalledModel) -> None:
        name = f"model-{model.name}-{model.version}"
        if self._is_done(name, "", model.card.training.seed):
            return
        seen = sorted({patient.name for patient in self.patients} & set(model.card.training.patients))
        if seen:
            raise BadInputError(
                f"The model {model.reference} learned from {seen[0]}, one of the {self.wish.split} patients.",
                "Measure it on patients that it has not seen.",
            )
        loaded = load_model(model.folder, self.device)
        method = ModelMethod(loaded, SegmentOptions(device=self.device), model_facts(loaded))
        rows = measure_method(f"{model.name} {model.version}", method, load_studies(self.patients), self.report)
        self._write(
            name, model.card.title, "", model.card.training.seed, method.facts, rows, f"--model {model.reference}"
        )

    def _system(self, entry: Candidate) -> None:
        wish = self.wish
        if self._is_done(entry.name, wish.budget, wish.seed):
            return
        folder = wish.work / f"{entry.name}-{wish.budget}-seed{wish.seed}"
        self.say(f"{entry.name}: {entry.title}, {wish.budget} budget, seed {wish.seed}")
        options = f"{entry.option} --budget {wish.budget} --seed {wish.seed}"
        order = Order(wish.data, folder, wish.budget, wish.seed, self.device, wish.threads, self._command(options))
        method = entry.system().train(order, self.say)
        rows = measure_method(entry.name, method, load_studies(self.patients), self.report)
        self._write(entry.name, entry.title, wish.budget, wish.seed, method.facts, rows, options)

    def _is_done(self, name: str, budget: str, seed: int | None) -> bool:
        path = self.wish.results / run_file_name(name, budget, seed, self.wish.split)
        if not path.exists() or self.wish.again:
            return False
        self.say(f"{name}: already done ({path.name}); --again measures it anew")
        return True

    def _write(
        self, name: str, title: str, budget: str, seed: int | None, facts: Facts, rows: list[Row], options: str
    ) -> None:
        wish = self.wish
        data = Data("sts", wish.split, tuple(patient.name for patient in self.patients))
        origin = origin_of(self._command(options), self.device, wish.threads)
        path = write_run(Run(name, title, budget, seed, data, origin, facts, tuple(rows)), wish.results)
        self.say(f"{name}: written to {path.name}")

    def _command(self, options: str) -> str:
        wish = self.wish
        command = f"petctfusion benchmark {wish.benchmark} --data sts --split {wish.split} {options}"
        if self.device != "cpu":
            command += f" --device {self.device}"
        return command if wish.threads == 2 else f"{command} --threads {wish.threads}"


def _error_of(job: Callable[[], None]) -> FusionError | None:
    try:
        job()
    except CancelledError:
        raise
    except FusionError as error:
        return error
    return None
