from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petctfusion.evaluation import bland_altman, bootstrap_interval, summarise

numbers = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30)


@settings(max_examples=50, deadline=None)
@given(numbers, st.integers(0, 3), st.integers(0, 3))
def test_a_summary_is_of_the_finite_values_and_counts_the_others(values, infinite, missing):
    found = summarise([*values, *[math.inf] * infinite, *[None] * missing])
    assert (found.count, found.infinite) == (len(values), infinite)
    assert found.mean == pytest.approx(sum(values) / len(values), abs=1e-9)
    assert (found.lowest, found.highest) == (min(values), max(values))
    middle = sorted(values)[(len(values) - 1) // 2 : len(values) // 2 + 1]
    assert found.median == pytest.approx(sum(middle) / len(middle), abs=1e-9)
    if len(values) > 1:
        spread = math.sqrt(sum((v - found.mean) ** 2 for v in values) / (len(values) - 1))
        assert found.sd == pytest.approx(spread, abs=1e-6)
        assert found.lowest - 1e-9 <= found.low <= found.high <= found.highest + 1e-9
    else:
        assert (found.sd, found.low, found.high) == (None, None, None)


def test_nothing_finite_has_no_mean():
    assert summarise([math.inf, None]).mean is None
    assert summarise([math.inf, None]).infinite == 1
    assert summarise([]).count == 0


def test_the_interval_is_the_same_every_time_and_close_to_theory():
    values = np.random.default_rng(3).normal(0.7, 0.1, 60)
    low, high = bootstrap_interval(values)
    assert (low, high) == bootstrap_interval(values)
    half = 1.96 * values.std() / math.sqrt(60)
    assert low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(8)
    hits = 0
    for _ in range(200):
        low, high = bootstrap_interval(random.normal(0, 1, 40), resamples=400)
        hits += low <= 0 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_limits_of_agreement_by_hand():
    found = bland_altman([10.0, 20.0, 33.0], [12.0, 20.0, 30.0])
    assert found.means == (11.0, 20.0, 31.5)
    assert found.differences == (-2.0, 0.0, 3.0)
    sd = math.sqrt((4 + 0 + 9 - 1 / 3) / 2)
    assert found.bias == pytest.approx(1 / 3)
    assert found.lower == pytest.approx(1 / 3 - 1.96 * sd)
    assert found.upper == pytest.approx(1 / 3 + 1.96 * sd)


def test_one_patient_has_no_limits_and_none_no_agreement():
    assert bland_altman([1.0], [2.0]).upper is None
    assert bland_altman([], []) is None
