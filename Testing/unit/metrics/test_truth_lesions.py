"""Lesion by lesion, slice by slice and in SUV: the public functions against the oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from petctfusion.metrics.lesions import lesion_table
from petctfusion.metrics.matching import fnv_ml, fpv_ml, match_lesions
from petctfusion.metrics.slices import added_path_length, added_path_length_mm, slice_curve
from petctfusion.volumes.geometry import Geometry

SPACING = st.tuples(*[st.sampled_from((0.7, 1.0, 2.04, 3.27))] * 3)
OBLIQUE = (0.6, -0.8, 0.0, 0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
CONNECTIVITY = st.sampled_from((6, 18, 26))


def sparse(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Few voxels in a small grid: several components, some of them touching only at an edge or a corner."""
    place = st.tuples(*(st.integers(0, n - 1) for n in shape))

    def mask(places: list[tuple[int, ...]]) -> np.ndarray:
        made = np.zeros(shape, bool)
        for p in places:
            made[p] = True
        return made

    return st.lists(place, max_size=12).map(mask) | hnp.arrays(bool, shape)


PAIRS = hnp.array_shapes(min_dims=3, max_dims=3, max_side=5).flatmap(lambda s: st.tuples(sparse(s), sparse(s)))


@settings(max_examples=150, deadline=None)
@given(PAIRS, SPACING, CONNECTIVITY)
def test_a_lesion_is_found_when_one_voxel_is_shared(oracles, pair, spacing, connectivity):
    prediction, reference = pair
    found = match_lesions(prediction, reference, spacing, connectivity)
    false, missed = (
        oracles.missed(prediction, reference, connectivity),
        oracles.missed(reference, prediction, connectivity),
    )
    lesions = len(oracles.flood_components(reference, connectivity))
    assert (found.tp, found.fp, found.fn) == (lesions - len(missed), len(false), len(missed))
    total = 2 * found.tp + found.fp + found.fn
    assert found.f1 == (2 * found.tp / total if total else 1.0)
    volumes = [oracles.missed_volume_ml(*p, spacing, connectivity) for p in (pair, pair[::-1])]
    assert [found.fpv_ml, found.fnv_ml] == pytest.approx(volumes, rel=1e-12)
    assert fpv_ml(*pair, spacing, connectivity) == found.fpv_ml
    assert fnv_ml(*pair, spacing, connectivity) == found.fnv_ml
    assert sorted(r.kind for r in found.rows if r.kind != "tp") == ["fn"] * found.fn + ["fp"] * found.fp
    assert sum(r.volume_ml for r in found.rows) == pytest.approx(prediction.sum() * math.prod(spacing) / 1000)
    assert sum(r.reference_volume_ml for r in found.rows) == pytest.approx(reference.sum() * math.prod(spacing) / 1000)


@settings(max_examples=100, deadline=None)
@given(PAIRS, CONNECTIVITY, st.sampled_from((0.1, 0.3, 0.5)))
def test_one_to_one_matching_finds_as_many_pairs_as_there_can_be(oracles, pair, connectivity, minimum):
    lesions = [oracles.flood_components(m, connectivity) for m in pair]
    found = match_lesions(*pair, (1.0, 1.0, 1.0), connectivity, minimum)
    pairs, total = oracles.best_pairs(*lesions, minimum)
    assert (found.tp, found.fp, found.fn) == (pairs, len(lesions[0]) - pairs, len(lesions[1]) - pairs)
    # Dice of a pair is 2 IoU / (1 + IoU).
    ious = [r.dice / (2 - r.dice) for r in found.rows if r.kind == "tp"]
    assert sum(ious) == pytest.approx(total)


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACING)
def test_the_row_of_a_pair_holds_the_numbers_of_its_lesions_alone(oracles, pair, spacing):
    lesions = [oracles.flood_components(m, 18) for m in pair]
    for row in match_lesions(*pair, spacing).rows:
        if row.kind != "tp":
            assert (row.dice, row.hd95_mm) == (0.0, math.inf)
            continue
        # The lesions of a row are those that overlaps join.
        first = next(c for c in lesions[1] if len(c & oracles.voxels(pair[0])) and _near(row.centre_index, c, lesions))
        group = _joined(first, lesions)
        masks = [np.zeros(pair[0].shape, bool) for _ in group]
        for mask, members in zip(masks, group, strict=True):
            for component in members:
                mask[tuple(np.array(sorted(component)).T)] = True
        assert row.dice == oracles.dice(*(oracles.voxels(m) for m in masks))
        assert row.hd95_mm == pytest.approx(oracles.brute_hausdorff(*masks, spacing, 95), abs=1e-9)


