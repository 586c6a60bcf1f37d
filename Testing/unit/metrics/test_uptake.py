from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from petctfusion.errors import BadInputError
from petctfusion.metrics import lesion_table
from petctfusion.metrics.uptake import PEAK_RADIUS_MM, sphere_chords, suv_peak
from petctfusion.volumes.geometry import Geometry

STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def brute_peak(values, centres, spacing):
    """Mean over every voxel of the image within 1 ml's radius of each centre, by distance; the highest."""
    reach = [int(6.3 / s) + 1 for s in spacing]
    best = -math.inf
    for centre in centres:
        inside = []
        for step in itertools.product(*(range(-r, r + 1) for r in reach)):
            place = tuple(c + s for c, s in zip(centre, step, strict=True))
            if math.hypot(*(a * b for a, b in zip(step, spacing, strict=True))) > (750 / math.pi) ** (1 / 3):
                continue
            if all(0 <= p < n for p, n in zip(place, values.shape, strict=True)) and math.isfinite(values[place]):
                inside.append(float(values[place]))
        if inside:
            best = max(best, math.fsum(inside) / len(inside))
    return best


def test_the_sphere_holds_one_millilitre():
    assert 4 / 3 * math.pi * PEAK_RADIUS_MM**3 == pytest.approx(1000)
    spacing = (0.31, 0.23, 0.27)
    assert sum(2 * h + 1 for _, _, h in sphere_chords(spacing)) * math.prod(spacing) == pytest.approx(1000, rel=1e-3)
    # Voxels larger than the sphere: the centre alone, so that SUVpeak is SUVmax.
    assert sphere_chords((7.0, 8.0, 6.5)) == [(0, 0, 0)]


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.floats(1.1, 7.5)] * 3),
    st.tuples(*[st.integers(1, 9)] * 3),
    st.integers(0, 2**32 - 1),
    st.floats(0.02, 0.9),
    st.booleans(),
)
def test_suv_peak_equals_brute_force_at_borders_and_beside_holes(spacing, shape, seed, part, holes):
    random = np.random.default_rng(seed)
    values = random.gamma(2, 2, shape).astype(np.float32)
    if holes:
        values[random.random(shape) < 0.2] = np.nan
    centres = np.flatnonzero(random.random(shape) < part)[:12]
    if not centres.size:
        assert suv_peak(values, centres, spacing) is None
        return
    expected = brute_peak(values, np.stack(np.unravel_index(centres, shape), 1).tolist(), spacing)
    assert suv_peak(values, random.permutation(centres), spacing) == pytest.approx(expected, rel=1e-12)


def test_slabs_change_nothing(monkeypatch):
    random = np.random.default_rng(4)
    values = random.gamma(2, 2, (40, 12, 13)).astype(np.float32)
    centres = np.flatnonzero(random.random(values.shape) < 0.02)
    whole = suv_peak(values, centres, (2.0, 3.0, 2.5))
    monkeypatch.setattr("petctfusion.metrics.uptake._SLAB", 500)
    assert suv_peak(values, centres, (2.0, 3.0, 2.5)) == pytest.approx(whole, rel=1e-13)


def test_a_hot_voxel_beside_the_lesion_counts_within_the_sphere_and_not_for_the_maximum(oblique):
    suv = np.ones(oblique.shape, np.float32)
    mask = np.zeros(oblique.shape, np.uint8)
    mask[10:12, 12:15, 14:18] = 1
    suv[10, 12, 18] = 50
    lesion = lesion_table(oblique.image(mask), oblique.image(suv))[0]
    assert (lesion.suv_max, lesion.suv_mean) == (1.0, 1.0)
    expected = brute_peak(suv, np.argwhere(mask).tolist(), oblique.spacing_zyx)
    assert lesion.suv_peak == pytest.approx(expected, rel=1e-12)
    assert lesion.suv_peak > 1.2


def test_on_another_grid_the_spheres_are_those_of_the_pet_voxels_in_the_lesion(ball):
    ct = Geometry((60, 60, 30), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), STRAIGHT)
    pet = Geometry((20, 20, 12), (4.1, 4.1, 5.3), (-7.0, -9.0, -2.0), STRAIGHT)
    mask = ball(ct, (31.0, 28.0, 30.0), 13.0)
    suv = np.random.default_rng(1).uniform(1, 9, pet.shape).astype(np.float32)
    lesion = lesion_table(mask, pet.image(suv))[0]
    inside = sitk.GetArrayFromImage(mask)
    centres = []
    for place in np.ndindex(pet.shape):
        at = np.floor(ct.indices(pet.points(np.array([place[::-1]], float)))[0] + 0.5).astype(int)
        if np.all((at >= 0) & (at < ct.size)) and inside[tuple(at[::-1])]:
            centres.append(place)
    read = [float(suv[c]) for c in centres]
    assert lesion.suv_max == max(read)
    assert lesion.suv_mean == pytest.approx(math.fsum(read) / len(read), rel=1e-12)
    assert lesion.suv_peak == pytest.approx(brute_peak(suv, centres, pet.spacing_zyx), rel=1e-12)


