"""Trains the GTV model and the four IGTV trainings, and measures all of them on the same moving phantoms."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from petctfusion.errors import BadInputError
from petctfusion.inference import SegmentOptions, load_model, segment_study
from petctfusion.inference.devices import plan_device
from petctfusion.models import find_model
from petctfusion.phantom.cohort_folder import CARD
from petctfusion.phantom.cohort_making import TABLE
from petctfusion.training.benchmark.igtv_results import IgtvResult, result_name, write_result
from petctfusion.training.benchmark.igtv_rows import GTV, GTV_TITLE, RULE, TRAININGS, IgtvTraining
from petctfusion.training.benchmark.igtv_run import IgtvRow, Segment, load_cases, measure_cases, rule_segments
from petctfusion.training.benchmark.origin import origin_of
from petctfusion.training.benchmark.system import Say
from petctfusion.training.recipe import Recipe, read_recipe
from petctfusion.training.session import RunSettings, TrainingData, train_model
from petctfusion.training.trainer import TrainingProgress

_TOLD_STEPS = 100


@dataclass(frozen=True)
class IgtvWish:
    """What all rows of one call share. `also`: cohorts whose test phantoms are measured too; `again`: anew."""

    cohort: Path
    gtv: Path
    also: tuple[Path, ...]
    results: Path
    work: Path
    recipe: str
    gtv_recipe: str
    seed: int
    device: str
    threads: int
    again: bool


@dataclass(frozen=True)
class _Trained:
    """A model folder, and what a result tells of its training."""

    model: Path
    told: dict[str, Any]


class IgtvExperiment:
    """Cohorts and recipes are looked up at once, so that a mistake is told before any training.

    Raises `BadInputError`, `DeviceError`.
    """

    def __init__(self, wish: IgtvWish, say: Say) -> None:
        self.wish, self.say = wish, say
        self.device = plan_device(wish.device)
        self.cohorts = (wish.cohort, *wish.also)
        for cohort in self.cohorts:
            next(load_cases(cohort))
        self._cards = tuple(_card(cohort) for cohort in (wish.gtv, *self.cohorts))
        self._gtv_recipe = read_recipe(wish.gtv_recipe, seed=wish.seed)
        for one in TRAININGS:
            self._recipe(one)

    def run(self, names: Collection[str]) -> None:
        """The rules, and the rows of these names that have no result yet. Raises `FusionError`."""
        for number, (title, segment) in enumerate(rule_segments().items(), start=1):
            if self._is_wanted(f"{RULE}-{number}", None):
                self._measure(f"{RULE}-{number}", title, None, {}, segment)
        if GTV in names and self._is_wanted(GTV, self.wish.seed):
            self._measure_model(GTV, GTV_TITLE, self._gtv)
        for one in TRAININGS:
            if one.name in names and self._is_wanted(one.name, self.wish.seed):
                self._measure_model(one.name, one.title, self._trained(one))

    def _is_wanted(self, name: str, seed: int | None) -> bool:
        if self.wish.again or not (self.wish.results / result_name(name, seed)).exists():
            return True
        self.say(f"{name}: already done; --again measures it anew")
        return False

    @cached_property
    def _gtv(self) -> _Trained:
        return self._run(self._gtv_recipe, self.wish.gtv, self.wish.work / f"gtv-seed{self.wish.seed}")

    def _trained(self, one: IgtvTraining) -> _Trained:
        if one.transferred:
            self.say(f"{one.name}: begins with the GTV model")
            _ = self._gtv
        return self._run(self._recipe(one), self.wish.cohort, self.wish.work / f"{one.name}-seed{self.wish.seed}")

    def _recipe(self, one: IgtvTraining) -> Recipe:
        gtv_model = self.wish.work / f"gtv-seed{self.wish.seed}" / "model"
        return read_recipe(self.wish.recipe, one.changes(str(gtv_model)), seed=self.wish.seed)

    def _run(self, recipe: Recipe, cohort: Path, folder: Path) -> _Trained:
        wish = self.wish
        settings = RunSettings(
            folder,
            device=self.device,
            threads=wish.threads,
            jobs=1,
            cache=wish.work / "cache",
            command=self._command,
        )

        def report(progress: TrainingProgress) -> None:
            if progress.step % _TOLD_STEPS == 0:
                left = (progress.steps - progress.step) * progress.seconds_per_step / 60
                self.say(f"step {progress.step} of {progress.steps}, loss {progress.loss:.3f}, {left:.0f} min left")

        self.say(f"{recipe.name}: {recipe.steps} steps, seed {recipe.seed}")
        outcome = train_model(recipe, TrainingData("csv", cohort / TABLE), settings, report, self.say)
        assert outcome.model_folder is not None  # only a run that was told to stop early has no model
        card = find_model(outcome.model_folder).card
        begun = f"gtv-seed{wish.seed}, {self._gtv.told['weights_sha256']}" if recipe.initial else ""
        told = {
            "recipe": dataclasses.asdict(dataclasses.replace(recipe, initial=begun)),
            "steps": outcome.steps,
            "training_seconds": outcome.seconds,
            "weights_sha256": card.sha256,
            "threshold": card.threshold,
            "smallest_component_ml": card.smallest_component_ml,
        }
        return _Trained(outcome.model_folder, told)

    def _measure_model(self, name: str, title: str, trained: _Trained) -> None:
        model, options = load_model(trained.model, self.device), SegmentOptions(device=self.device)
        self._measure(
            name,
            title,
            self.wish.seed,
            trained.told,
            lambda case: segment_study(case.volumes, model, options).labels,
        )

    def _measure(self, name: str, title: str, seed: int | None, training: dict[str, Any], segment: Segment) -> None:
        def report(row: IgtvRow) -> None:
            self.say(f"{row.patient} {name}: Dice {row.dice:.3f}, peripheral {row.peripheral_dice:.3f}")

        cases = chain.from_iterable(load_cases(cohort) for cohort in self.cohorts)
        rows = tuple(measure_cases(cases, segment, report))
        origin = dataclasses.asdict(origin_of(self._command, self.device, self.wish.threads))
        path = write_result(IgtvResult(name, title, seed, self._cards, origin, training, rows), self.wish.results)
        self.say(f"{name}: written to {path.name}")

    @property
    def _command(self) -> str:
        also = " --also CHEST" * len(self.wish.also)
        return (
            f"petctfusion benchmark igtv --cohort IGTV --gtv GTV{also} --seed {self.wish.seed} "
            f"--threads {self.wish.threads}"
        )


def _card(cohort: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads((cohort / CARD).read_text(encoding="utf-8"))
        return {"folder": cohort.resolve().name, **card}
    except (OSError, ValueError, TypeError) as error:
        raise BadInputError(f"{cohort} is no cohort ({error}).", "Make one: petctfusion phantom --cohort.") from error