def _joined(first: set, lesions: list[list[set]]) -> tuple[list[set], list[set]]:
    """All lesions of either side that hang together with `first`, a lesion of the second side."""
    of_a, of_b = [], [first]
    while True:
        more_a = [c for c in lesions[0] if c not in of_a and any(c & d for d in of_b)]
        of_a += more_a
        more_b = [c for c in lesions[1] if c not in of_b and any(c & d for d in of_a)]
        of_b += more_b
        if not more_a and not more_b:
            return of_a, of_b


def _near(centre: tuple[float, ...], component: set, lesions: list[list[set]]) -> bool:
    together = [v for c in _joined(component, lesions)[1] for v in c]
    return bool(np.allclose(np.mean(together, axis=0), centre))


@settings(max_examples=100, deadline=None)
@given(PAIRS, SPACING, st.sampled_from((0.0, 0.7, 1.0, 2.1, 3.0)))
def test_added_path_length_counts_the_pixels_still_to_be_drawn(oracles, pair, spacing, tolerance):
    found = added_path_length(*pair, spacing, tolerance)
    low, high = (oracles.added_pixels(*pair, spacing, tolerance + d) for d in (1e-9, -1e-9 if tolerance else 0.0))
    assert low <= found.pixels <= high
    assert found.mm == pytest.approx(found.pixels * math.sqrt(spacing[1] * spacing[2]))
    assert added_path_length_mm(*pair, spacing, tolerance) == found.mm
    assert found.contour.sum() == sum(len(oracles.contour_pixels(plane)) for plane in pair[1])


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACING)
def test_the_slice_curve_of_two_masks_is_that_of_their_voxels(oracles, pair, spacing):
    curve = slice_curve(*pair, spacing)
    assert [(z, curve.dice[z]) for z in curve.occupied] == list(oracles.slice_dice(*pair).items())
    assert curve.prediction_area_mm2.sum() == pytest.approx(pair[0].sum() * spacing[1] * spacing[2])


@settings(max_examples=40, deadline=None)
@given(st.data(), st.tuples(*[st.sampled_from((2.04, 3.0, 4.07, 7.0))] * 3))
def test_suv_of_every_lesion_is_read_voxel_by_voxel(oracles, data, spacing):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=7))
    mask = data.draw(sparse(shape))
    pet = data.draw(hnp.arrays(np.float32, shape, elements=st.floats(0, 40, width=32)))
    grid = Geometry(shape[::-1], spacing[::-1], (12.0, -40.0, 7.5), OBLIQUE)
    table = lesion_table(grid.image(mask.astype(np.uint8)), grid.image(pet))
    radius = (3 * 1000 / (4 * math.pi)) ** (1 / 3)
    expected = []
    for component in oracles.flood_components(mask, 18):
        values = [float(pet[v]) for v in component]
        peak = oracles.highest_sphere_mean(pet.astype(np.float64), component, spacing, radius)
        expected.append((len(component) * math.prod(spacing) / 1000, max(values), np.mean(values), peak))
    found = [(row.volume_ml, row.suv_max, row.suv_mean, row.suv_peak) for row in table]
    assert [row.volume_ml for row in table] == sorted((row.volume_ml for row in table), reverse=True)
    for one, two in zip(sorted(found), sorted(expected), strict=True):
        assert one == pytest.approx(two, rel=1e-9, abs=1e-12)
    assert all(row.tlg == pytest.approx(row.suv_mean * row.mtv_ml) for row in table)
