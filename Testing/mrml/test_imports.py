"""Results that come home to a scene which changed while the worker was busy."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.imports import SegmentationResult, StudyJob, importResult
from PETCTFusionSegLib.mrml.segmentations import segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.transforms import matrixFromArray
from PETCTFusionSegLib.mrml.volumes import geometryOfVolumeNode, volumeNodeFromImage


@pytest.fixture
def pet(scene, ctImage):
    return volumeNodeFromImage(scene, ctImage, "PET", "PET")


@pytest.fixture
def result(ctImage, labelArray, specs):
    return SegmentationResult(Geometry.of(ctImage).image(labelArray), specs, "Result", {"Model": "m"})


def segmentationsIn(scene):
    nodes = scene.GetNodesByClass("vtkMRMLSegmentationNode")
    nodes.UnRegister(None)
    return nodes.GetNumberOfItems()


def tumour(node, reference):
    return sitk.GetArrayFromImage(segmentImage(node, "Tumour", reference))


def test_a_result_arrives_with_its_parameters(scene, ct, pet, result, labelArray):
    job = StudyJob.started(ct, pet, parameters={"overlap": 0.5})
    outcome = importResult(scene, job, result)
    np.testing.assert_array_equal(tumour(outcome.node, ct), labelArray == 1)
    assert outcome.node.GetAttribute("PETCTFusionSeg.Parameter.overlap") == "0.5"
    assert outcome.sentence == 'The result is in "Result".'


def test_a_ct_removed_during_the_run_is_told_and_the_rest_of_the_scene_stays(scene, ct, pet, result):
    job = StudyJob.started(ct, pet)
    scene.RemoveNode(ct)
    nodes = scene.GetNumberOfNodes()
    outcome = importResult(scene, job, result)
    assert outcome.node is None
    assert 'The CT "CT" was removed from the scene' in outcome.sentence
    assert scene.GetNumberOfNodes() == nodes


def test_a_pet_removed_during_the_run_loses_nothing(scene, ct, pet, result, labelArray):
    job = StudyJob.started(ct, pet)
    scene.RemoveNode(pet)
    outcome = importResult(scene, job, result)
    np.testing.assert_array_equal(tumour(outcome.node, ct), labelArray == 1)
    assert 'The PET "PET" was removed' in outcome.sentence


def test_a_closed_scene_drops_the_result_even_when_new_nodes_got_the_old_ids(booted, ct, pet, ctImage, result):
    job = StudyJob.started(ct, pet)
    oldId = ct.GetID()
    booted.clear()
    other = volumeNodeFromImage(booted.scene, ctImage, "Another patient", "CT")
    assert other.GetID() == oldId
    outcome = importResult(booted.scene, job, result)
    assert outcome.node is None
    assert outcome.sentence.startswith("The scene was closed during the run")
    assert segmentationsIn(booted.scene) == 0


def test_the_result_follows_a_ct_that_was_moved_during_the_run(scene, ct, pet, result, labelArray):
    job = StudyJob.started(ct, pet)
    matrix = np.eye(4)
    matrix[:3, 3] = (30, 0, -20)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrixFromArray(matrix))
    ct.SetAndObserveTransformNodeID(transform.GetID())
    outcome = importResult(scene, job, result)
    np.testing.assert_array_equal(tumour(outcome.node, ct), labelArray == 1)
    assert "the result follows" in outcome.sentence


def test_every_run_makes_a_segmentation_of_its_own(scene, ct, pet, result):
    job = StudyJob.started(ct, pet)
    first, second = importResult(scene, job, result).node, importResult(scene, job, result).node
    assert first is not second
    assert first.GetName() != second.GetName()
    assert segmentationsIn(scene) == 2


def test_an_edited_segmentation_is_never_overwritten(scene, ct, pet, result, ctImage, labelArray):
    earlier = importResult(scene, StudyJob.started(ct, pet), result).node
    edit = Geometry.of(ctImage).image((labelArray == 2).astype(np.uint8))
    setSegmentImage(earlier, "Tumour", edit)
    outcome = importResult(scene, StudyJob.started(ct, pet, output=earlier), result)
    assert outcome.node is not earlier
    np.testing.assert_array_equal(tumour(earlier, ct), labelArray == 2)
    assert "was edited and is kept as it is" in outcome.sentence


def test_an_untouched_segmentation_is_replaced_when_asked(scene, ct, pet, result, specs, labelArray):
    earlier = importResult(scene, StudyJob.started(ct, pet), result).node
    other = geometryOfVolumeNode(ct).image(np.roll(labelArray, 1, axis=0))
    again = SegmentationResult(other, specs, "Result", {"Model": "newer"})
    outcome = importResult(scene, StudyJob.started(ct, pet, output=earlier), again)
    assert outcome.node is earlier
    assert segmentationsIn(scene) == 1
    np.testing.assert_array_equal(tumour(earlier, ct), np.roll(labelArray, 1, axis=0) == 1)
    assert earlier.GetAttribute("PETCTFusionSeg.Model") == "newer"
    outcome = importResult(scene, StudyJob.started(ct, pet, output=earlier), result)
    assert outcome.node is earlier
