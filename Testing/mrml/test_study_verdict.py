"""The verdict on nodes before a run: the same as that on images, in milliseconds, transforms included."""

import time

import numpy as np
import pytest
import slicer
import vtk

from petctfusion.volumes import check_study
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.study_verdict import studyVerdict
from PETCTFusionSegLib.mrml.volumes import imageFromVolumeNode, volumeNodeFromImage
from PETCTFusionSegLib.selftest.study import addStudy

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def study(scene):
    return addStudy(scene)


def parent(scene, matrix=None):
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    if matrix is not None:
        values = vtk.vtkMatrix4x4()
        values.DeepCopy(matrix)
        transform.SetMatrixTransformToParent(values)
    return transform


def shifted(x=0.0, y=0.0, z=0.0):
    return [1, 0, 0, x, 0, 1, 0, y, 0, 0, 1, z, 0, 0, 0, 1]


def texts(verdict):
    return " ".join(verdict.messages)


def test_the_verdict_is_that_of_the_images(study):
    verdict = studyVerdict(study.ct, study.pet, reference=study.reference)
    assert verdict.status == "will_resample"
    assert verdict == check_study(imageFromVolumeNode(study.ct), imageFromVolumeNode(study.pet))


def test_one_grid_is_ready(scene, study):
    other = volumeNodeFromImage(
        scene, Geometry.of(imageFromVolumeNode(study.ct)).image(np.ones((64, 64, 64), np.float32)), "PET on CT", "PET"
    )
    assert studyVerdict(study.ct, other).findings == ()


def test_a_transform_counts(scene, study):
    away = parent(scene, shifted(z=900))
    study.pet.SetAndObserveTransformNodeID(away.GetID())
    verdict = studyVerdict(study.ct, study.pet)
    assert verdict.status == "refused"
    assert "do not overlap" in texts(verdict)
    study.ct.SetAndObserveTransformNodeID(away.GetID())
    assert studyVerdict(study.ct, study.pet).status == "will_resample"


def test_a_transform_that_shears_is_said(scene, study):
    sheared = parent(scene, [1, 0.2, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1])
    study.ct.SetAndObserveTransformNodeID(sheared.GetID())
    verdict = studyVerdict(study.ct, study.pet)
    assert verdict.status == "will_resample"
    assert "The transform of the CT bends or shears it" in texts(verdict)


def test_swapped_and_doubled_volumes_are_refused(study):
    assert "CT and PET look swapped" in texts(studyVerdict(study.pet, study.ct))
    assert studyVerdict(study.ct, study.ct).status == "refused"


def test_volumes_that_are_none_are_refused_with_a_hint(scene, study):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")
    verdict = studyVerdict(empty, study.pet)
    (finding,) = verdict.findings
    assert (finding.severity, finding.subject) == ("refuse", "CT")
    assert '"Nothing" holds no voxels' in finding.message
    assert finding.hint
    slices = volumeNodeFromImage(
        scene, Geometry((20, 20, 1), (1.0,) * 3, (0.0,) * 3, IDENTITY).image(np.zeros((1, 20, 20), np.int16)), "S", "CT"
    )
    assert "not three-dimensional" in texts(studyVerdict(slices, study.pet))


def test_an_additional_volume_elsewhere_is_refused(scene, study):
    grid = Geometry((20, 20, 20), (4.0,) * 3, (0.0,) * 3, IDENTITY)
    extra = volumeNodeFromImage(scene, grid.image(np.ones(grid.shape, np.float32)), "MR", "MR")
    assert studyVerdict(study.ct, study.pet, extra).status == "will_resample"
    extra.SetAndObserveTransformNodeID(parent(scene, shifted(x=2000)).GetID())
    verdict = studyVerdict(study.ct, study.pet, extra)
    assert verdict.status == "refused"
    assert verdict.findings[-1].subject == "MR"


def test_a_reference_elsewhere_is_noted_and_an_empty_one_is_not(scene, study):
    study.reference.SetAndObserveTransformNodeID(parent(scene, shifted(y=-3000)).GetID())
    verdict = studyVerdict(study.ct, study.pet, reference=study.reference)
    assert verdict.status == "will_resample"
    assert "reference lies outside the CT" in texts(verdict)
    nothing = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Empty")
    assert "reference" not in texts(studyVerdict(study.ct, study.pet, reference=nothing))


def test_a_whole_body_takes_milliseconds(scene):
    wide = Geometry((400, 400, 300), (2.0, 2.0, 3.0), (-400.0, -400.0, 0.0), IDENTITY)
    ct = volumeNodeFromImage(scene, wide.image(np.full(wide.shape, -100, np.int16)), "Wide CT", "CT")
    pet = volumeNodeFromImage(scene, wide.image(np.ones(wide.shape, np.float32)), "Wide PET", "PET")
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        studyVerdict(ct, pet)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.05
