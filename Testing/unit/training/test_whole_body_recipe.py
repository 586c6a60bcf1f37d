"""The recipe for whole bodies, and what it asks of the trainer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from petctfusion.training.augmentation import Augmentation
from petctfusion.training.calibration import Choice
from petctfusion.training.cases import Case
from petctfusion.training.patches import PatchSettings, draw_patch
from petctfusion.training.recipe import read_recipe

_STILL = Augmentation(
    uncropped_probability=1.0, foreground_probability=1.0, rotation_deg=0.0, zoom=(1.0, 1.0), elastic_probability=0.0
)


def _two_lesions() -> Case:
    """A large lesion at one end, one of a voxel at the other; too far from each other for one patch."""
    contour = np.zeros((80, 20, 20), dtype=np.float32)
    contour[4:18, 3:17, 3:17] = 1.0
    contour[70, 10, 10] = 1.0
    image = np.stack([np.zeros_like(contour), contour])
    return Case("two", image, contour, np.argwhere(contour >= 0.5), (4.0, 4.0, 4.0))


def test_a_case_knows_its_lesions() -> None:
    case = _two_lesions()
    assert [len(voxels) for voxels in case.lesions] == [14**3, 1]
    empty = replace(case, contour=np.zeros_like(case.contour), foreground=np.empty((0, 3), dtype=np.int64))
    assert empty.lesions == []


def test_small_lesions_are_looked_for_as_often_as_large_ones() -> None:
    case = _two_lesions()

    def small_share(change: Augmentation) -> float:
        settings = PatchSettings((16, 16, 16), augmentation=change)
        drawn = [draw_patch(case, settings, np.random.default_rng([1, n])).target.sum() for n in range(60)]
        return float(np.mean([0 < float(volume) < 3 for volume in drawn]))

    assert small_share(_STILL) == 0.0
    assert 0.3 < small_share(replace(_STILL, lesions_alike=True)) < 0.7


def test_the_recipe_says_that_nothing_real_was_learnt() -> None:
    recipe = read_recipe("whole_body_phantom")
    assert "Simulated" in recipe.about.data
    assert any("never on a real patient" in line for line in recipe.about.not_for)
    assert recipe.augmentation.uncropped_probability == 1.0
    # A quarter of the phantoms has no lesion.
    assert 0.75 * recipe.augmentation.foreground_probability < 0.8


def test_with_several_lesions_a_choice_is_worth_dice_and_lesion_f1() -> None:
    assert Choice(0.5, 0.0, 0.8, 300.0, 0.6).merit == 0.7
    assert Choice(0.5, 0.0, 0.8, 10.0).merit == 0.8 - 0.1
