from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.inference.clicks import Click, refine_labels
from petctfusion.inference.postprocess import byte_threshold, labels_from_probability
from petctfusion.volumes.box import bounding_box


@pytest.fixture
def share() -> np.ndarray:
    """A hollow cube of 5 voxels a side, one voxel that touches it by a corner only, and a far one."""
    share = np.zeros((20, 20, 20), np.uint8)
    share[4:9, 4:9, 4:9] = 200
    share[6, 6, 6] = 10
    share[9, 9, 9] = 130
    share[15, 15, 15] = 255
    return share


@pytest.mark.parametrize(("threshold", "lowest"), [(0.0, 1), (0.5, 128), (1.0, 255), (0.2, 51)])
def test_a_threshold_is_met_from_its_value_on(threshold, lowest):
    assert byte_threshold(threshold) == lowest


def test_labels_follow_the_threshold(share):
    assert labels_from_probability(share, 1.0, 0.5).sum() == 126
    assert labels_from_probability(share, 1.0, 0.6).sum() == 125
    assert labels_from_probability(share, 1.0, 0.0).sum() == 127


def test_small_components_go_and_corners_connect(share):
    labels = labels_from_probability(share, 0.1, 0.5, smallest_component_ml=0.2)
    assert labels[15, 15, 15] == 0
    assert labels[9, 9, 9] == 1
    assert labels.sum() == 125
    # 125 voxels of 0.1 ml are 12.5 ml: at the limit a component stays.
    assert labels_from_probability(share, 0.1, 0.5, smallest_component_ml=12.5).sum() == 125
    assert labels_from_probability(share, 0.1, 0.5, smallest_component_ml=12.6).sum() == 0


def test_components_far_smaller_than_the_largest_go_when_a_share_is_asked_for():
    share = np.zeros((12, 12, 12), dtype=np.uint8)
    share[1:5, 1:5, 1:5] = 255  # 64 voxels
    share[8:10, 8:10, 8:12] = 255  # 16 voxels: a quarter
    share[11, 0, 0] = 255
    kept = {
        s: int(labels_from_probability(share, 1.0, smallest_component_share=s).sum()) for s in (0, 0.2, 0.25, 0.3, 1)
    }
    assert kept == {0: 81, 0.2: 80, 0.25: 80, 0.3: 64, 1: 64}


def test_holes_are_filled_only_when_the_card_says_so(share):
    assert labels_from_probability(share, 1.0)[6, 6, 6] == 0
    assert labels_from_probability(share, 1.0, fill_holes=True)[6, 6, 6] == 1


def test_the_stronger_of_two_labels_wins(share):
    other = np.full_like(share, 140)
    labels = labels_from_probability(np.stack([share, other], axis=-1), 1.0, 0.5, values=(3, 7))
    assert labels[4, 4, 4] == 3
    assert labels[9, 9, 9] == 7
    assert labels[0, 0, 0] == 7


def test_nothing_found_is_an_empty_label_map():
    empty = np.zeros((3, 4, 5), np.uint8)
    assert labels_from_probability(empty, 1.0, 0.5, 1.0, True).sum() == 0
    assert bounding_box(empty > 0) is None


def test_a_foreground_click_adds_its_region_and_a_background_click_gives_one_up():
    share = np.zeros((20, 20, 20), np.uint8)
    share[5:10, 5:10, 5:10], share[14:17, 14:17, 14:17] = 200, 90
    probability, labels = sitk.GetImageFromArray(share), sitk.GetImageFromArray((share >= 128).astype(np.uint8))
    added = refine_labels(probability, labels, [Click((15.0, 15.0, 15.0), True)], 0.5)
    assert np.array_equal(sitk.GetArrayFromImage(added) == 1, share > 0)
    removed = refine_labels(probability, added, [Click((7.0, 7.0, 7.0), False)], 0.5)
    assert np.array_equal(sitk.GetArrayFromImage(removed) == 1, share == 90)


def test_a_click_is_obeyed_even_where_nothing_is_probable():
    empty = sitk.GetImageFromArray(np.zeros((5, 5, 5), np.uint8))
    labels = sitk.GetArrayFromImage(refine_labels(empty, empty, [Click((2.0, 3.0, 4.0), True)], 0.5))
    assert np.argwhere(labels).tolist() == [[4, 3, 2]]


def test_a_click_reaches_four_centimetres_and_no_further():
    share = sitk.GetImageFromArray(np.full((3, 3, 100), 200, np.uint8))
    labels = sitk.GetImageFromArray(np.zeros((3, 3, 100), np.uint8))
    found = sitk.GetArrayFromImage(refine_labels(share, labels, [Click((0.0, 1.0, 1.0), True)], 0.5))
    assert np.flatnonzero(found[1, 1]).max() == 40


@pytest.mark.parametrize("foreground", [True, False])
def test_a_click_reaches_twice_as_far_as_the_border_of_what_it_corrects(foreground):
    # A slab of tumour; the click lies 8 mm from its border, inside or outside.
    share = np.full((41, 41, 120), 200, np.uint8)
    labels = np.zeros_like(share)
    labels[..., :60] = 1
    x = 67 if foreground else 52
    click = Click((float(x), 20.0, 20.0), foreground)
    images = [sitk.GetImageFromArray(values) for values in (share, labels)]
    found = sitk.GetArrayFromImage(refine_labels(*images, [click], 0.5))
    changed = np.argwhere(found != labels) - (20, 20, x)
    reach = np.sqrt((changed**2).sum(axis=1))
    assert reach.max() == pytest.approx(16.0, abs=0.5)
    assert found[20, 20, x] == foreground


@pytest.mark.parametrize(("probable", "reach_mm"), [(5, 12), (6, 40)])
def test_a_click_where_the_network_is_sure_of_nothing_adds_little(probable, reach_mm):
    # 2 % of 255 is 5.1.
    share = sitk.GetImageFromArray(np.full((3, 3, 100), probable, np.uint8))
    labels = sitk.GetImageFromArray(np.zeros((3, 3, 100), np.uint8))
    found = sitk.GetArrayFromImage(refine_labels(share, labels, [Click((50.0, 1.0, 1.0), True)], 0.5))
    assert np.flatnonzero(found[1, 1]).max() == 50 + reach_mm


@pytest.mark.parametrize("point", [(99.0, 0.0, 0.0), (-1.0, 0.0, 0.0)])
def test_a_click_outside_the_volume_is_refused(point):
    empty = sitk.GetImageFromArray(np.zeros((5, 5, 5), np.uint8))
    with pytest.raises(BadInputError, match="outside"):
        refine_labels(empty, empty, [Click(point, True)], 0.5)


@pytest.mark.parametrize("values", [{}, {"point": [1, 2]}, {"point": [1, 2, 3], "foreground": "yes"}])
def test_a_click_that_is_not_understood_is_refused(values):
    with pytest.raises(BadInputError):
        Click.from_json({"foreground": True, **values} if "point" in values else values)
