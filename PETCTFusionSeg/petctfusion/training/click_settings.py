"""How clicks are simulated in training patches: the table [clicks] of a recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass

from petctfusion.errors import BadInputError


@dataclass(frozen=True)
class ClickSettings:
    """`radius_mm`: of the blob that shows a click to the network (`inference.guidance`), kept in the model's card.

    A patch has no click with `none_probability`, otherwise 1 to `max_clicks`. Raises `BadInputError`.
    """

    max_clicks: int = 10
    radius_mm: float = 12.0
    none_probability: float = 0.3

    def __post_init__(self) -> None:
        if self.max_clicks < 1:
            raise BadInputError(f"max_clicks = {self.max_clicks} must be 1 or more.", "Correct [clicks].")
        if not 0 < self.radius_mm < math.inf:
            raise BadInputError(f"radius_mm = {self.radius_mm} must be more than 0.", "Correct [clicks].")
        if not 0 <= self.none_probability < 1:
            raise BadInputError(
                f"none_probability = {self.none_probability} must be from 0 to less than 1.",
                "A network that never sees a click has no use for [clicks].",
            )
