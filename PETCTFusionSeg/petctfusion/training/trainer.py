"""The trainer: deterministic by seed, killed at any point and resumed to the same weights on a CPU.

Every random number of step n comes from (seed, n), so a resumed run needs no generator state; the checkpoint holds
weights, their moving average, the optimiser, the best tuning score and the step, and is replaced atomically.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from petctfusion.errors import BadInputError, OutOfMemoryError
from petctfusion.inference.memory_ladder import is_out_of_memory
from petctfusion.networks.anatomy_prompted import MaskedReconstruction
from petctfusion.training.augmentation.fitness import require_dispensable, require_fit
from petctfusion.training.cases import Case
from petctfusion.training.checkpoint import identity, read_checkpoint, write_checkpoint
from petctfusion.training.distributed import ObjectiveModule, Team, shared
from petctfusion.training.feed import Feed
from petctfusion.training.initial import Initial, begin_with
from petctfusion.training.logs import STEPS, TUNING, RunLogs
from petctfusion.training.losses import soft_dice_loss
from petctfusion.training.objectives import objective_for
from petctfusion.training.objectives.lesion_class import require_classes
from petctfusion.training.optimiser import adam, channels_last, network_of
from petctfusion.training.patches import Patch, PatchSettings, draw_patch
from petctfusion.training.precision import autocast, uses_bfloat16
from petctfusion.training.pretraining.score import score_pretraining
from petctfusion.training.recipe import Recipe
from petctfusion.training.schedules import rate_factor
from petctfusion.training.tuning import Score, score_cases
from petctfusion.training.watch import TuningWatch

Report = Callable[["TrainingProgress"], None]
# A forward pass more: every 50 steps it costs less than one step in a hundred.
_DICE_EVERY = 50
_MOST_SKIPPED = 20


@dataclass(frozen=True)
class TrainingProgress:
    """What the progress bar shows after a step.

    `loss` is nan for a step that was skipped. `dice`: soft Dice of the batch, now and then; `score` only after the
    tuning patients were scored. `seconds_per_step` without that scoring.
    """

    step: int
    steps: int
    loss: float
    seconds_per_step: float
    batch: int = 1
    dice: float | None = None
    score: Score | None = None
    skipped: int = 0


class Trainer:
    """Trains the network of a recipe on cases; `folder` receives checkpoint.pt, log.csv, tuning.csv and events.

    `device`: "cpu" or "cuda:N". `team`: the processes that share each batch. `events`: curves for TensorBoard.
    `drawing_threads` draw patches beside the step. Raises `BadInputError` when recipe, network, cases and checkpoint do
    not suit each other.
    """

    def __init__(
        self,
        recipe: Recipe,
        train: list[Case],
        tune: list[Case],
        folder: Path,
        device: str = "cpu",
        team: Team | None = None,
        events: bool = False,
        drawing_threads: int = 1,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not train:
            raise BadInputError("There is no patient to learn from.", "Give a data set with patients for training.")
        self.recipe, self.train, self.tune, self.folder, self.device = recipe, train, tune, folder, device
        self.team, self._drawing_threads = team or Team(), drawing_threads
        self._indices = self.team.share(recipe.batch)
        torch.manual_seed(recipe.seed)
        self.network = channels_last(network_of(recipe).to(device))
        self.initial: Initial | None = None
        if recipe.initial:
            aside = [case.name for case in tune]
            self.initial = begin_with(recipe.initial, self.network, recipe.network, aside)
        self._flat = recipe.patch[0] == 1
        self._format = torch.channels_last if self._flat else torch.channels_last_3d
        require_fit(recipe.augmentation, self.network, recipe.modalities)
        optional = tuple(getattr(self.network, "optional_modalities", ()))
        require_dispensable(recipe.may_lack, optional, recipe.modalities)
        classes = recipe.objective.lesion_class_weight > 0
        if classes:
            require_classes(train, self.network)
        self.patches = PatchSettings(recipe.patch, recipe.modalities, recipe.augmentation, optional, classes)
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network,
            multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.ema_decay),  # type: ignore[no-untyped-call]
        )
        self.optimiser = adam(recipe, self.network)
        self.loss = shared(ObjectiveModule(objective_for(recipe, self.network), self.network), self.team)
        self.half = uses_bfloat16(recipe.precision, device)
        self.watch = TuningWatch(recipe.patience_scores, recipe.keep == "best")
        self.step, self.skipped, self.skipped_in_a_row, self.seconds = 0, 0, 0, 0.0
        self._ended = False
        folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._resume()
        self.logs = RunLogs(folder, self.step, events, say) if self.team.is_first else None

    @property
    def checkpoint(self) -> Path:
        """Where the state of the run is kept."""
        return self.folder / "checkpoint.pt"

    @property
    def is_finished(self) -> bool:
        """Whether the last step is done, or the tuning score has not risen for too long."""
        return self.step >= self.recipe.steps or self._ended

    def run(self, report: Report, stop_at: int | None = None) -> None:
        """Train to the recipe's last step (or `stop_at`, or the early stop), with a checkpoint at the end.

        Raises `BadInputError` after many steps without a finite loss, `OutOfMemoryError`, and `OutputError` when
        checkpoint or logs cannot be written; the last good checkpoint stays.
        """
        last = min(self.recipe.steps, stop_at or self.recipe.steps)
        with Feed(self._draw, self._indices, last, self._drawing_threads) as feed:
            while self.step < last and not self._ended:
                progress = self._advance(feed, last)
                if self.logs is not None:
                    report(progress)
        if self.logs is not None:
            self.logs.close()

    def weights(self) -> dict[str, torch.Tensor]:
        """What is scored and shipped, on the CPU: the moving average, of the last step or of the best tuning score."""
        if self.watch.keeps_weights and self.watch.weights is not None:
            return self.watch.weights
        return self.averaged_weights()

    def averaged_weights(self) -> dict[str, torch.Tensor]:
        """The moving average of the weights after the last step, on the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.average.module.state_dict().items()}

    def _advance(self, feed: Feed[Patch], last: int) -> TrainingProgress:
        """One step with all that follows from it: score, rows, checkpoint."""
        started = time.perf_counter()
        loss, dice = self._one_step(feed)
        taken = time.perf_counter() - started
        self.step += 1
        self.seconds += taken
        score = None
        if self.tune and (self.step % self.recipe.score_every == 0 or self.step == self.recipe.steps):
            score = self._score()
        if self.logs is not None:
            self._log(self.logs, loss, dice, score)
            if self.step % self.recipe.checkpoint_every == 0 or self.step == last or self._ended:
                self.logs.flush()
                self._save()
        return TrainingProgress(self.step, self.recipe.steps, loss, taken, self.recipe.batch, dice, score, self.skipped)

    def _one_step(self, feed: Feed[Patch]) -> tuple[float, float | None]:
        """Loss and, now and then, soft Dice of the batch."""
        try:
            image, target = self._batch(feed)
            # Dropout too must not depend on what went before.
            torch.manual_seed(self.recipe.seed * 1_000_003 + self.step * self.team.size + self.team.rank)
            loss = self._learn(image, target)
            has_dice = self.team.is_first and self.recipe.pretraining is None
            wants_dice = has_dice and (self.step + 1) % _DICE_EVERY == 0
            return loss, self._dice(image, target) if wants_dice else None
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            size = " x ".join(str(n) for n in self.recipe.patch)
            raise OutOfMemoryError(
                f"There is not enough memory for a step of {len(self._indices)} patches of {size} voxels.",
                "Lower batch or patch in the recipe, or close other programs.",
            ) from error

    def _learn(self, image: torch.Tensor, target: torch.Tensor) -> float:
        """One step of the optimiser; one whose loss or gradient is not finite is skipped, and nan comes back."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["base_rate"] * self._rate_factor()
        self.network.train()
        with autocast(self.half, self.device):
            loss = self.loss(image, target)
        # Gradients are averaged over processes: a share that is not the n-th part of the batch weighs as it is large.
        weight = len(self._indices) * self.team.size / self.recipe.batch
        self.optimiser.zero_grad(set_to_none=True)
        (loss if weight == 1 else loss * weight).backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        value = self.team.summed(float(loss.detach()) * weight, self.device) / self.team.size
        if not (math.isfinite(value) and math.isfinite(float(norm))):
            self._skip()
            return math.nan
        self.skipped_in_a_row = 0
        self.optimiser.step()
        self.average.update_parameters(self.network)
        return value

    def _skip(self) -> None:
        # The forward pass of a BatchNorm has already taken in what was not finite; the average holds it as it was.
        for mine, before in zip(self.network.buffers(), self.average.module.buffers(), strict=True):
            mine.copy_(before)
        self.skipped += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row >= _MOST_SKIPPED:
            raise BadInputError(
                f"The loss was not a finite number in {_MOST_SKIPPED} steps in a row, up to step {self.step + 1}.",
                'Lower learning_rate or gradient_clip in the recipe, or set precision = "float32".',
            )

    def _dice(self, image: torch.Tensor, target: torch.Tensor) -> float:
        self.network.eval()
        with torch.no_grad(), autocast(self.half, self.device):
            return 1 - float(soft_dice_loss(self.network(image), target[:, :1]))

    def _batch(self, feed: Feed[Patch]) -> tuple[torch.Tensor, torch.Tensor]:
        drawn = feed.batch(self.step)
        image, target = torch.stack([one.image for one in drawn]), torch.stack([one.target for one in drawn])
        if self._flat:
            image, target = image[:, :, 0], target[:, :, 0]
        return image.to(self.device, memory_format=self._format), target.to(self.device)

    def _draw(self, step: int, index: int) -> Patch:
        rng = np.random.default_rng([self.recipe.seed, step, index])
        # A shuffled deck of patients a round: every patient is seen equally often.
        drawn = step * self.recipe.batch + index
        deck = np.random.default_rng([self.recipe.seed, 7, drawn // len(self.train)]).permutation(len(self.train))
        return draw_patch(self.train[deck[drawn % len(self.train)]], self.patches, rng)

    def _rate_factor(self) -> float:
        r = self.recipe
        return rate_factor(r.schedule, self.step, r.steps, r.warm_up_steps, r.polynomial_power)

    def tuning_score(self) -> Score:
        """The averaged weights on the tuning patients."""
        network, recipe = self.average.module, self.recipe
        if recipe.pretraining is not None:
            network = cast(MaskedReconstruction, network)
            return score_pretraining(network, self.tune, recipe.patch, recipe.modalities, self.device)
        return score_cases(network, self.tune, recipe.patch, recipe.modalities, self.device)

    def _score(self) -> Score | None:
        """Scored by the first of the team; all of it ends when that one says so."""
        score = None
        if self.team.is_first:
            score = self.tuning_score()
            self.watch.see(self.step, score.mean, self.averaged_weights())
        self._ended = self.team.as_the_first_says(self.watch.is_over, self.device)
        return score

    def _log(self, logs: RunLogs, loss: float, dice: float | None, score: Score | None) -> None:
        rate = self._rate_factor()
        shown = "" if dice is None else f"{dice:.4f}"
        logs.row(STEPS, self.step, {"loss": f"{loss:.6f}", "lr": f"{rate:.6f}", "dice": shown})
        points = {"loss": loss, "learning rate": rate * self.recipe.learning_rate}
        if dice is not None:
            points["batch/soft Dice"] = dice
        if score is not None:
            logs.row(TUNING, self.step, score.row())
            points |= score.points()
        logs.points(self.step, points)

    @property
    def _initial_sha256(self) -> str:
        return "" if self.initial is None else self.initial.sha256

    def _save(self) -> None:
        state = {
            "recipe": identity(self.recipe),
            "patients": [case.name for case in self.train],
            "initial": self._initial_sha256,
            "step": self.step,
            "skipped": [self.skipped, self.skipped_in_a_row],
            "seconds": self.seconds,
            "watch": self.watch.state(),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        write_checkpoint(self.checkpoint, state)

    def _resume(self) -> None:
        patients = [case.name for case in self.train]
        state = read_checkpoint(self.checkpoint, self.recipe, patients, self._initial_sha256, self.device)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = int(state["step"]), float(state["seconds"])
        self.skipped, self.skipped_in_a_row = state["skipped"]
        self.watch.restore(state["watch"])
        self._ended = self.watch.is_over
