"""How contours are drawn, and in which colors a PET is: read back from the display nodes, hidden nodes left alone."""

import pytest

from PETCTFusionSegLib.mrml import contours
from PETCTFusionSegLib.mrml.pet_colours import PET_COLOURS, petColour, setPetColour
from PETCTFusionSegLib.mrml.segmentations import createSegmentation


@pytest.fixture
def nodes(scene, ct, ctImage, labelArray, specs):
    import SimpleITK as sitk

    labels = sitk.GetImageFromArray(labelArray)
    labels.CopyInformation(ctImage)
    made = [createSegmentation(scene, labels, specs, ct, name, {}) for name in ("Result", "Truth", "Secret")]
    made[2].SetHideFromEditors(True)
    return made


def test_only_what_a_user_may_know_of_is_listed(scene, nodes):
    assert contours.listedSegmentations(scene) == nodes[:2]


def test_fills_and_lines_are_set_and_read_back(nodes):
    shown = nodes[:2]
    contours.setFillOpacity(shown[:1], 0.3)
    contours.setFillOpacity(shown[1:], 0.0)
    assert contours.fillOpacity(shown) == pytest.approx(0.3)
    assert contours.fillOpacity(shown[1:]) == 0.0
    assert not nodes[1].GetDisplayNode().GetVisibility2DFill()
    contours.setOutlineOpacity(shown, 0.0)
    assert contours.outlineOpacity(shown) == 0.0
    contours.setOutlineOpacity(shown, 0.7)
    assert contours.outlineOpacity(shown) == pytest.approx(0.7)
    assert nodes[2].GetDisplayNode().GetOpacity2DOutline() != pytest.approx(0.7)
    assert contours.fillOpacity([]) == contours.outlineOpacity([]) == 0.0


def test_nodes_are_hidden_and_shown_in_all_views_or_in_3d(nodes):
    contours.setShown(nodes[0], False)
    assert not contours.isShown(nodes[0])
    assert contours.isShown(nodes[1])
    contours.setShown(nodes[0], True)
    assert contours.isShown(nodes[0])
    contours.setShownIn3d(nodes[:2], False)
    assert not contours.isShownIn3d(nodes[:2])
    contours.setShownIn3d(nodes[:1], True)
    assert contours.isShownIn3d(nodes[:2])


def test_a_pet_gets_another_table_and_an_unknown_one_changes_nothing(ct):
    for name in PET_COLOURS:
        assert setPetColour(ct, name)
        assert petColour(ct) == name
    assert not setPetColour(ct, "No such table")
    assert not setPetColour(ct, ct.GetName())
    assert petColour(ct) == PET_COLOURS[-1]
    assert petColour(None) == ""
