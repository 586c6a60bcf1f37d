"""How the learning rate goes over a run: a linear warm-up times a cosine, a polynomial, or nothing."""

from __future__ import annotations

import math
from collections.abc import Callable

from petctfusion.errors import BadInputError
from petctfusion.training.settings import did_you_mean

SCHEDULES: dict[str, Callable[[float, float], float]] = {
    # Loshchilov and Hutter, arXiv 1608.03983, without restarts.
    "cosine": lambda done, _: 0.5 * (1 + math.cos(math.pi * done)),
    # Chen et al., DeepLab, arXiv 1606.00915; with power 0.9 nnU-Net's.
    "polynomial": lambda done, power: float((1 - done) ** power),
    "constant": lambda _done, _power: 1.0,
}


def require_schedule(name: str, polynomial_power: float) -> None:
    """Raises `BadInputError` for a schedule that is not known and for a power that would raise the rate."""
    if name not in SCHEDULES:
        raise BadInputError(f"There is no schedule {name!r}.", did_you_mean(name, SCHEDULES))
    if not 0 < polynomial_power < math.inf:
        raise BadInputError(f"polynomial_power = {polynomial_power!r} must be more than 0.", "0.9 is usual.")


def rate_factor(schedule: str, step: int, steps: int, warm_up_steps: int, polynomial_power: float = 0.9) -> float:
    """What the learning rate is multiplied by at `step` (from 0) of `steps`, from 0 to 1.

    The warm-up rises by 1 / `warm_up_steps` a step and multiplies the schedule, which runs over all `steps`.
    """
    warm = min(1.0, (step + 1) / max(1, warm_up_steps))
    return warm * SCHEDULES[schedule](min(1.0, step / steps), polynomial_power)
