"""`agreement` on small masks against the oracles: every number, both surfaces, any spacing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from petctfusion.errors import BadInputError
from petctfusion.metrics import compare_masks

MM = 1e-9
"""Distances are kept to 36 bits of their square, 7e-12 of the value."""
SHARE = 1e-7
"""Areas are whole units, 2^28 to the largest cell: 2e-9 of that one, more of small cells of long voxels."""
SPACING = st.tuples(*[st.sampled_from((0.5, 0.98, 1.0, 2.04, 3.0, 3.27, 5.47))] * 3)
PERCENT = st.sampled_from((0.0, 5.0, 50.0, 95.0, 99.0, 100.0)) | st.floats(0, 100)


@st.composite
def masks(draw, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of any density, a box (often touching the border), a few single voxels, or nothing."""
    kind = draw(st.sampled_from(("noise", "box", "voxels", "nothing", "noise", "box")))
    mask = np.zeros(shape, bool)
    if kind == "noise":
        return draw(hnp.arrays(bool, shape))
    if kind == "box":
        ends = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
        mask[tuple(slice(*pair) for pair in ends)] = True
    elif kind == "voxels":
        for _ in range(draw(st.integers(1, 3))):
            mask[tuple(draw(st.integers(0, n - 1)) for n in shape)] = True
    return mask


PAIRS = hnp.array_shapes(min_dims=3, max_dims=3, max_side=6).flatmap(lambda s: st.tuples(masks(s), masks(s)))


def both(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(a.any() and b.any())


@settings(max_examples=100, deadline=None)
@given(PAIRS.filter(lambda pair: both(*pair)), SPACING, PERCENT, st.booleans())
def test_every_percentile_and_mean_equals_brute_force(oracles, pair, spacing, percent, surfels):
    found = compare_masks(*pair, spacing)
    surface = found.surfel if surfels else found.voxel
    sides = oracles.sides(*pair, spacing, surfels)

    def bracket(value: float, *of: list) -> None:
        # A share of the area that is reached exactly is decided by rounding: both answers are right.
        shift = 100 * SHARE if surfels else 0.0
        low, high = (
            max(oracles.percentile(side, min(max(percent + d, 0), 100), surfels) for side in of)
            for d in (-shift, shift)
        )
        assert low - MM <= value <= high + MM

    bracket(surface.hausdorff_mm(percent), *sides)
    bracket(surface.pooled_mm(percent), sides[0] + sides[1])
    for value, side in zip(surface.directed_mm(percent), sides, strict=True):
        bracket(value, side)
    assert surface.hausdorff_mm() == pytest.approx(max(d for side in sides for d, _ in side), abs=MM)
    assert surface.mean_mm() == pytest.approx(oracles.mean(sides[0] + sides[1]), rel=SHARE, abs=MM)


@settings(max_examples=100, deadline=None)
@given(PAIRS.filter(lambda pair: both(*pair)), SPACING, st.floats(0, 12), st.booleans())
def test_nsd_equals_brute_force(oracles, pair, spacing, tolerance, surfels):
    found = compare_masks(*pair, spacing)
    one, two = oracles.sides(*pair, spacing, surfels)
    value = (found.surfel if surfels else found.voxel).nsd(tolerance)
    low, high = (oracles.share_within(one + two, tolerance + d) for d in (-2 * MM, 2 * MM))
    assert low - SHARE <= value <= high + SHARE


@settings(max_examples=100, deadline=None)
@given(PAIRS, SPACING)
def test_the_named_numbers_are_those_of_the_stated_definitions(oracles, pair, spacing):
    found = compare_masks(*pair, spacing)
    first, second = (oracles.voxels(m) for m in pair)
    voxel_ml = math.prod(spacing) / 1000
    assert found.dice == oracles.dice(first, second)
    assert found.jaccard == (len(first & second) / len(first | second) if first | second else 1.0)
    assert found.volume_ml == pytest.approx(len(first) * voxel_ml, rel=1e-12)
    assert found.reference_volume_ml == pytest.approx(len(second) * voxel_ml, rel=1e-12)
    assert found.nsd_tolerance_mm == max(2.0, *spacing)
    if both(*pair):
        centres = [np.mean(list(s), axis=0) * spacing for s in (first, second)]
        assert found.centre_distance_mm == pytest.approx(float(np.linalg.norm(centres[0] - centres[1])), abs=1e-9)
        one, two = oracles.sides(*pair, spacing, True)
        low, high = (oracles.share_within(one + two, found.nsd_tolerance_mm + d) for d in (0, MM))
        # A distance of exactly one voxel is within a tolerance of one voxel.
        assert low - SHARE <= found.nsd <= high + SHARE
    for percent, value in ((95, found.hd95_mm), (100, found.hd_mm)):
        assert value == pytest.approx(oracles.brute_hausdorff(*pair, spacing, percent), abs=MM)


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACING)
def test_the_other_way_round_only_the_directions_change_places(pair, spacing):
    there, back = compare_masks(*pair, spacing), compare_masks(*pair[::-1], spacing)
    assert (there.dice, there.hd95_mm, there.hd_mm) == (back.dice, back.hd95_mm, back.hd_mm)
    assert (there.volume_ml, there.reference_volume_ml) == (back.reference_volume_ml, back.volume_ml)
    for one, two in ((there.voxel, back.voxel), (there.surfel, back.surfel)):
        assert one.directed_mm(95) == two.directed_mm(95)[::-1]
        assert one.pooled_mm(95) == two.pooled_mm(95)
        assert one.mean_mm() == pytest.approx(two.mean_mm(), abs=MM)
        assert one.nsd(2.0) == pytest.approx(two.nsd(2.0), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACING)
