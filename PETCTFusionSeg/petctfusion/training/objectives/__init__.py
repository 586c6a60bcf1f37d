"""What a network is trained to do: the loss of one batch, chosen by the recipe's table [objective]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

from petctfusion.errors import BadInputError
from petctfusion.training.objectives.clicks import ClickObjective
from petctfusion.training.objectives.contour import ContourObjective
from petctfusion.training.objectives.lesion_class import LesionClassObjective
from petctfusion.training.objectives.masked_reconstruction import ReconstructionObjective
from petctfusion.training.objectives.organs import OrganObjective, require_organ_student
from petctfusion.training.objectives.tumour_class import TumourClassObjective, require_classifier

if TYPE_CHECKING:
    from petctfusion.training.recipe import Recipe

__all__ = ["Objective", "objective_for"]


class Objective(Protocol):
    """The loss of one batch, a float32 scalar; no state beyond the network's parameters.

    Random numbers come from torch's generator on the CPU, which the trainer seeds at every step.

    image `(B, M, *spatial)` in HU and SUVbw, target `(B, K, *spatial)` contour shares in [0, 1].
    """

    def __call__(self, network: nn.Module, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss, mean over the batch."""
        ...


def objective_for(recipe: Recipe, network: nn.Module) -> Objective:
    """The objective of a recipe for the network it builds: the contour's loss, unless [objective] asks for more.

    A pre-training has its own, and so has a recipe with clicks.

    Raises `BadInputError` when [objective] asks for what the network does not have.
    """
    if recipe.pretraining is not None:
        return ReconstructionObjective()
    if recipe.clicks is not None:
        pet = recipe.modalities.index("PET") if "PET" in recipe.modalities else None
        return ClickObjective(recipe.clicks, recipe.spacing_mm, pet)
    contour, wanted = ContourObjective(recipe.loss), recipe.objective
    if wanted.organ_weight > 0 and max(wanted.class_weight, wanted.lesion_class_weight) > 0:
        raise BadInputError(
            "No network here has both an organ student and a classifier.",
            "Keep one of organ_weight and the weights of classes in [objective].",
        )
    if wanted.organ_weight > 0:
        channel = require_organ_student(network, recipe.modalities)
        return OrganObjective(contour, channel, wanted.organ_weight, wanted.organ_confidence)
    if getattr(network, "student", None) is not None and not getattr(network, "prompt_gradient", True):
        raise BadInputError(
            "With prompt_gradient = false nothing teaches the organ student.",
            "Set organ_weight in [objective], or leave prompt_gradient out of [arguments].",
        )
    if wanted.lesion_class_weight > 0:
        require_classifier(network, None)
        return LesionClassObjective(contour, wanted.lesion_class_weight)
    if wanted.class_weight > 0:
        require_classifier(network)
        return TumourClassObjective(contour, wanted.class_weight)
    return contour
