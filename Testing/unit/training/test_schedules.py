"""Schedules: known values, monotone after the warm-up, between 0 and 1."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petctfusion.errors import BadInputError
from petctfusion.training.schedules import SCHEDULES, rate_factor, require_schedule


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ("cosine", 0, 1 / 10),
        ("cosine", 9, 0.5 * (1 + math.cos(math.pi * 0.09))),
        ("cosine", 50, 0.5),
        ("cosine", 100, 0.0),
        ("polynomial", 4, 0.5 * 0.96**0.9),
        ("polynomial", 50, 0.5**0.9),
        ("polynomial", 100, 0.0),
        ("constant", 4, 0.5),
        ("constant", 99, 1.0),
    ],
)
def test_known_values(schedule, step, expected):
    assert rate_factor(schedule, step, steps=100, warm_up_steps=10) == pytest.approx(expected, abs=1e-12)


def test_the_power_bends_the_polynomial():
    assert rate_factor("polynomial", 75, 100, 0, polynomial_power=2.0) == pytest.approx(0.0625)


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 500), st.integers(0, 600))
def test_factors_stay_between_0_and_1_and_fall_after_the_warm_up(schedule, steps, warm_up):
    factors = [rate_factor(schedule, step, steps, warm_up) for step in range(steps + 2)]
    assert all(0 <= factor <= 1 for factor in factors)
    later = factors[max(0, warm_up - 1) :]
    assert all(a >= b for a, b in itertools.pairwise(later))


def test_an_unknown_schedule_is_refused_with_the_nearest():
    with pytest.raises(BadInputError, match="Did you mean 'cosine'"):
        require_schedule("cosin", 0.9)


@pytest.mark.parametrize("power", [0.0, -1.0, math.inf, math.nan])
def test_a_power_that_would_not_lower_the_rate_is_refused(power):
    with pytest.raises(BadInputError, match="more than 0"):
        require_schedule("polynomial", power)
