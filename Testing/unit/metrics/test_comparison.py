from __future__ import annotations

import json
import math

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.metrics import compare, dice, hd95_mm
from petctfusion.volumes.geometry import Geometry

STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def test_masks_on_one_grid_are_compared_voxel_by_voxel(oblique, ball):
    a, b = (ball(oblique, oblique.points(np.array([[15.0 + d, 15, 10]]))[0], 9.0) for d in (0, 3))
    found = compare(a, b)
    arrays = sitk.GetArrayFromImage(a) > 0, sitk.GetArrayFromImage(b) > 0
    assert found.dice == dice(*arrays)
    assert found.hd95_mm == hd95_mm(*arrays, (3.3, 1.7, 1.1))
    assert (found.resampled, found.outside_ml, found.hd95_note) == (False, 0.0, "")
    assert found.volume_difference_ml == pytest.approx(found.volume_ml - found.reference_volume_ml)


def test_a_mirrored_and_permuted_copy_of_a_mask_is_the_same_mask(oblique, ball):
    mask = ball(oblique, oblique.points(np.array([[12.0, 17, 9]]))[0], 9.0)
    turned = sitk.PermuteAxes(sitk.Flip(mask, [True, False, True], False), [2, 0, 1])
    found = compare(turned, mask)
    assert found.resampled
    assert (found.dice, found.hd95_mm, found.outside_ml) == (1.0, 0.0, 0.0)


def test_different_grids_are_compared_in_space_and_it_is_said(ball):
    fine = Geometry((80, 80, 50), (1.0, 1.0, 1.5), (-40.0, -40.0, -37.0), STRAIGHT)
    coarse = Geometry((30, 30, 40), (3.0, 3.0, 2.0), (-43.0, -45.0, -40.0), STRAIGHT)
    found = compare(ball(coarse, (3, -2, 1), 20.0), ball(fine, (3, -2, 1), 20.0))
    assert found.resampled
    assert found.dice > 0.95
    assert found.hd95_mm < 3.0
    assert found.volume_ml == pytest.approx(found.reference_volume_ml, rel=0.03)


def test_a_part_beyond_the_reference_s_field_of_view_is_named():
    short = Geometry((10, 10, 5), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), STRAIGHT)
    long = Geometry((10, 10, 20), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), STRAIGHT)
    prediction = np.zeros(long.shape, np.uint8)
    prediction[2:4, 4:6, 4:6] = 1
    prediction[12:17, 4:6, 4:6] = 1
    reference = prediction[:5]
    found = compare(long.image(prediction), short.image(reference))
    assert found.dice == 1.0
    assert found.outside_ml == pytest.approx(20 * 8 / 1000)
    assert found.volume_ml == pytest.approx(28 * 8 / 1000)


def test_any_label_counts_and_labels_do_not_fray_at_their_seam(oblique):
    labels = np.zeros(oblique.shape, np.uint8)
    labels[5:15, 5:15, 5:15] = 1
    labels[5:15, 5:15, 15:25] = 4
    assert compare(oblique.image(labels), oblique.image((labels > 0).astype(np.uint8))).dice == 1.0


def test_masks_that_share_no_space_are_refused():
    grid = Geometry((10, 10, 10), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), STRAIGHT)
    far = Geometry((10, 10, 10), (1.0, 1.0, 1.0), (0.0, 500.0, 0.0), STRAIGHT)
    with pytest.raises(BadInputError, match="share no space"):
        compare(far.image(np.ones(far.shape, np.uint8)), grid.empty())


@pytest.mark.parametrize("empty_first", [True, False])
def test_one_empty_mask_is_null_in_json_with_the_reason(oblique, empty_first):
    full = oblique.image(np.ones(oblique.shape, np.uint8))
    pair = (oblique.empty(), full) if empty_first else (full, oblique.empty())
    found = compare(*pair)
    assert (found.dice, found.hd95_mm) == (0.0, math.inf)
    values = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert values["hd95_mm"] is None
    assert values["hd95_note"] == "no contour"
    assert values["dice"] == 0.0


def test_two_empty_masks_agree(oblique):
    found = compare(oblique.empty(), oblique.empty())
    assert (found.dice, found.hd95_mm) == (1.0, 0.0)
    assert "hd95_note" not in found.to_json()


def test_a_vector_image_and_a_slice_are_refused():
    for image in (sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3), sitk.Image([4, 4], sitk.sitkUInt8)):
        with pytest.raises(BadInputError, match="cannot be compared"):
            compare(image, image)


@pytest.mark.data
def test_the_two_contours_of_a_real_patient_agree_across_their_grids(sts):
    ct_gtv, pet_gtv = (sitk.ReadImage(str(sts / "STS_001" / f"{n}.nii.gz")) for n in ("CT_GTV", "PET_GTV"))
    found = compare(pet_gtv, ct_gtv)
    assert found.resampled
    assert found.dice > 0.9
    assert found.hd95_mm < 6.0
    assert compare(ct_gtv, ct_gtv).to_json()["dice"] == 1.0
