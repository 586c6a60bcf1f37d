"""Clicks into the views as nodes: placing begins and ends, points wait, and no list of nodes shows them."""

import pytest
import slicer

from PETCTFusionSegLib.mrml.click_points import ClickPoints


class Heard:
    def __init__(self, scene):
        self.placed = self.modes = 0
        self.points = ClickPoints(scene, self._onPlaced, self._onMode)

    def _onPlaced(self):
        self.placed += 1

    def _onMode(self):
        self.modes += 1


@pytest.fixture
def heard(scene):
    heard = Heard(scene)
    yield heard
    heard.points.close()


def activeList(scene):
    return scene.GetNodeByID(scene.GetNodeByID("vtkMRMLSelectionNodeSingleton").GetActivePlaceNodeID())


def interaction(scene):
    return scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")


def test_a_click_is_told_and_waits_until_it_is_answered(scene, heard):
    heard.points.start(True)
    assert heard.points.placing is True
    assert interaction(scene).GetPlaceModePersistence() == 0
    activeList(scene).AddControlPointWorld([1.0, -2.0, 3.5])
    interaction(scene).SwitchToViewTransformMode()
    assert heard.points.placing is None
    assert (heard.placed, heard.modes >= 2) == (1, True)
    (point,) = heard.points.waiting()
    assert (point.pointRas, point.foreground) == ((1.0, -2.0, 3.5), True)
    heard.points.remove(point)
    heard.points.remove(point)
    assert heard.points.waiting() == []


def test_a_point_that_follows_the_mouse_is_no_click(scene, heard):
    heard.points.start(False)
    points = activeList(scene)
    number = points.AddControlPointWorld([0.0, 0.0, 0.0])
    heard.placed = 0
    points.SetNthControlPointPosition(number, 5.0, 5.0, 5.0, points.PositionPreview)
    assert heard.points.waiting() == []
    assert heard.placed == 0


def test_both_lists_are_hidden_unsaved_and_of_two_colours(scene, heard):
    lists = []
    for foreground in (True, False):
        heard.points.start(foreground)
        lists.append(activeList(scene))
    assert lists[0] is not lists[1]
    assert lists[0].GetDisplayNode().GetSelectedColor() != lists[1].GetDisplayNode().GetSelectedColor()
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for node in lists:
        assert node.GetHideFromEditors()
        assert not node.GetSaveWithScene()
        assert tree.GetItemByDataNode(node) == 0


def test_another_tools_placing_is_not_ours(scene, heard):
    heard.points.start(True)
    other = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    scene.GetNodeByID("vtkMRMLSelectionNodeSingleton").SetActivePlaceNodeID(other.GetID())
    assert heard.points.placing is None
    heard.points.stop()
    assert interaction(scene).GetCurrentInteractionMode() == interaction(scene).Place


def test_closing_leaves_no_node_and_no_observer(scene, heard):
    heard.points.start(True)
    points = activeList(scene)
    heard.points.close()
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 0
    assert interaction(scene).GetCurrentInteractionMode() == interaction(scene).ViewTransform
    points.AddControlPointWorld([0.0, 0.0, 0.0])
    assert heard.placed == 0


def test_a_list_that_was_deleted_is_made_again(scene, heard):
    heard.points.start(True)
    scene.RemoveNode(activeList(scene))
    heard.points.start(True)
    activeList(scene).AddControlPointWorld([1.0, 1.0, 1.0])
    assert len(heard.points.waiting()) == 1
