"""Threshold and smallest lesion of a model, chosen on the tuning patients only, on the CT grid and in both crops."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from petctfusion.inference import LoadedModel, SegmentOptions, segment_study
from petctfusion.inference.postprocess import labels_from_probability
from petctfusion.metrics import compare
from petctfusion.training.benchmark import Study
from petctfusion.volumes.geometry import Geometry

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
SMALLEST_ML = (0.0, 0.5, 2.0, 5.0)
# 10 mm of HD95 weigh as much as 0.1 Dice: both are reported, neither may be bought with the other.
_DICE_PER_MM = 0.01


@dataclass(frozen=True)
class Choice:
    """One setting and what it reached on the tuning patients (mean over patients and crops)."""

    threshold: float
    smallest_component_ml: float
    dice: float
    hd95_mm: float

    @property
    def merit(self) -> float:
        """What is maximised."""
        return self.dice - _DICE_PER_MM * self.hd95_mm


def calibrate(
    studies: list[Study], model: LoadedModel, options: SegmentOptions, report: Callable[[str], None]
) -> list[Choice]:
    """All settings, best first. Each study runs once; the settings are applied to its probability."""
    probabilities = []
    for study in studies:
        probabilities.append(segment_study({"CT": study.ct, "PET": study.pet}, model, options).probability)
        report(f"{study.patient} {study.crop}")
    choices = [
        _measure(studies, probabilities, threshold, smallest, model.card.smallest_component_share)
        for threshold, smallest in itertools.product(THRESHOLDS, SMALLEST_ML)
    ]
    return sorted(choices, key=lambda choice: -choice.merit)


def _measure(
    studies: list[Study], probabilities: list[sitk.Image], threshold: float, smallest_ml: float, smallest_share: float
) -> Choice:
    dices, distances = [], []
    for study, probability in zip(studies, probabilities, strict=True):
        geometry = Geometry.of(probability)
        array = sitk.GetArrayFromImage(probability)
        labels = labels_from_probability(
            array, geometry.voxel_ml, threshold, smallest_ml, smallest_component_share=smallest_share
        )
        comparison = compare(geometry.image(labels), study.contour)
        dices.append(comparison.dice)
        # A missing contour counts as the diagonal of the study: worse than any contour in it.
        diagonal = float(np.linalg.norm(np.asarray(geometry.size) * geometry.spacing))
        distances.append(min(comparison.hd95_mm, diagonal))
    return Choice(threshold, smallest_ml, float(np.mean(dices)), float(np.mean(distances)))
