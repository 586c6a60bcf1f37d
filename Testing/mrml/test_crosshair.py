"""The crosshair stands where three slice views meet, whatever their orientation."""

import numpy as np
import pytest
import slicer

from PETCTFusionSegLib.mrml.crosshair import isCrosshairShown, placeCrosshair, showCrosshair


@pytest.fixture
def node(scene):
    made = slicer.vtkMRMLCrosshairNode()
    made.SetCrosshairName("default")
    return scene.AddNode(made)


@pytest.fixture
def views(scene):
    made = [scene.AddNewNodeByClass("vtkMRMLSliceNode", name) for name in ("Red", "Green", "Yellow")]
    for view, orientation in zip(made, ("Axial", "Coronal", "Sagittal"), strict=True):
        view.SetOrientation(orientation)
    return made


def test_it_follows_each_of_the_three(scene, node, views):
    for view, place in zip(views, ((9, 9, 30), (9, -20, 9), (10, 9, 9)), strict=True):
        view.JumpSliceByOffsetting(*place)
    placeCrosshair(scene, views)
    np.testing.assert_allclose(node.GetCrosshairRAS(), (10, -20, 30), atol=1e-6)
    views[0].JumpSliceByOffsetting(0, 0, -5)
    placeCrosshair(scene, views)
    np.testing.assert_allclose(node.GetCrosshairRAS(), (10, -20, -5), atol=1e-6)


def test_views_that_meet_in_no_point_leave_it_where_it_is(scene, node, views):
    node.SetCrosshairRAS(1, 2, 3)
    views[1].SetOrientation("Axial")
    placeCrosshair(scene, views)
    placeCrosshair(scene, views[:2])
    assert tuple(node.GetCrosshairRAS()) == (1, 2, 3)


def test_it_is_shown_and_hidden(scene, node):
    assert not isCrosshairShown(scene)
    showCrosshair(scene, True)
    assert isCrosshairShown(scene)
    showCrosshair(scene, False)
    assert not isCrosshairShown(scene)


def test_a_scene_without_one_stays_without(scene, views):
    showCrosshair(scene, True)
    placeCrosshair(scene, views)
    assert not isCrosshairShown(scene)
