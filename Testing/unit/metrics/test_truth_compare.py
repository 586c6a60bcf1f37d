"""`compare` on images: whatever the direction, origin and extent of the grids, it is the masks in space that count."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from petctfusion.metrics import compare
from petctfusion.volumes.geometry import Geometry

SPACINGS = st.tuples(*[st.sampled_from((0.98, 1.0, 2.04, 3.27, 5.47))] * 3)
ANGLES = st.tuples(*[st.sampled_from((0.0, 20.0, 45.0, 90.0, 133.0))] * 3)
PAIRS = hnp.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=5).flatmap(
    lambda shape: st.tuples(hnp.arrays(bool, shape), hnp.arrays(bool, shape))
)


def turned(angles: tuple[float, float, float], mirrored: bool) -> np.ndarray:
    """A direction matrix: three turns and, if wished, a mirror."""
    turn = sitk.Euler3DTransform()
    turn.SetRotation(*np.deg2rad(angles))
    return np.array(turn.GetMatrix()).reshape(3, 3) @ np.diag([1.0, 1.0, -1.0 if mirrored else 1.0])


def image(mask: np.ndarray, spacing_xyz: tuple[float, ...], direction: np.ndarray, origin=(12.0, -40.0, 7.5)):
    made = sitk.GetImageFromArray(mask.astype(np.uint8))
    made.SetSpacing(spacing_xyz)
    made.SetDirection(direction.ravel().tolist())
    made.SetOrigin(origin)
    return made


def check(oracles, found, a: np.ndarray, b: np.ndarray, spacing_zyx: tuple[float, ...]) -> None:
    """The numbers of one pair on one grid against the oracles."""
    first, second = oracles.voxels(a), oracles.voxels(b)
    assert found.dice == oracles.dice(first, second)
    for percent, value in ((95, found.hd95_mm), (100, found.hd_mm)):
        assert value == pytest.approx(oracles.brute_hausdorff(a, b, spacing_zyx, percent), abs=1e-9)
    assert found.fpv_ml == pytest.approx(oracles.missed_volume_ml(a, b, spacing_zyx, 18), rel=1e-12)
    assert found.fnv_ml == pytest.approx(oracles.missed_volume_ml(b, a, spacing_zyx, 18), rel=1e-12)
    if first and second:
        one, two = oracles.sides(a, b, spacing_zyx, False)
        assert found.assd_mm == pytest.approx(oracles.mean(one + two), abs=1e-9)
        one, two = oracles.sides(a, b, spacing_zyx, True)
        assert found.nsd_tolerance_mm == pytest.approx(max(2.0, *spacing_zyx), rel=1e-12)
        shares = [oracles.share_within(one + two, found.nsd_tolerance_mm + d) for d in (-1e-9, 1e-9)]
        assert shares[0] - 1e-7 <= found.nsd <= shares[1] + 1e-7
        centres = [np.mean(list(s), axis=0) * spacing_zyx for s in (first, second)]
        assert found.centre_distance_mm == pytest.approx(math.dist(*centres), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACINGS, ANGLES, st.booleans())
def test_an_oblique_grid_changes_no_number(oracles, pair, spacing, angles, mirrored):
    direction = turned(angles, mirrored)
    found = compare(*(image(m, spacing, direction) for m in pair))
    assert not found.resampled
    check(oracles, found, *pair, spacing[::-1])


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACINGS, ANGLES, st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))
def test_a_prediction_stored_along_other_axes_is_the_same_prediction(oracles, pair, spacing, angles, order, flips):
    direction = turned(angles, False)
    prediction, reference = (image(m, spacing, direction) for m in pair)
    stored = sitk.PermuteAxes(sitk.Flip(prediction, flips, False), order)
    found = compare(stored, reference)
    assert found.resampled == (not Geometry.of(stored).same_grid(Geometry.of(reference)))
    assert found.outside_ml == 0.0
    check(oracles, found, *pair, spacing[::-1])


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACINGS, ANGLES, st.tuples(*[st.integers(-1, 2)] * 3), st.tuples(*[st.integers(0, 2)] * 3))
def test_a_prediction_on_a_part_or_more_of_the_grid_is_placed_by_its_origin(
    oracles, pair, spacing, angles, start, more
):
    """The prediction's grid starts `start` voxels (z, y, x) into the reference's and is `more` voxels longer."""
    prediction, reference = pair
    direction = turned(angles, True)
    own = np.zeros([n + m for n, m in zip(prediction.shape, more, strict=True)], bool)
    own[tuple(slice(0, n) for n in prediction.shape)] = prediction
    truth = image(reference, spacing, direction)
    origin = truth.TransformContinuousIndexToPhysicalPoint([float(s) for s in start[::-1]])
    on_grid, outside = np.zeros_like(reference), 0
    for voxel in oracles.voxels(own):
        place = tuple(v + s for v, s in zip(voxel, start, strict=True))
        if all(0 <= p < n for p, n in zip(place, reference.shape, strict=True)):
            on_grid[place] = True
        else:
            outside += 1
    if any(s >= n for s, n in zip(start, reference.shape, strict=True)):
        return
    found = compare(image(own, spacing, direction, origin), truth)
    voxel_ml = math.prod(spacing) / 1000
    assert found.outside_ml == pytest.approx(outside * voxel_ml, rel=1e-9)
    assert found.volume_ml == pytest.approx(own.sum() * voxel_ml, rel=1e-9)
    assert found.reference_volume_ml == pytest.approx(reference.sum() * voxel_ml, rel=1e-9)
    assert found.dice == oracles.dice(oracles.voxels(on_grid), oracles.voxels(reference))
    assert found.hd95_mm == pytest.approx(oracles.brute_hausdorff(on_grid, reference, spacing[::-1], 95), abs=1e-9)


@pytest.mark.parametrize("empty", ["prediction", "reference", "both"])
def test_empties_are_told_in_json_and_never_as_a_number(empty):
    full, none = np.ones((3, 4, 5), bool), np.zeros((3, 4, 5), bool)
    direction = turned((20.0, 45.0, 0.0), True)
    pair = {"prediction": (none, full), "reference": (full, none), "both": (none, none)}[empty]
    found = compare(*(image(m, (1.0, 2.0, 3.0), direction) for m in pair))
    values = found.to_json()
    if empty == "both":
        assert (values["dice"], values["nsd"], values["fpv_ml"], values["fnv_ml"]) == (1.0, 1.0, 0.0, 0.0)
        assert [values[key] for key in ("hd95_mm", "hd_mm", "assd_mm")] == [0.0, 0.0, 0.0]
        assert "hd95_note" not in values
    else:
        assert (values["dice"], values["nsd"]) == (0.0, 0.0)
        assert [values[key] for key in ("hd95_mm", "hd_mm", "assd_mm")] == [None, None, None]
        assert values["hd95_note"] == "no contour"
        assert values["fpv_ml"] == pytest.approx(0.36 if empty == "reference" else 0.0)
        assert values["fnv_ml"] == pytest.approx(0.36 if empty == "prediction" else 0.0)
    assert (found.relative_volume_difference is None) == (empty != "prediction")
    assert found.centre_distance_mm is None
