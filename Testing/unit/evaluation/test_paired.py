"""Signed-rank test, Holm's correction and paired bootstrap against hand-made examples and SciPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from petctfusion.evaluation.paired import holm, paired_bootstrap, signed_rank_p, smallest_signed_rank_p


def test_holm_by_hand():
    # Sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1, none below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
def test_holm_never_helps_and_is_at_most_bonferroni(p_values):
    corrected = holm(p_values)
    assert all(p <= c <= min(1.0, len(p_values) * p) + 1e-12 for p, c in zip(p_values, corrected, strict=True))
    pairs = sorted(zip(p_values, corrected, strict=True))
    assert all(a[1] <= b[1] + 1e-12 for a, b in itertools.pairwise(pairs))


@pytest.mark.parametrize("count", [5, 8, 12])
def test_without_ties_it_is_scipys_exact_test(count):
    random = np.random.default_rng(count)
    for _ in range(10):
        first, second = random.random(count), random.random(count)
        expected = wilcoxon(first, second, method="exact").pvalue
        assert signed_rank_p(first, second) == pytest.approx(expected)


def test_ties_by_counting_sign_patterns():
    # Differences 1, 1, 2: ranks 1.5, 1.5, 3. Sums of signed ranks reach 6 in 2 of 8 patterns.
    assert signed_rank_p([1, 1, 2], [0, 0, 0]) == pytest.approx(2 / 8)
    # -1, 1, 2: the sum is 3; |sum| >= 3 in 6 of 8 patterns.
    assert signed_rank_p([-1, 1, 2], [0, 0, 0]) == pytest.approx(6 / 8)


def test_equal_pairs_are_left_out():
    assert signed_rank_p([0.5, 0.6], [0.5, 0.6]) == 1.0
    assert signed_rank_p([1, 2, 3, 7], [0, 0, 0, 7]) == signed_rank_p([1, 2, 3], [0, 0, 0])


def test_the_smallest_p_is_reached_when_all_differ_in_one_direction():
    better = np.arange(1.0, 9.0)
    assert signed_rank_p(better, np.zeros(8)) == smallest_signed_rank_p(8) == pytest.approx(0.0078125)


def test_many_patients_are_scipys():
    random = np.random.default_rng(0)
    first, second = random.random(40), random.random(40)
    assert signed_rank_p(first, second) == pytest.approx(wilcoxon(first, second).pvalue, rel=1e-6)


def test_an_interval_of_paired_differences_by_counting_every_draw():
    first, second = [0.9, 0.7, 0.8], [0.8, 0.7, 0.5]
    # All 27 draws of the differences 0.1, 0 and 0.3: the lowest, three times 0, is 1 / 27 of them, more than 2.5 %.
    low, high = paired_bootstrap(first, second)
    assert (low, high) == (pytest.approx(0.0, abs=1e-12), pytest.approx(0.3))
    assert paired_bootstrap(second, first) == (pytest.approx(-0.3), pytest.approx(0.0, abs=1e-12))


def test_pairs_stay_together_however_far_the_patients_differ():
    patients = [float(number) for number in range(20)]
    low, high = paired_bootstrap([value + 0.5 for value in patients], patients)
    assert (low, high) == (pytest.approx(0.5), pytest.approx(0.5))


def test_many_draws_come_near_the_normal_interval_and_the_seed_decides_them():
    differences = np.random.default_rng(1).normal(0.1, 1.0, 400)
    low, high = paired_bootstrap(differences, np.zeros(400))
    half = 1.96 * differences.std() / 20
    assert low == pytest.approx(differences.mean() - half, abs=0.01)
    assert high == pytest.approx(differences.mean() + half, abs=0.01)
    assert paired_bootstrap(differences, np.zeros(400)) == (low, high)
    assert paired_bootstrap(differences, np.zeros(400), seed=2) != (low, high)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1.0], [1.0, 2.0])])
def test_what_is_no_pair_is_refused(first, second):
    with pytest.raises(ValueError, match="same patients"):
        paired_bootstrap(first, second)
