"""What a recipe trains besides the contour; no torch here, so that recipes are read without it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from petctfusion.errors import BadInputError


@dataclass(frozen=True)
class ObjectiveSettings:
    """The table [objective] of a recipe: weights beside the contour's loss, 0 for none.

    `organ_weight`: of the organ student of anatomy_prompted, taught by the tissues that the HU tell apart;
    `organ_confidence`: the teacher's probability above which a voxel teaches. `class_weight`: of dual_attention's
    classifier, taught whether the patch shows tumour; `lesion_class_weight`: of the same, taught instead what kind of
    lesion it shows, as the data set says. Raises `BadInputError` for numbers that make no sense.
    """

    organ_weight: float = 0.0
    organ_confidence: float = 0.9
    class_weight: float = 0.0
    lesion_class_weight: float = 0.0

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if not 0 <= value < math.inf:
                raise BadInputError(f"{f.name} = {value!r} must be 0 or more.", "Correct [objective].")
        if self.class_weight > 0 and self.lesion_class_weight > 0:
            raise BadInputError(
                "One classifier cannot learn two things.", "Keep one of class_weight and lesion_class_weight."
            )
        if self.organ_confidence >= 1:
            raise BadInputError(
                f"organ_confidence = {self.organ_confidence!r} must be below 1: no voxel would teach.",
                "Correct [objective]; 0.9 is usual.",
            )
