from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petctfusion.volumes.polygons import fill_polygons

SQUARE = np.array([[1.5, 1.5], [5.5, 1.5], [5.5, 4.5], [1.5, 4.5]])


def inside_by_rays(polygons, shape):
    """Even-odd, point by point: how many edges a ray to the left of a pixel centre meets."""
    found = np.zeros(shape, dtype=bool)
    for row in range(shape[0]):
        for column in range(shape[1]):
            crossings = 0
            for polygon in polygons:
                for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
                    if min(y1, y2) <= row < max(y1, y2):
                        crossings += x1 + (row - y1) / (y2 - y1) * (x2 - x1) <= column
            found[row, column] = crossings % 2 == 1
    return found


# Neither corners nor edges meet the centres, where rounding would decide: with steps of a tenth along both axes a
# diagonal edge went through one.
step = st.integers(-40, 160)
corner = st.tuples(step.map(lambda v: v * 0.0991733 + 0.0137), step.map(lambda v: v * 0.1013217 + 0.0291))
polygon = st.lists(corner, min_size=3, max_size=9).map(np.array)


@settings(max_examples=200, deadline=None)
@given(st.lists(polygon, min_size=1, max_size=3))
def test_filling_equals_counting_crossings_point_by_point(polygons):
    assert np.array_equal(fill_polygons(polygons, (10, 12)), inside_by_rays(polygons, (10, 12)))


def test_a_square_holds_the_centres_within_it():
    expected = np.zeros((7, 8), dtype=bool)
    expected[2:5, 2:6] = True
    assert np.array_equal(fill_polygons([SQUARE], (7, 8)), expected)


@pytest.mark.parametrize("turn", [1, -1])
def test_a_contour_in_a_contour_is_a_hole_whichever_way_it_runs(turn):
    hole = np.array([[2.5, 2.5], [3.5, 2.5], [3.5, 3.5], [2.5, 3.5]])[::turn]
    found = fill_polygons([SQUARE, hole], (7, 8))
    assert found.sum() == 11
    assert not found[3, 3]


def test_a_keyhole_is_the_same_hole():
    keyhole = [[1.5, 1.5], [5.5, 1.5], [5.5, 4.5], [1.5, 4.5], [1.5, 2.7]]
    keyhole += [[2.5, 2.7], [2.5, 3.5], [3.5, 3.5], [3.5, 2.5], [2.5, 2.5], [2.5, 2.7], [1.5, 2.7]]
    found = fill_polygons([np.array(keyhole)], (7, 8))
    assert found.sum() == 11
    assert not found[3, 3]


def test_neighbours_share_an_edge_on_the_centres_without_gap_or_overlap():
    left = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0], [0.0, 4.0]])
    right = left + np.array([3.0, 0.0])
    a, b = fill_polygons([left], (6, 8)), fill_polygons([right], (6, 8))
    assert not (a & b).any()
    assert a.sum() == b.sum() == 12
    assert np.array_equal(a | b, fill_polygons([np.array([[0.0, 0.0], [6.0, 0.0], [6.0, 4.0], [0.0, 4.0]])], (6, 8)))


def test_what_lies_beyond_the_array_is_cut_off():
    assert fill_polygons([SQUARE * 100 - 300], (7, 8)).all()
    assert not fill_polygons([SQUARE + 100], (7, 8)).any()
    assert not fill_polygons([SQUARE - 100], (7, 8)).any()