def test_more_background_around_changes_nothing(pair, spacing):
    tight, wide = (
        compare_masks(*pair, spacing),
        compare_masks(*(np.pad(m, ((3, 1), (2, 5), (4, 1))) for m in pair), spacing),
    )
    for one, two in ((tight.voxel, wide.voxel), (tight.surfel, wide.surfel)):
        assert [one.hausdorff_mm(p) for p in (50, 95, 100)] == [two.hausdorff_mm(p) for p in (50, 95, 100)]
        assert (one.mean_mm(), one.nsd(2.0)) == (two.mean_mm(), two.nsd(2.0))
    assert tight.dice == wide.dice


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("step", [2.04, 2.5, 3.0, 3.27, 4.07, 5.47, 6.000001])
def test_one_voxel_off_is_within_a_tolerance_of_one_voxel(axis, step):
    # sqrt(step ** 2) may round above step; the comparison with the tolerance must not.
    spacing = [1.0, 1.0, 1.0]
    spacing[axis] = step
    a = np.zeros((8, 8, 8), bool)
    a[2:5, 2:5, 2:5] = True
    found = compare_masks(a, np.roll(a, 1, axis), spacing)
    assert found.nsd_tolerance_mm == step
    assert found.hd_mm == pytest.approx(step, abs=MM)
    assert (found.nsd, found.voxel.nsd(step), found.surfel.nsd(step)) == (1.0, 1.0, 1.0)
    assert found.voxel.nsd(step * (1 - 1e-9)) < 1


def test_a_tolerance_that_is_asked_for_is_the_one_that_is_used():
    a = np.zeros((8, 8, 8), bool)
    a[2:5, 2:5, 2:5] = True
    found = compare_masks(a, np.roll(a, 2, 0), (3.0, 1.0, 1.0), tolerance_mm=4.0)
    assert found.nsd_tolerance_mm == 4.0
    assert found.nsd == found.surfel.nsd(4.0)
    assert found.nsd < compare_masks(a, np.roll(a, 2, 0), (3.0, 1.0, 1.0), tolerance_mm=6.0).nsd == 1.0


@pytest.mark.parametrize("surfels", [True, False])
def test_one_empty_mask_has_no_contour_to_measure(surfels):
    empty, full = np.zeros((4, 5, 6), bool), np.zeros((4, 5, 6), bool)
    full[1:3, 1:3, 1:3] = True
    for pair in ((empty, full), (full, empty)):
        found = compare_masks(*pair, (3.0, 1.0, 1.0), surfels=surfels)
        assert (found.dice, found.jaccard, found.nsd) == (0.0, 0.0, 0.0)
        assert (found.hd95_mm, found.hd_mm, found.assd_mm) == (math.inf,) * 3
        assert found.voxel.pooled_mm(95) == math.inf
        assert found.voxel.directed_mm(95) == (math.inf, math.inf)
        assert found.voxel.nsd(2.0) == 0.0
        assert found.centre_distance_mm is None
    found = compare_masks(full, empty, (3.0, 1.0, 1.0), surfels=surfels)
    assert (found.volume_ml, found.reference_volume_ml) == (pytest.approx(0.024), 0.0)


@pytest.mark.parametrize("surfels", [True, False])
def test_two_empty_masks_agree_in_everything(surfels):
    empty = np.zeros((4, 5, 6), bool)
    found = compare_masks(empty, empty, (3.0, 1.0, 1.0), surfels=surfels)
    assert (found.dice, found.jaccard, found.nsd) == (1.0, 1.0, 1.0)
    assert (found.hd95_mm, found.hd_mm, found.assd_mm) == (0.0, 0.0, 0.0)
    assert (found.voxel.pooled_mm(95), found.voxel.directed_mm(95)) == (0.0, (0.0, 0.0))
    assert found.centre_distance_mm is None


def test_the_whole_image_as_a_mask_has_the_border_as_its_surface(oracles):
    full, hollow = np.ones((6, 7, 8), bool), np.ones((6, 7, 8), bool)
    hollow[2:4, 2:5, 3:5] = False
    found = compare_masks(full, hollow, (3.0, 1.0, 2.0))
    for surface, surfels in ((found.voxel, False), (found.surfel, True)):
        sides = oracles.sides(full, hollow, (3.0, 1.0, 2.0), surfels)
        assert surface.mean_mm() > 0
        assert surface.mean_mm() == pytest.approx(oracles.mean(sides[0] + sides[1]), rel=SHARE)


def test_what_is_no_pair_of_masks_is_refused_in_a_sentence():
    mask = np.ones((3, 3, 3), bool)
    with pytest.raises(BadInputError, match="shape"):
        compare_masks(mask, np.ones((3, 3, 4), bool), (1, 1, 1))
    with pytest.raises(BadInputError, match="spacing"):
        compare_masks(mask, mask, (1, 1))
    with pytest.raises(BadInputError, match="NaN"):
        compare_masks(np.full((3, 3, 3), np.nan), mask, (1, 1, 1))
    for tolerance in (-1.0, math.nan):
        with pytest.raises(BadInputError, match="tolerance"):
            compare_masks(mask, mask, (1, 1, 1), tolerance_mm=tolerance)
    found = compare_masks(mask, mask, (1, 1, 1))
    for percent in (-1, 101, math.nan):
        with pytest.raises(BadInputError, match="percent"):
            found.voxel.hausdorff_mm(percent)


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACING)
def test_dice_slice_by_slice_equals_the_sets_of_voxels(oracles, pair, spacing):
    curve = compare_masks(*pair, spacing).slices
    assert [(z, curve.dice[z]) for z in curve.occupied] == list(oracles.slice_dice(*pair).items())
    assert np.isnan(np.delete(curve.dice, curve.occupied)).all()
