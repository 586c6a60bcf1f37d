"""Several processes, one training: each takes its share of every batch, and the gradients are those of the whole.

Started by `torchrun`, which says in the environment who is who. One process alone is a team of one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed, nn

from petctfusion.errors import BadInputError
from petctfusion.training.objectives import Objective

# The others wait while the first scores the tuning patients; torch's ten minutes are too few for whole bodies.
_PATIENCE = timedelta(hours=6)


@dataclass(frozen=True)
class Team:
    """Which process this is, of how many; `local_rank` counts on this machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """The one that writes, scores and reports."""
        return self.rank == 0

    def share(self, batch: int) -> range:
        """The numbers of this process's patches in a batch. Raises `BadInputError` when there is none for somebody."""
        if batch < self.size:
            raise BadInputError(
                f"A batch of {batch} patches cannot be shared by {self.size} processes.",
                "Start fewer processes, or raise batch in the recipe.",
            )
        return range(self.rank, batch, self.size)

    def wait(self) -> None:
        """Until everybody is here."""
        if self.size > 1:
            distributed.barrier()

    def summed(self, value: float, device: str) -> float:
        """The sum over all processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=device)
        distributed.all_reduce(total)
        return float(total)

    def as_the_first_says(self, answer: bool, device: str) -> bool:
        """`answer` of the first process, everywhere."""
        return bool(self.summed(float(answer and self.is_first), device))


class ObjectiveModule(nn.Module):
    """The loss as a module, as PyTorch's wrapper wants it: it sees only what passes through `forward`."""

    def __init__(self, objective: Objective, network: nn.Module) -> None:
        super().__init__()
        self.objective, self.network = objective, network

    def forward(self, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss of one batch, a scalar."""
        return self.objective(self.network, image, target)


def shared(module: ObjectiveModule, team: Team) -> nn.Module:
    """`module` with gradients averaged over the team; itself where there is no other."""
    if team.size == 1:
        return module
    # Heads of weight 0 and modalities left out take no part in a loss.
    return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)


def team_here() -> Team:
    """The team that `torchrun` names in the environment, or this process alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    return Team(int(os.environ["RANK"]), size, int(os.environ.get("LOCAL_RANK", "0"))) if size > 1 else Team()


@contextmanager
def connected(team: Team, device: str) -> Iterator[None]:
    """The processes of `team` can talk meanwhile: on "cpu" by gloo, on GPUs by nccl."""
    if device != "cpu":
        torch.cuda.set_device(device)
    if team.size == 1:
        yield
        return
    distributed.init_process_group("gloo" if device == "cpu" else "nccl", timeout=_PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()
