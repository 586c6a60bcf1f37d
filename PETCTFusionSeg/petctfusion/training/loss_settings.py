"""Which loss a recipe trains with; no torch here, so that recipes are read without it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from petctfusion.errors import BadInputError


@dataclass(frozen=True)
class LossSettings:
    """The table [loss] of a recipe: the weight of each part, 0 for none, and the numbers of the focal Tversky loss.

    `dice_without_tumour`: whether patches without tumour count in the Dice part, where every voxel that is marked costs
    nearly all of it. Where most patches have none, that silences a network before it has found anything.

    Raises `BadInputError` when no part is left or a number makes no sense.
    """

    dice: float = 1.0
    cross_entropy: float = 1.0
    focal_tversky: float = 0.0
    false_negative_weight: float = 0.7
    false_positive_weight: float = 0.3
    focal_gamma: float = 4 / 3
    dice_without_tumour: bool = True

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if not 0 <= value < math.inf:
                raise BadInputError(f"{f.name} = {value!r} must be 0 or more.", "Correct [loss].")
        if self.dice + self.cross_entropy + self.focal_tversky == 0:
            raise BadInputError(
                "The loss has no part left: dice, cross_entropy and focal_tversky are all 0.", "Correct [loss]."
            )
        if self.focal_gamma < 1:
            raise BadInputError(
                f"focal_gamma = {self.focal_gamma!r} must be 1 or more.", "1 is the plain Tversky loss; 4/3 is usual."
            )
