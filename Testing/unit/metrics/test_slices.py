from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from petctfusion.errors import BadInputError
from petctfusion.metrics.slices import (
    ExtentError,
    added_path_length,
    added_path_length_mm,
    slice_curve,
    slice_curve_from_counts,
)

SPACING = (3.0, 2.0, 1.5)


@st.composite
def pairs(draw):
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=7))
    return tuple(draw(hnp.arrays(bool, shape)) for _ in range(2))


def places(plane):
    return {tuple(map(int, i)) for i in np.argwhere(plane)}


@settings(max_examples=120, deadline=None)
@given(pairs())
def test_every_slice_is_judged_on_its_own(pair):
    curve = slice_curve(*pair, SPACING)
    worst = []
    for z, planes in enumerate(zip(*pair, strict=True)):
        p, r = map(places, planes)
        assert (curve.index[z], curve.prediction[z], curve.reference[z], curve.both[z]) == (
            z,
            len(p),
            len(r),
            len(p & r),
        )
        assert curve.prediction_area_mm2[z] == pytest.approx(len(p) * 3.0)
        assert curve.reference_area_mm2[z] == pytest.approx(len(r) * 3.0)
        assert curve.position_mm[z] == pytest.approx(3.0 * z)
        if p or r:
            dice = 2 * len(p & r) / (len(p) + len(r))
            assert curve.dice[z] == dice
            worst.append((dice, -len(p ^ r), z))
        else:
            assert math.isnan(curve.dice[z])
    assert curve.occupied.tolist() == sorted(z for *_, z in worst)
    assert curve.worst == (min(worst)[2] if worst else None)
    json.dumps(curve.to_json(), allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(pairs(), st.integers(1, 3))
def test_the_ends_of_the_reference_are_apart_from_its_middle(pair, k):
    curve = slice_curve(*pair, SPACING)
    present = [z for z in range(len(pair[1])) if pair[1][z].any()]
    ends = [z for n, z in enumerate(present) if n < k or n >= len(present) - k]
    for group, where in ((curve.peripheral(k), ends), (curve.central(k), [z for z in present if z not in ends])):
        assert group.index == tuple(where)
        if not where:
            assert (group.pooled_dice, group.mean_dice, group.detected) == (None, None, None)
            continue
        p, r = (mask[where] for mask in pair)
        assert group.pooled_dice == pytest.approx(2 * (p & r).sum() / (p.sum() + r.sum()))
        single = [2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in zip(p, r, strict=True)]
        assert group.mean_dice == pytest.approx(sum(single) / len(single))
        assert group.detected == sum(bool((a & b).any()) for a, b in zip(p, r, strict=True)) / len(where)


def test_the_extent_error_knows_which_end_is_superior():
    prediction, reference = np.zeros((2, 12, 4, 4), bool)
    reference[4:8], prediction[3:10] = True, True
    assert slice_curve(prediction, reference, SPACING).extent_error == ExtentError(3.0, 6.0)
    turned = slice_curve(prediction, reference, SPACING, superior_last=False, first_slice_mm=100.0)
    assert turned.extent_error == ExtentError(6.0, 3.0)
    assert turned.position_mm[:3].tolist() == [100.0, 97.0, 94.0]
    prediction[3:6] = False
    assert slice_curve(prediction, reference, SPACING).extent_error == ExtentError(-6.0, 6.0)
    assert slice_curve(prediction & False, reference, SPACING).extent_error is None


def test_of_two_slices_without_overlap_the_larger_one_is_worse():
    counts = [0, 3, 9, 9, 5], [0, 3, 9, 9, 5], [0, 0, 0, 9, 1]
    assert slice_curve_from_counts(*counts, SPACING).worst == 2


def test_counts_kept_elsewhere_give_the_same_curve_and_are_not_shared():
    counts = [np.array(c) for c in ([3, 0, 4], [2, 0, 5], [1, 0, 4])]
    curve = slice_curve_from_counts(*counts, SPACING)
    counts[0][:] = 99
    assert curve.prediction.tolist() == [3, 0, 4]
    assert curve.dice[[0, 2]].tolist() == [2 / 5, 8 / 9]


def contour(plane):
    """Pixels with a 4-neighbour outside the plane's mask."""
    inside = places(plane)
    steps = ((0, 1), (0, -1), (1, 0), (-1, 0))
    return {p for p in inside if any((p[0] + dy, p[1] + dx) not in inside for dy, dx in steps)}


@settings(max_examples=120, deadline=None)
@given(pairs(), st.sampled_from((0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.6, 40.0)))
def test_added_path_length_counts_reference_contour_without_prediction_contour_near_it(pair, tolerance):
    found = added_path_length(*pair, SPACING, tolerance)
    expected, whole = [], []
    for p, r in zip(*pair, strict=True):
        drawn, wanted = contour(p), contour(r)
        far = [
            a
            for a in wanted
            if not any(math.hypot((a[0] - b[0]) * 2.0, (a[1] - b[1]) * 1.5) <= tolerance for b in drawn)
        ]
        expected.append(len(far))
        whole.append(len(wanted))
    assert found.added.tolist() == expected
    assert found.contour.tolist() == whole
    assert found.mm == added_path_length_mm(*pair, SPACING, tolerance) == pytest.approx(sum(expected) * math.sqrt(3.0))
    assert found.relative == (sum(expected) / sum(whole) if sum(whole) else None)


def test_a_step_of_exactly_the_tolerance_is_within_it_despite_rounding():
    prediction, reference = np.zeros((2, 1, 12, 12), bool)
    # As doubles, 3 x 1.1 is more than 3.3 and 3 x 0.7 less than 2.1.
    for step, tolerance in ((1.1, 3.3), (0.1, 0.3), (0.7, 2.1), (0.977, 2.931), (2.04, 6.12)):
        prediction[:], reference[:] = False, False
        prediction[0, 3, 3] = reference[0, 3, 6] = True
        assert added_path_length(prediction, reference, (1, step, step), tolerance).pixels == 0
        assert added_path_length(prediction, reference, (1, step, step), tolerance * 0.999).pixels == 1


def test_slabs_change_nothing(monkeypatch):
    prediction, reference = np.random.default_rng(3).random((2, 9, 10, 11)) < 0.6
    whole = added_path_length(prediction, reference, SPACING, 1.5)
    monkeypatch.setattr("petctfusion.metrics.path_length._SLAB", 250)
    parts = added_path_length(prediction, reference, SPACING, 1.5)
    assert parts.added.tolist() == whole.added.tolist()
    assert parts.contour.tolist() == whole.contour.tolist()
    assert 0 < whole.pixels < whole.contour.sum()


def test_a_prediction_that_covers_the_reference_does_not_have_its_contour():
    reference = np.zeros((3, 10, 10), bool)
    reference[1, 2:8, 2:8] = True
    prediction = reference.copy()
    assert added_path_length(prediction, reference, SPACING).pixels == 0
    prediction[1, 0:10, 0:10] = True
    # The prediction covers the reference, but its own contour runs elsewhere: all 20 pixels would be drawn anew.
    assert added_path_length(prediction, reference, SPACING).added.tolist() == [0, 20, 0]


@pytest.mark.parametrize("function", [slice_curve, added_path_length])
def test_rubbish_is_refused_in_one_sentence(function):
    cube = np.ones((2, 2, 2), bool)
    with pytest.raises(BadInputError, match="not on one grid"):
        function(cube, np.ones((2, 2, 3), bool), SPACING)
    with pytest.raises(BadInputError, match="2 dimensions has no slices"):
        function(cube[0], cube[0], SPACING)
    with pytest.raises(BadInputError, match="spacing"):
        function(cube, cube, (1, 0, 1))
    with pytest.raises(BadInputError, match="NaN"):
        function(np.full((2, 2, 2), np.nan), cube, SPACING)


def test_counts_and_tolerances_that_cannot_be_are_refused():
    for counts in (([1], [1], [2]), ([1], [2], [-1]), ([-1], [2], [-1])):
        with pytest.raises(BadInputError, match="In slice 0"):
            slice_curve_from_counts(*counts, SPACING)
    with pytest.raises(BadInputError, match="one number per slice"):
        slice_curve_from_counts([1, 2], [1], [1], SPACING)
    with pytest.raises(BadInputError, match="at least 1"):
        slice_curve_from_counts([1], [1], [1], SPACING).peripheral(0)
    for tolerance in (-1.0, math.nan, math.inf):
        with pytest.raises(BadInputError, match="tolerance"):
            added_path_length(np.ones((2, 2, 2)), np.ones((2, 2, 2)), SPACING, tolerance)
