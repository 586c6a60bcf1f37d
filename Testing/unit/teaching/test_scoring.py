"""Scores against counted voxels, and what is said of empty drawings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.teaching import PassingMarks, score_drawing
from petctfusion.volumes.geometry import Geometry

SPACING, ORIGIN = (1.0, 2.0, 4.0), (-10.0, 5.0, 100.0)
VOXEL_ML = 0.008


def _mask(*boxes: tuple[slice, slice, slice]) -> sitk.Image:
    array = np.zeros((12, 20, 30), dtype=np.uint8)
    for box in boxes:
        array[box] = 1
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    return image


TRUTH = np.s_[3:8, 4:12, 5:15]
SMALL = np.s_[2:4, 16:18, 24:26]


def test_missed_and_extra_volume_are_counted_voxels():
    score = score_drawing(_mask(np.s_[3:8, 4:12, 8:20]), _mask(TRUTH))
    assert score.missed_ml == pytest.approx(5 * 8 * 3 * VOXEL_ML)
    assert score.extra_ml == pytest.approx(5 * 8 * 5 * VOXEL_ML)
    assert score.dice == pytest.approx(2 * 280 / (400 + 480))
    assert (score.volume_ml, score.reference_volume_ml) == pytest.approx((480 * VOXEL_ML, 400 * VOXEL_ML))


def test_the_worst_place_is_where_the_drawing_runs_away():
    score = score_drawing(_mask(TRUTH, np.s_[5:6, 6:7, 15:24]), _mask(TRUTH))
    assert score.worst is not None
    assert (score.worst.distance_mm, score.worst.on) == (9.0, "drawing")
    np.testing.assert_allclose(score.worst.point, (-10 + 23 * 1.0, 5 + 6 * 2.0, 100 + 5 * 4.0))


def test_lesions_are_found_missed_and_invented():
    score = score_drawing(_mask(TRUTH, np.s_[9:10, 1:3, 1:3]), _mask(TRUTH, SMALL))
    assert (score.lesions_found, score.lesions_missed, score.lesions_extra) == (1, 1, 1)
    assert score.worst is not None
    assert score.worst.on == "reference"


def test_an_equal_drawing_is_perfect():
    score = score_drawing(_mask(TRUTH), _mask(TRUTH))
    assert (score.dice, score.hd95_mm, score.missed_ml, score.extra_ml, score.worst) == (1, 0, 0, 0, None)
    assert score.shortcomings(PassingMarks(1.0, 0.0, 0.0, 0.0)) == ()


def test_an_empty_drawing_of_a_tumour_and_of_none():
    missed = score_drawing(_mask(), _mask(TRUTH))
    assert (missed.dice, missed.lesions_missed, missed.worst) == (0, 1, None)
    assert math.isinf(missed.hd95_mm)
    assert missed.hd95_text == "no contour"
    assert missed.missed_ml == pytest.approx(400 * VOXEL_ML)
    assert len(missed.shortcomings(PassingMarks(0.5, 10.0))) == 2
    right = score_drawing(_mask(), _mask())
    assert (right.dice, right.hd95_mm, right.lesions_missed) == (1, 0, 0)
    invented = score_drawing(_mask(TRUTH), _mask())
    assert (invented.dice, invented.lesions_extra) == (0, 1)
    assert invented.extra_ml == pytest.approx(400 * VOXEL_ML)


def test_a_drawing_on_another_grid_is_judged_in_space():
    truth = _mask(TRUTH)
    fine = Geometry((60, 40, 24), (0.5, 1.0, 2.0), (-10.25, 4.5, 99.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    drawn = np.zeros(fine.shape, dtype=np.uint8)
    drawn[6:16, 8:24, 10:30] = 1
    score = score_drawing(fine.image(drawn), truth)
    assert score.dice > 0.97
    assert score.hd95_mm <= 4.0


def test_a_drawing_of_elsewhere_is_refused():
    drawing = _mask(TRUTH)
    drawing.SetOrigin((9000.0, 0.0, 0.0))
    with pytest.raises(BadInputError, match="share no space"):
        score_drawing(drawing, _mask(TRUTH))


def test_marks_that_are_not_reached_are_named():
    score = score_drawing(_mask(np.s_[3:8, 4:12, 8:20]), _mask(TRUTH))
    sentences = score.shortcomings(PassingMarks(dice=0.9, hd95_mm=1.0, missed_ml=50.0, extra_ml=0.5))
    assert [sentence.split(" is ")[0] for sentence in sentences] == ["Dice", "HD95", "The extra volume"]
