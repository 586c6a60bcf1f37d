"""System E: the contour, and beside it the classifier.

The paper's classifier (Suraj and Malik 2025) tells benign from malignant. No data set here has such labels, and none
are made up: the classifier learns instead whether the patch shows tumour (class 1) or none (class 0), which every
contour answers. It says nothing about malignancy.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from petctfusion.errors import BadInputError
from petctfusion.training.objectives.contour import ContourObjective


@dataclass(frozen=True)
class TumourClassObjective:
    """The contour's loss plus `weight` times the cross-entropy of "the patch shows tumour"."""

    contour: ContourObjective
    weight: float

    def __call__(self, network: nn.Module, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss of one batch."""
        logits, scores = network.forward_with_class(image)  # type: ignore[operator]
        tumour = target[:, network.tumour_label]  # type: ignore[index]
        entropy = nn.functional.cross_entropy(scores.float(), shows_tumour(tumour))
        return self.contour.of_levels(network, [logits], target) + self.weight * entropy


def shows_tumour(share: torch.Tensor) -> torch.Tensor:
    """Contour shares `(B, *spatial)` to 1 where a voxel is at least half inside the contour, else 0: `(B,)`."""
    return (share.flatten(1).amax(dim=1) >= 0.5).long()


def class_count(network: nn.Module) -> int:
    """Classes that the network's classifier tells apart."""
    return int(network.classifier[-1].out_features)  # type: ignore[index,union-attr,arg-type]


def require_classifier(network: nn.Module, wanted: int | None = 2) -> None:
    """Raises `BadInputError` when the network has no classifier of so many classes (None: any number)."""
    if not hasattr(network, "forward_with_class"):
        raise BadInputError("This network has no classifier to teach.", "Leave the class out of [objective].")
    classes = class_count(network)
    if wanted is not None and classes != wanted:
        raise BadInputError(
            f"The patch shows tumour or not: two classes, and this classifier has {classes}.",
            "Leave lesion_classes out of [arguments].",
        )
