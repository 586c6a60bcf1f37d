from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from petctfusion.errors import BadInputError
from petctfusion.metrics import label_lesions, lesion_table
from petctfusion.volumes.geometry import Geometry

STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@settings(max_examples=80, deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)), st.sampled_from((6, 18, 26)))
def test_components_equal_a_flood_fill_and_are_numbered_by_size(oracles, mask, connectivity):
    labels, count = label_lesions(mask, connectivity)
    ours = [{tuple(i) for i in np.argwhere(labels == n)} for n in range(1, count + 1)]
    theirs = oracles.flood_components(mask, connectivity)
    assert {frozenset(c) for c in ours} == {frozenset(c) for c in theirs}
    assert len(ours) == len(theirs)
    assert [len(c) for c in ours] == sorted((len(c) for c in theirs), reverse=True)


def test_voxels_that_share_an_edge_are_one_lesion_and_those_that_share_a_corner_are_two():
    edge, corner = np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
    edge[0, 0, 0] = edge[0, 1, 1] = corner[0, 0, 0] = corner[1, 1, 1] = True
    assert [label_lesions(edge, c)[1] for c in (6, 18, 26)] == [2, 1, 1]
    assert [label_lesions(corner, c)[1] for c in (6, 18, 26)] == [2, 2, 1]


def test_a_connectivity_that_does_not_exist_is_refused():
    with pytest.raises(BadInputError, match="8-connectivity"):
        label_lesions(np.ones((2, 2, 2)), 8)


def test_lesions_come_with_volume_uptake_and_place_in_lps(oblique, ball):
    index = np.array([[8.0, 9.0, 5.0], [24.0, 20.0, 15.0]])
    centres = oblique.points(index)
    small, large = ball(oblique, centres[0], 5.0), ball(oblique, centres[1], 8.0)
    truth = [sitk.GetArrayFromImage(m) > 0 for m in (large, small)]
    suv = np.random.default_rng(0).uniform(1, 9, oblique.shape).astype(np.float32)
    lesions = lesion_table(sitk.Or(small, large), oblique.image(suv))
    assert [lesion.id for lesion in lesions] == [1, 2]
    for lesion, inside, centre in zip(lesions, truth, centres[::-1], strict=True):
        assert lesion.volume_ml == pytest.approx(inside.sum() * 1.1 * 1.7 * 3.3 / 1000)
        assert lesion.suv_max == float(suv[inside].max())
        assert lesion.suv_mean == pytest.approx(suv[inside].astype(float).mean(), rel=1e-12)
        assert lesion.centre_mm == pytest.approx(tuple(centre), abs=1e-6)


def test_suv_max_is_a_value_of_the_pet_itself_when_the_grids_differ(ball):
    ct = Geometry((60, 60, 30), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), STRAIGHT)
    pet = Geometry((20, 20, 12), (4.1, 4.1, 5.3), (-7.0, -9.0, -2.0), STRAIGHT)
    centre, radius = (31.0, 28.0, 30.0), 13.0
    suv = np.random.default_rng(1).uniform(1, 9, pet.shape).astype(np.float32)
    lesion = lesion_table(ball(ct, centre, radius), pet.image(suv))[0]
    points = pet.points(np.argwhere(np.ones(pet.shape, bool))[:, ::-1].astype(float))
    distance = np.linalg.norm(points - centre, axis=1).reshape(pet.shape)
    assert lesion.suv_max in suv[distance <= radius + 1.5]
    assert lesion.suv_max >= suv[distance <= radius - 1.5].max()


def test_a_lesion_smaller_than_a_pet_voxel_is_interpolated():
    ct = Geometry((40, 40, 40), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), STRAIGHT)
    pet = Geometry((10, 10, 10), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), STRAIGHT)
    ramp = np.arange(10, dtype=np.float32) * np.ones((10, 10, 1), np.float32)
    mask = np.zeros(ct.shape, np.uint8)
    mask[2, 2, 9:12] = 1
    lesion = lesion_table(ct.image(mask), pet.image(ramp))[0]
    assert lesion.suv_max == pytest.approx(11 / 4)
    assert lesion.suv_mean == pytest.approx(10 / 4)


def test_a_lesion_beyond_the_pet_has_no_uptake_and_keeps_its_volume():
    ct = Geometry((10, 10, 40), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), STRAIGHT)
    pet = Geometry((10, 10, 10), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), STRAIGHT)
    mask = np.zeros(ct.shape, np.uint8)
    mask[2, 2, 2] = 1
    mask[30:33, 2, 2] = 1
    far, near = lesion_table(ct.image(mask), pet.image(np.full(pet.shape, 3, np.float32)))
    assert (far.suv_max, far.suv_mean, far.volume_ml) == (None, None, pytest.approx(0.003))
    assert near.suv_max == 3.0


def test_an_empty_mask_has_no_lesions_and_a_missing_pet_no_uptake(oblique, ball):
    assert lesion_table(oblique.empty(), None) == []
    lesion = lesion_table(ball(oblique, oblique.points(np.array([[15.0, 15, 10]]))[0], 6.0), None)[0]
    assert lesion.suv_max is None
    assert lesion.to_json() == {
        "id": 1,
        "volume_ml": lesion.volume_ml,
        "suv_max": None,
        "suv_mean": None,
        "suv_peak": None,
        "mtv_ml": lesion.volume_ml,
        "tlg": None,
        "centre_mm": list(lesion.centre_mm),
    }


def test_total_lesion_glycolysis_is_the_mean_uptake_times_the_volume(oblique, ball):
    suv = np.random.default_rng(0).uniform(1, 9, oblique.shape).astype(np.float32)
    mask = ball(oblique, oblique.points(np.array([[15.0, 15, 10]]))[0], 6.0)
    lesion = lesion_table(mask, oblique.image(suv))[0]
    inside = suv[sitk.GetArrayFromImage(mask) > 0].astype(float)
    assert lesion.tlg == pytest.approx(inside.sum() * 1.1 * 1.7 * 3.3 / 1000, rel=1e-12)
    assert lesion.to_json()["tlg"] == lesion.tlg


@pytest.mark.data
def test_the_uptake_of_a_real_tumour_is_the_same_from_the_pet_and_the_ct_contour_s_grid(sts):
    patient = sts / "STS_001"
    pet, pet_gtv, ct_gtv = (sitk.ReadImage(str(patient / f"{n}.nii.gz")) for n in ("PET", "PET_GTV", "CT_GTV"))
    on_pet, on_ct = lesion_table(pet_gtv, pet)[0], lesion_table(ct_gtv, pet)[0]
    inside = sitk.GetArrayFromImage(pet)[sitk.GetArrayFromImage(pet_gtv) > 0]
    assert on_pet.suv_max == pytest.approx(float(inside.max()), rel=1e-6)
    assert on_ct.suv_max == on_pet.suv_max
    assert on_ct.volume_ml == pytest.approx(on_pet.volume_ml, rel=0.05)
