"""System C: the contour, and beside it the organ student that makes the prompts.

Huang et al. (Medical Image Analysis 110:103956, 2026) name organ pseudo-labels by a teacher without details. The
teacher here is the rules of `organ_teacher`, which know tissues by their HU: no organ labels are needed, none exist for
these patients. The student may thus only be asked for `CT_TISSUES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from petctfusion.errors import BadInputError
from petctfusion.networks.anatomy_prompted.organ_teacher import (
    CT_TISSUES,
    ct_tissue_probabilities,
    organ_loss,
    pseudo_labels,
)
from petctfusion.training.objectives.contour import ContourObjective


@dataclass(frozen=True)
class OrganObjective:
    """The contour's loss plus `weight` times the organ student's; `channel`: where the CT is in the image."""

    contour: ContourObjective
    channel: int
    weight: float
    confidence: float

    def __call__(self, network: nn.Module, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss of one batch."""
        levels, organs = network.forward_levels_with_organs(image)  # type: ignore[operator]
        with torch.no_grad():
            ct = image[:, self.channel : self.channel + 1]
            labels = pseudo_labels(ct_tissue_probabilities(ct), self.confidence)
        return self.contour.of_levels(network, levels, target) + self.weight * organ_loss(organs, labels)


def require_organ_student(network: nn.Module, modalities: Sequence[str]) -> int:
    """The channel of the CT. Raises `BadInputError` when the network has no student of `CT_TISSUES`, or sees no CT."""
    if getattr(network, "student", None) is None:
        raise BadInputError("This network has no organ student to teach.", "Leave organ_weight out of [objective].")
    if tuple(network.organs) != CT_TISSUES:  # type: ignore[arg-type]
        raise BadInputError(
            f"The CT teaches {', '.join(CT_TISSUES)}, not {', '.join(network.organs)}.",  # type: ignore[arg-type]
            f"Set organs = {list(CT_TISSUES)} in [arguments].",
        )
    if "CT" not in modalities:
        raise BadInputError("The organ student learns from HU, and there is no CT.", "Leave organ_weight out.")
    return list(modalities).index("CT")
