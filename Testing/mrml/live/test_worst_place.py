"""The worst place and the worst slice, found again by hand, and the views that jump there."""

import numpy as np
import pytest
from ball_study import RESULT, TRUTH

from petctfusion.metrics import dice
from PETCTFusionSegLib.mrml.worst_place import centreSliceViews, worstPlaces


@pytest.mark.parametrize("which", ["followed", "oblique"])
def test_the_worst_place_is_the_voxel_farthest_from_the_other_surface(which, request):
    followed = request.getfixturevalue(which)
    worst = worstPlaces(followed.row)
    index = followed.grid.indices(np.array([[-worst.point[0], -worst.point[1], worst.point[2]]]))[0]
    z, y, x = (round(v) for v in index[::-1])
    np.testing.assert_allclose(index[::-1], (z, y, x), atol=1e-6)
    wanted = followed.row.numbers.hd_mm
    far, near = (TRUTH, RESULT) if TRUTH[z, y, x] and not RESULT[z, y, x] else (RESULT, TRUTH)
    assert far[z, y, x]
    others = np.argwhere(near) - (z, y, x)
    assert np.sqrt(((others * (3, 2, 2)) ** 2).sum(axis=1)).min() == pytest.approx(wanted)
    assert f"{wanted:.1f} mm" in worst.sentence


@pytest.mark.parametrize("which", ["followed", "oblique"])
def test_the_worst_slice_is_centred_in_every_view(which, request):
    followed = request.getfixturevalue(which)
    views = [followed.scene.AddNewNodeByClass("vtkMRMLSliceNode", name) for name in ("Red", "Green")]
    views[1].SetOrientation("Coronal")
    worst = worstPlaces(followed.row)
    assert centreSliceViews(followed.scene, worst.slice) == 2
    for view in views:
        matrix = view.GetSliceToRAS()
        np.testing.assert_allclose([matrix.GetElement(i, 3) for i in range(3)], worst.slice, atol=1e-6)
    index = followed.grid.indices(np.array([[-worst.slice[0], -worst.slice[1], worst.slice[2]]]))[0]
    z = round(index[2])
    lowest = {z for z in range(30) if (TRUTH[z].any() or RESULT[z].any()) and dice(TRUTH[z], RESULT[z]) == 0}
    assert z in lowest


def test_equal_and_empty_contours_have_no_worst_place(followed):
    followed.edit(TRUTH)
    assert worstPlaces(followed.row).point is None
    assert "equal" in worstPlaces(followed.row).sentence
    followed.edit(TRUTH & False)
    found = worstPlaces(followed.row)
    assert found.point is None
    assert found.slice is not None
    assert "no contour" in found.sentence
    followed.edit(TRUTH & False, followed.reference, "Truth")
    assert "Both are empty" in worstPlaces(followed.row).sentence
