"""System E as the paper has it: the contour, and beside it what kind of lesion it is, where a data set says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from petctfusion.errors import BadInputError
from petctfusion.training.cases import Case
from petctfusion.training.objectives.contour import ContourObjective
from petctfusion.training.objectives.tumour_class import class_count, shows_tumour


@dataclass(frozen=True)
class LesionClassObjective:
    """The contour's loss plus `weight` times the cross-entropy of the class, over the patches that show the lesion.

    The target's second channel holds the class at the lesion's voxels (`training.patches`).
    """

    contour: ContourObjective
    weight: float

    def __call__(self, network: nn.Module, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss of one batch."""
        logits, scores = network.forward_with_class(image)  # type: ignore[operator]
        loss = self.contour.of_levels(network, [logits], target[:, :1])
        shows = shows_tumour(target[:, 0]).bool()
        if not shows.any():
            return loss
        classes = target[:, 1].flatten(1).amax(dim=1).long()
        entropy = nn.functional.cross_entropy(scores.float()[shows], classes[shows])
        return loss + self.weight * entropy


def require_classes(cases: Sequence[Case], network: nn.Module) -> None:
    """Raises `BadInputError` for a case without a class, or with one that the classifier does not have."""
    count = class_count(network)
    for case in cases:
        if case.lesion_class is None:
            raise BadInputError(
                f"{case.name} has no class to be learnt.", "Fill in the column class of the table (--kind csv)."
            )
        if case.lesion_class >= count:
            raise BadInputError(
                f"{case.name} is of class {case.lesion_class}, and the classifier knows {count}, counted from 0.",
                "Set lesion_classes in [arguments].",
            )
