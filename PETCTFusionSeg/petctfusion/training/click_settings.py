"""How clicks are simulated in training patches: the table [clicks] of a recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass

from petctfusion.errors import BadInputError


@dataclass(frozen=True)
class ClickSettings:
    """`radius_mm`: of the blob that shows a click to the network (`inference.guidance`), kept in the model's card.

    `clicks`: so many in a patch, one after the other, each answered and learnt from before the next is made. Raises
    `BadInputError`.
    """

    clicks: int = 4
    radius_mm: float = 8.0

    def __post_init__(self) -> None:
        if self.clicks < 1:
            raise BadInputError(f"clicks = {self.clicks} must be 1 or more.", "Correct [clicks].")
        if not 0 < self.radius_mm < math.inf:
            raise BadInputError(f"radius_mm = {self.radius_mm} must be more than 0.", "Correct [clicks].")
