"""The nearest point is the same to the last bit, whether the table or the tree finds it."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from petctfusion.metrics.lattice import SURFACE, Lattice
from petctfusion.metrics.nearest import Targets, neighbour_table, rounded, squared_mm2

SPACINGS = [(1.0, 1.0, 1.0), (3.0, 2.04, 2.04), (5.0, 1.0, 1.0), (3.27, 0.9765625, 0.9765625), (0.001, 1.0, 1.0)]


def scattered(spacing, number, count, shape=(40, 50, 60)):
    random = np.random.default_rng(number)
    table = neighbour_table(spacing, (True, True, True))
    lattice = Lattice(shape, spacing, table.reach)
    places = np.unique(np.stack([random.integers(0, n, count) for n in shape], axis=1), axis=0)
    flags = lattice.empty()
    index = np.sort(lattice.index(*places.T))
    flags[index] = SURFACE
    return Targets(lattice, table, flags, SURFACE, index), random


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("count", [1, 7, 60, 3000])
def test_table_and_tree_give_the_rounded_minimum(spacing, count):
    targets, random = scattered(spacing, count, count)
    asked = np.stack([random.integers(-1, n, 400) for n in targets.lattice.shape], axis=1)
    index = targets.lattice.index(*asked.T)
    points = targets.lattice.coordinates(targets.index)
    apart = (asked[:, None] - points[None]).reshape(-1, 3)
    wanted = rounded(squared_mm2(apart, spacing).reshape(len(asked), -1).min(axis=1))
    assert np.array_equal(targets.far_mm2(index), wanted)
    ranks = targets.ranks(index)
    near = ranks < targets.table.far
    assert np.array_equal(targets.table.lengths_mm2[ranks[near]], wanted[near])
    assert (wanted[~near] > targets.table.lengths_mm2[-1]).all()
    if count == 3000 and spacing == (3.0, 2.04, 2.04):
        assert near.any()
        assert (~near).any()


def test_displacements_of_one_length_have_one_value():
    # 17 * 3 mm = 25 * 2.04 mm exactly, and 7-24 is as long as 25.
    spacing = (3.0, 2.04, 2.04)
    values = rounded(squared_mm2(np.array([[17, 0, 0], [0, 25, 0], [0, 0, 25], [0, 7, 24], [0, 24, -7]]), spacing))
    assert len(set(values.tolist())) == 1
    assert math.sqrt(values[0]) == pytest.approx(51.0, abs=1e-9)


def test_rounding_keeps_36_bits():
    values = np.random.default_rng(0).uniform(1e-3, 1e6, 1000)
    kept = rounded(values)
    assert np.abs(kept / values - 1).max() <= 2.0**-36
    assert np.array_equal(rounded(kept), kept)
    for value in kept[:50]:
        assert Fraction(float(value)).numerator.bit_length() <= 53
        mantissa = int(math.frexp(value)[0] * 2**53)
        assert mantissa % 2**16 == 0


def test_the_table_holds_every_displacement_up_to_its_radius():
    spacing = (3.0, 2.04, 2.04)
    table = neighbour_table(spacing, (True, True, True))
    limit = table.lengths_mm2[-1]
    everything = np.array(list(itertools.product(range(-9, 10), repeat=3)))
    lengths = rounded(squared_mm2(everything, spacing))
    assert (lengths <= limit).sum() == len(table.displacements)
    assert np.all(np.diff(rounded(squared_mm2(table.displacements, spacing))) >= 0)


def test_very_flat_voxels_do_not_ask_for_a_large_table():
    table = neighbour_table((1e-6, 1.0, 1.0), (True, True, True))
    assert max(table.reach) <= 12


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 4), (5, 1, 9)])
def test_no_offset_meets_a_voxel_that_is_not_meant(shape):
    spacing = (3.0, 2.04, 2.04)
    table = neighbour_table(spacing, (True, True, True))
    lattice = Lattice(shape, spacing, table.reach)
    flags = lattice.empty()
    places = np.argwhere(np.ones(shape, bool))
    flags[lattice.index(*places.T)] = 1
    for corner in itertools.product(*[(-1, n - 1) for n in shape]):
        start = lattice.index(*(np.array([c]) for c in corner))
        met = start + lattice.offsets(table.displacements)
        assert met.min() >= 0
        assert met.max() < flags.size
        places_met = table.displacements + np.array(corner)
        truly = np.all((places_met >= 0) & (places_met < np.array(shape)), axis=1)
        assert np.array_equal(flags[met] == 1, truly)


def test_nothing_to_find_is_infinitely_far():
    targets, _ = scattered((1.0, 1.0, 1.0), 0, 0)
    index = targets.lattice.index(np.array([3]), np.array([4]), np.array([5]))
    assert targets.ranks(index)[0] == targets.table.far
    assert np.isinf(targets.far_mm2(index)).all()
