"""Threshold and smallest lesion of a model, chosen on the tuning patients only, on the first modality's grid."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from petctfusion.inference import AnyLoaded, SegmentOptions, segment_study
from petctfusion.inference.postprocess import labels_from_probability
from petctfusion.metrics import compare
from petctfusion.training.tuning_studies import TuningStudy
from petctfusion.volumes.geometry import Geometry

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
SMALLEST_ML = (0.0, 0.5, 2.0, 5.0)
# 10 mm of HD95 weigh as much as 0.1 Dice: both are reported, neither may be bought with the other.
_DICE_PER_MM = 0.01
# Over five patients merit is flat and noisy about its peak: nearer than this it says nothing, and 0.5 is what the
# network was trained for.
_NO_DIFFERENCE = 0.005


@dataclass(frozen=True)
class Choice:
    """One setting and what it reached on the tuning patients (mean over patients and crops).

    `lesion_f1` is None where every patient has one lesion.
    """

    threshold: float
    smallest_component_ml: float
    dice: float
    hd95_mm: float
    lesion_f1: float | None = None

    @property
    def merit(self) -> float:
        """What is maximised. With several lesions or none, HD95 tells how far off one false spot is, and little else:
        the lesion F1 stands in its place."""
        if self.lesion_f1 is not None:
            return (self.dice + self.lesion_f1) / 2
        return self.dice - _DICE_PER_MM * self.hd95_mm


def calibrate(
    studies: Iterable[TuningStudy],
    model: AnyLoaded,
    options: SegmentOptions,
    report: Callable[[str], None],
    one_lesion_each: bool = True,
) -> list[Choice]:
    """All settings, best first. Each study runs once; the settings are applied to its probability."""
    settings = list(itertools.product(THRESHOLDS, SMALLEST_ML))
    measured: list[list[tuple[float, float, float]]] = []
    for study in studies:
        probability = segment_study(study.volumes, model, options).probability
        share = model.card.smallest_component_share
        measured.append([_measure(study, probability, threshold, ml, share) for threshold, ml in settings])
        report(f"{study.patient} {study.crop}")
    choices = []
    for number, (threshold, ml) in enumerate(settings):
        dice, hd95_mm, lesion_f1 = (float(np.mean(v)) for v in zip(*(row[number] for row in measured), strict=True))
        choices.append(Choice(threshold, ml, dice, hd95_mm, None if one_lesion_each else lesion_f1))
    return sorted(choices, key=lambda choice: -choice.merit)


def choose(choices: Iterable[Choice]) -> Choice:
    """Of the settings as good as the best, the one nearest to threshold 0.5, then the smallest lesion."""
    found = list(choices)
    best = max(choice.merit for choice in found)
    alike = [choice for choice in found if choice.merit >= best - _NO_DIFFERENCE]
    return min(alike, key=lambda c: (round(abs(c.threshold - 0.5), 6), c.smallest_component_ml, -c.merit))


def _measure(
    study: TuningStudy, probability: sitk.Image, threshold: float, smallest_ml: float, smallest_share: float
) -> tuple[float, float, float]:
    """Dice, HD95 (mm) and lesion F1 of one setting."""
    geometry = Geometry.of(probability)
    array = sitk.GetArrayFromImage(probability)
    labels = labels_from_probability(
        array, geometry.voxel_ml, threshold, smallest_ml, smallest_component_share=smallest_share
    )
    comparison = compare(geometry.image(labels), study.contour)
    # A missing contour counts as the diagonal of the study: worse than any contour in it.
    diagonal = float(np.linalg.norm(np.asarray(geometry.size) * geometry.spacing))
    return comparison.dice, min(comparison.hd95_mm, diagonal), comparison.lesions.f1
