from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from petctfusion.errors import BadInputError
from petctfusion.metrics import dice, jaccard, volume_difference_ml, volume_ml

PAIRS = hnp.array_shapes(min_dims=3, max_dims=3, max_side=5).flatmap(
    lambda shape: st.tuples(hnp.arrays(bool, shape), hnp.arrays(bool, shape))
)


@settings(max_examples=100, deadline=None)
@given(PAIRS)
def test_dice_and_jaccard_equal_the_sets_of_voxels(pair):
    a, b = pair
    first, second = ({tuple(i) for i in np.argwhere(m)} for m in (a, b))
    total, union, common = len(first) + len(second), len(first | second), len(first & second)
    assert dice(a, b) == (2 * common / total if total else 1.0)
    assert jaccard(a, b) == (common / union if union else 1.0)
    assert dice(a, b) == dice(b, a)
    assert dice(a, b) == pytest.approx(2 * jaccard(a, b) / (1 + jaccard(a, b)))


def test_two_empty_masks_agree_and_one_empty_mask_does_not():
    empty, full = np.zeros((3, 3, 3), bool), np.ones((3, 3, 3), bool)
    assert (dice(empty, empty), jaccard(empty, empty)) == (1.0, 1.0)
    assert (dice(empty, full), jaccard(full, empty)) == (0.0, 0.0)


def test_whatever_is_not_zero_is_inside():
    labels = np.array([0, 1, 2, 255], np.uint8)
    assert dice(labels, np.array([0.0, 1.0, 0.25, -1.0])) == 1.0


def test_volume_is_counted_in_millilitres():
    mask = np.zeros((4, 5, 6), bool)
    mask[1:3, 1:4, 2:5] = True
    assert volume_ml(mask, (3.27, 0.98, 0.5)) == pytest.approx(18 * 3.27 * 0.98 * 0.5 / 1000, rel=1e-15)
    assert volume_difference_ml(mask, np.ones_like(mask), (1, 1, 1)) == pytest.approx((18 - 120) / 1000)


def test_a_count_beyond_16_million_voxels_stays_exact():
    # float32 sums stop counting at 2**24.
    mask = np.ones((2, 3000, 3000), bool)
    other = mask.copy()
    other[0, 0, 0] = False
    assert dice(mask, other) == 2 * 17_999_999 / 35_999_999


def test_masks_of_different_shape_are_refused_with_both_shapes():
    with pytest.raises(BadInputError, match=r"\(2, 2, 2\).*\(2, 2, 3\)"):
        dice(np.ones((2, 2, 2)), np.ones((2, 2, 3)))


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, 1, -1), (1, 1, float("nan")), (1, 1, float("inf"))])
def test_a_spacing_that_is_none_is_refused(spacing):
    with pytest.raises(BadInputError, match="spacing"):
        volume_ml(np.ones((2, 2, 2)), spacing)


def test_nan_is_neither_inside_nor_outside():
    with pytest.raises(BadInputError, match="NaN"):
        dice(np.array([[[np.nan]]]), np.ones((1, 1, 1)))
