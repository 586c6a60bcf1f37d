"""Maps in the scene: where they lie, that they move with their CT, and that the PET comes back."""

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.inference.maps import StudyMap
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.headless import importSlicer
from PETCTFusionSegLib.mrml.imports import StudyJob
from PETCTFusionSegLib.mrml.maps import (
    MAP_ATTRIBUTE,
    hiddenBelow,
    hideBelow,
    importMaps,
    isMap,
    mapsOf,
    mapText,
    removeMap,
    showMap,
    shownMap,
)
from PETCTFusionSegLib.mrml.transforms import matrixFromArray
from PETCTFusionSegLib.mrml.volumes import geometryOfVolumeNode, imageFromVolumeNode, volumeNodeFromImage

from .conftest import OBLIQUE


@pytest.fixture
def pet(scene, ctImage):
    return volumeNodeFromImage(scene, sitk.Cast(ctImage, sitk.sitkFloat32), "PET", "PET")


@pytest.fixture
def found(ctImage):
    values = np.random.default_rng(2).random((5, 9, 8)).astype(np.float32)
    coarse = Geometry((8, 9, 5), (3.0, 4.0, 6.0), (-20.0, 20.0, 240.0), OBLIQUE)
    unsure = sitk.Cast(ctImage > 100, sitk.sitkUInt8) * 100
    return [
        StudyMap("uncertainty", "uncertainty", "net 1.0", unsure),
        StudyMap("gate, level 1", "attention", "net 1.0", coarse.image(values)),
        StudyMap("gate, level 2", "attention", "net 1.0", coarse.image(values * 0)),
    ]


@pytest.fixture
def composite(scene, ct, pet):
    node = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    node.SetBackgroundVolumeID(ct.GetID())
    node.SetForegroundVolumeID(pet.GetID())
    node.SetForegroundOpacity(0.35)
    return node


def test_maps_lie_where_the_network_computed_them_and_say_what_they_are(scene, ct, pet, found):
    nodes = importMaps(scene, StudyJob.started(ct, pet), found)
    assert [node.GetName() for node in nodes] == [
        "CT uncertainty (%)",
        "CT attention (gate, level 1)",
        "CT attention (gate, level 2)",
    ]
    assert [node.GetAttribute(MAP_ATTRIBUTE) for node in nodes] == ["uncertainty", "attention", "attention"]
    assert [mapText(node) for node in nodes][1] == "attention (gate, level 1)"
    for node, one in zip(nodes, found, strict=True):
        image = imageFromVolumeNode(node)
        assert Geometry.of(image).same_grid(Geometry.of(one.image))
        assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(one.image))
    tree = importSlicer().vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    parents = {tree.GetItemParent(tree.GetItemByDataNode(node)) for node in (ct, *nodes)}
    assert len(parents) == 1
    assert not isMap(ct)


def test_maps_follow_a_ct_that_is_moved_during_and_after_the_run(scene, ct, pet, found):
    job = StudyJob.started(ct, pet)
    shift = np.eye(4)
    shift[:3, 3] = 10.0, -20.0, 30.0
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrixFromArray(shift))
    ct.SetAndObserveTransformNodeID(transform.GetID())
    node = importMaps(scene, job, found)[1]

    def moved() -> np.ndarray:
        return np.subtract(geometryOfVolumeNode(node).origin, found[1].image.GetOrigin())

    # RAS to LPS.
    assert np.allclose(moved(), (-10.0, 20.0, 30.0))
    transform.SetMatrixTransformToParent(matrixFromArray(shift @ shift))
    assert np.allclose(moved(), (-20.0, 40.0, 60.0))


def test_a_new_run_replaces_the_maps_of_its_ct_and_of_no_other(scene, ct, ctImage, pet, found):
    other = volumeNodeFromImage(scene, ctImage, "Other", "CT")
    kept = importMaps(scene, StudyJob.started(other, pet), found[:1])
    importMaps(scene, StudyJob.started(ct, pet), found)
    tree = importSlicer().vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    items = tree.GetNumberOfItems()
    importMaps(scene, StudyJob.started(ct, pet), found[:2])
    assert tree.GetNumberOfItems() == items - 1
    assert [mapText(node) for node in mapsOf(scene, ct)] == ["uncertainty (%)", "attention (gate, level 1)"]
    assert mapsOf(scene) == [*kept, *mapsOf(scene, ct)]
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeDisplayNode") == 3 + 3
    assert (
        len([n for n in range(scene.GetNumberOfNodes()) if scene.GetNthNode(n).GetName() == "PET/CT fusion map"]) == 1
    )


def test_several_networks_are_told_apart(scene, ct, pet, found):
    second = StudyMap("gate, level 1", "attention", "other 2.0", found[1].image)
    nodes = importMaps(scene, StudyJob.started(ct, pet), [*found[:2], second])
    assert [mapText(node) for node in nodes[1:]] == [
        "attention (net 1.0: gate, level 1)",
        "attention (other 2.0: gate, level 1)",
    ]


def test_a_removed_ct_costs_nothing(scene, ct, pet, found):
    job = StudyJob.started(ct, pet)
    scene.RemoveNode(ct)
    assert importMaps(scene, job, found) == []
    assert mapsOf(scene) == []


def test_a_map_covers_the_pet_and_gives_it_back(scene, ct, pet, found, composite):
    _, first, second = importMaps(scene, StudyJob.started(ct, pet), found)
    assert shownMap(scene) is None
    showMap(scene, first)
    showMap(scene, second)
    assert shownMap(scene) is second
    assert composite.GetBackgroundVolumeID() == ct.GetID()
    showMap(scene, None)
    assert composite.GetForegroundVolumeID() == pet.GetID()
    assert composite.GetForegroundOpacity() == pytest.approx(0.35)
    showMap(scene, first)
    removeMap(scene, first)
    assert composite.GetForegroundVolumeID() == pet.GetID()
    # What a reader chose meanwhile stays.
    showMap(scene, second)
    composite.SetForegroundVolumeID(ct.GetID())
    showMap(scene, None)
    assert composite.GetForegroundVolumeID() == ct.GetID()


def test_a_pet_that_is_gone_leaves_the_ct_alone(scene, ct, pet, found, composite):
    _, node, _ = importMaps(scene, StudyJob.started(ct, pet), found)
    showMap(scene, node)
    scene.RemoveNode(pet)
    showMap(scene, None)
    assert composite.GetForegroundVolumeID() is None


def test_low_values_are_hidden_and_a_constant_map_does_not_break_that(scene, ct, pet, found):
    unsure, node, constant = importMaps(scene, StudyJob.started(ct, pet), found)
    assert hiddenBelow(node) == pytest.approx(0.25)
    assert unsure.GetDisplayNode().GetLowerThreshold() == pytest.approx(25.0)
    for share in (0.6, 0.0, 1.0):
        for one in (node, constant):
            hideBelow(one, share)
            assert hiddenBelow(one) == pytest.approx(share)
    values = sitk.GetArrayFromImage(found[1].image)
    hideBelow(node, 0.5)
    threshold = node.GetDisplayNode().GetLowerThreshold()
    assert 0.45 < np.mean(values >= threshold) < 0.55