@pytest.mark.parametrize("slab", [1 << 20, 60])
def test_pet_voxels_are_found_on_turned_grids_and_in_slabs(oblique, monkeypatch, slab):
    monkeypatch.setattr("petctfusion.metrics.uptake._SLAB", slab)
    random = np.random.default_rng(5)
    angle = np.deg2rad(33)
    turn = (np.cos(angle), 0.0, np.sin(angle), 0.0, 1.0, 0.0, -np.sin(angle), 0.0, np.cos(angle))
    pet = Geometry((17, 15, 19), (2.9, 2.3, 3.7), tuple(oblique.points(np.array([[-4.0, 2, 21]]))[0]), turn)
    suv = random.uniform(1, 9, pet.shape).astype(np.float32)
    mask = (random.random(oblique.shape) < 0.4).astype(np.uint8)
    lesions = [lesion for lesion in lesion_table(oblique.image(mask), pet.image(suv)) if lesion.volume_ml > 0.5]
    at = np.floor(oblique.indices(pet.points(np.argwhere(np.ones(pet.shape))[:, ::-1].astype(float))) + 0.5).astype(int)
    inside = np.all((at >= 0) & (at < oblique.size), axis=1)
    inside[inside] = mask[tuple(at[inside, ::-1].T)] > 0
    read = suv.ravel()[inside].astype(float)
    # At this density everything is one lesion but for a few voxels.
    assert len(lesions) == 1
    assert read.size > 100
    assert lesions[0].suv_mean == pytest.approx(read.mean(), rel=1e-2)
    whole = lesion_table(oblique.image(np.ones(oblique.shape, np.uint8)), pet.image(suv))[0]
    within = suv.ravel()[np.all((at >= 0) & (at < oblique.size), axis=1)].astype(float)
    assert whole.suv_mean == pytest.approx(within.mean(), rel=1e-12)
    assert whole.suv_max == within.max()


def test_a_pet_voxel_on_the_face_between_two_voxels_belongs_to_the_later_one():
    ct = Geometry((12, 12, 12), (0.7, 0.7, 0.7), (0.35, 0.35, 0.35), STRAIGHT)
    pet = Geometry((5, 5, 5), (1.4, 1.4, 1.4), (0.7, 0.7, 0.7), STRAIGHT)
    suv = np.random.default_rng(6).uniform(1, 9, pet.shape).astype(np.float32)
    for k in range(5):
        mask = np.zeros(ct.shape, np.uint8)
        mask[2 * k + 1, 1:10, 1:10] = 1
        assert lesion_table(ct.image(mask), pet.image(suv))[0].suv_max == suv[k].max()


def test_a_lesion_between_pet_voxels_takes_the_sphere_of_the_voxel_it_lies_in():
    ct = Geometry((40, 40, 40), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), STRAIGHT)
    pet = Geometry((10, 10, 10), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), STRAIGHT)
    suv = np.random.default_rng(2).uniform(1, 9, pet.shape).astype(np.float32)
    mask = np.zeros(ct.shape, np.uint8)
    mask[13, 14, 9] = 1
    lesion = lesion_table(ct.image(mask), pet.image(suv))[0]
    assert lesion.suv_peak == pytest.approx(brute_peak(suv, [(3, 4, 2)], (4, 4, 4)), rel=1e-12)


def test_a_lesion_beyond_the_pet_has_no_peak_and_no_glycolysis():
    ct = Geometry((10, 10, 40), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), STRAIGHT)
    pet = Geometry((10, 10, 10), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), STRAIGHT)
    mask = np.zeros(ct.shape, np.uint8)
    mask[30:33, 2, 2] = 1
    lesion = lesion_table(ct.image(mask), pet.image(np.full(pet.shape, 3, np.float32)))[0]
    assert (lesion.suv_max, lesion.suv_mean, lesion.suv_peak, lesion.tlg) == (None,) * 4
    assert lesion.mtv_ml == pytest.approx(0.003)


def test_a_pet_that_cannot_be_read_is_refused(oblique):
    mask = np.zeros(oblique.shape, np.uint8)
    mask[3:5, 3:5, 3:5] = 1
    suv = np.ones(oblique.shape, np.float32)
    suv[3, 3, 3] = np.nan
    with pytest.raises(BadInputError, match="NaN or infinity in lesion 1"):
        lesion_table(oblique.image(mask), oblique.image(suv))
    with pytest.raises(BadInputError, match="not a 3-D volume"):
        lesion_table(oblique.image(mask), sitk.Image([4, 4], sitk.sitkFloat32))
    with pytest.raises(BadInputError, match="2 dimensions"):
        lesion_table(sitk.Image([4, 4], sitk.sitkUInt8), None)
