"""A plain trainer: deterministic by seed, killed at any point and resumed to the same weights on a CPU.

Every random number of step n comes from (seed, n), so a resumed run needs no generator state; the checkpoint holds
weights, their moving average, the optimiser and the step, and is replaced atomically.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from petctfusion.networks import build
from petctfusion.networks.weight_decay import decays
from petctfusion.training.augmentation.fitness import require_fit
from petctfusion.training.cases import Case
from petctfusion.training.losses import deep_supervision_loss
from petctfusion.training.patches import PatchSettings, draw_patch
from petctfusion.training.recipe import Recipe
from petctfusion.training.schedules import rate_factor
from petctfusion.training.tuning import TuningScore, score_cases

Report = Callable[["TrainingProgress"], None]
_LOG, _TUNING_LOG = "log.csv", "tuning.csv"


@dataclass(frozen=True)
class TrainingProgress:
    """What the progress bar and the log show after a step; `score` only after the tuning patients were scored."""

    step: int
    steps: int
    loss: float
    seconds_per_step: float
    score: TuningScore | None = None


class Trainer:
    """Trains the network of a recipe on cases; `folder` receives checkpoint.pt, log.csv and tuning.csv."""

    def __init__(self, recipe: Recipe, train: list[Case], tune: list[Case], folder: Path, device: str = "cpu") -> None:
        self.recipe, self.train, self.tune, self.folder, self.device = recipe, train, tune, folder, device
        torch.manual_seed(recipe.seed)
        self.network = build(recipe.network, **recipe.arguments).to(device)
        self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        require_fit(recipe.augmentation, self.network, recipe.modalities)
        optional = tuple(getattr(self.network, "optional_modalities", ()))
        self.patches = PatchSettings(recipe.patch, recipe.modalities, recipe.augmentation, optional)
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network,
            multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.ema_decay),  # type: ignore[no-untyped-call]
        )
        self.optimiser = torch.optim.AdamW(self._parameter_groups(), lr=recipe.learning_rate)
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._resume()

    @property
    def checkpoint(self) -> Path:
        """Where the state of the run is kept."""
        return self.folder / "checkpoint.pt"

    def run(self, report: Report, stop_at: int | None = None) -> None:
        """Train to the recipe's last step (or `stop_at`), with a checkpoint at the end."""
        last = min(self.recipe.steps, stop_at or self.recipe.steps)
        while self.step < last:
            started = time.perf_counter()
            loss = self._one_step()
            self.step += 1
            score = None
            if self.tune and (self.step % self.recipe.score_every == 0 or self.step == self.recipe.steps):
                score = score_cases(self.average.module, self.tune, self.recipe.patch, self.device)
                self._log(_TUNING_LOG, {"step": self.step, **score.row()})
            progress = TrainingProgress(self.step, self.recipe.steps, loss, time.perf_counter() - started, score)
            self._log(_LOG, {"step": self.step, "loss": f"{loss:.6f}", "lr": f"{self._rate_factor():.6f}"})
            if self.step % self.recipe.checkpoint_every == 0 or self.step == last:
                self._save()
            report(progress)

    def averaged_weights(self) -> dict[str, torch.Tensor]:
        """The moving average of the weights, on the CPU: what is scored and shipped."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.average.module.state_dict().items()}

    def _one_step(self) -> float:
        batch = [self._draw(index) for index in range(self.recipe.batch)]
        image = torch.stack([patch.image for patch in batch]).to(self.device, memory_format=torch.channels_last_3d)
        target = torch.stack([patch.target for patch in batch]).to(self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = group["base_rate"] * self._rate_factor()
        self.network.train()
        level_weights = getattr(self.network, "level_weights", None)
        loss = deep_supervision_loss(self._levels(image), target, self.recipe.loss, level_weights)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        self.optimiser.step()
        self.average.update_parameters(self.network)
        return float(loss.detach())

    def _levels(self, image: torch.Tensor) -> list[torch.Tensor]:
        forward_levels = getattr(self.network, "forward_levels", None)
        return forward_levels(image) if forward_levels is not None else [self.network(image)]

    def _draw(self, index: int) -> Any:
        rng = np.random.default_rng([self.recipe.seed, self.step, index])
        # A shuffled deck of patients a round: every patient is seen equally often.
        drawn = self.step * self.recipe.batch + index
        deck = np.random.default_rng([self.recipe.seed, 7, drawn // len(self.train)]).permutation(len(self.train))
        return draw_patch(self.train[deck[drawn % len(self.train)]], self.patches, rng)

    def _rate_factor(self) -> float:
        r = self.recipe
        return rate_factor(r.schedule, self.step, r.steps, r.warm_up_steps, r.polynomial_power)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Zero layers (physical units) and what `decays` excepts without weight decay; zero layers at a lower rate."""
        recipe = self.recipe
        physical = set(getattr(self.network, "physical_parameters", list)())
        others = [(name, p) for name, p in self.network.named_parameters() if p not in physical]
        groups = (
            ([p for name, p in others if decays(name, p)], recipe.learning_rate, recipe.weight_decay),
            ([p for name, p in others if not decays(name, p)], recipe.learning_rate, 0.0),
            (list(physical & set(self.network.parameters())), recipe.learning_rate * recipe.physical_rate_factor, 0.0),
        )
        ordered = {id(p): i for i, p in enumerate(self.network.parameters())}
        return [
            {"params": sorted(ps, key=lambda p: ordered[id(p)]), "lr": rate, "base_rate": rate, "weight_decay": decay}
            for ps, rate, decay in groups
            if ps
        ]

    def _save(self) -> None:
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        temporary = self.checkpoint.with_suffix(".part")
        torch.save(state, temporary)
        temporary.replace(self.checkpoint)

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])
        for name in (_LOG, _TUNING_LOG):
            self._forget_later_rows(self.folder / name)

    def _forget_later_rows(self, path: Path) -> None:
        """Steps after the checkpoint are done again: their rows would stand twice."""
        if path.exists():
            header, *rows = path.read_text().splitlines()
            kept = [row for row in rows if int(row.partition(",")[0]) <= self.step]
            path.write_text("\n".join([header, *kept]) + "\n")

    def _log(self, name: str, row: dict[str, Any]) -> None:
        path = self.folder / name
        is_new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)
