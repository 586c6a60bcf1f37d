"""Grids of every direction, transforms, surfaces, fields of view: what is exact, and what is resampled and says so."""

import numpy as np
import pytest
import slicer
import vtk
from box_study import GRIDS, LEFT, RIGHT, TRUTH, Study, box, check, grid, segmentation

from petctfusion.metrics import dice
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.live import ALL_SEGMENTS, LiveComparisons
from PETCTFusionSegLib.mrml.segmentations import setSegmentImage
from PETCTFusionSegLib.mrml.transforms import matrixFromArray
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage


@pytest.mark.parametrize("direction", GRIDS)
@pytest.mark.parametrize("reference", ["segmentation", "labelmap"])
def test_every_segment_and_their_union_against_the_reference(scene, reference, direction):
    study = Study(scene, grid(direction), reference)
    rows = study.follow()
    assert list(rows) == ["Left", "Right", ALL_SEGMENTS]
    for name, mask in (("Left", LEFT), ("Right", RIGHT), (ALL_SEGMENTS, LEFT | RIGHT)):
        check(rows[name], mask)
        assert rows[name].note == ""
    study.live.close()


def test_painting_outside_the_arrays_makes_them_grow(scene):
    where = grid(size=(150, 150, 120), spacing=(2.0, 2.0, 2.0))
    ct = volumeNodeFromImage(scene, where.image(np.zeros(where.shape, np.int16)), "CT", "CT")
    small = box((50, 60), (50, 60), (50, 60), where.shape)
    prediction = segmentation(scene, where, small.astype(np.uint8), ct, ("A",))
    reference = segmentation(scene, where, np.roll(small, 2, 0).astype(np.uint8), ct, ("A",))
    live = LiveComparisons(scene)
    live.follow(prediction, reference)
    live.wait(20)
    pair = live.rows()[0].pair
    assert pair.follower.reference.shape == (60, 58, 58)
    far = small | box((110, 120), (0, 4), (140, 150), where.shape)
    setSegmentImage(prediction, "A", where.image(far.astype(np.uint8)))
    live.flush()
    live.wait(20)
    check(live.rows()[0], far, np.roll(small, 2, 0), where)
    live.close()


def test_a_prediction_on_a_finer_grid_is_resampled_and_says_so(scene):
    study = Study(scene, grid(), "labelmap")
    fine = Geometry((80, 72, 60), (1.0, 1.0, 1.5), (-40.5, -36.5, -30.75), grid().direction)
    ct = volumeNodeFromImage(scene, fine.image(np.zeros(fine.shape, np.int16)), "fine", "CT")
    voxels = np.repeat(np.repeat(np.repeat(TRUTH, 2, 0), 2, 1), 2, 2)
    study.prediction = segmentation(scene, fine, voxels.astype(np.uint8), ct, ("Fine",))
    row = study.follow()["Fine"]
    assert "resampled" in row.note
    assert row.volume_ml == pytest.approx(voxels.sum() * 1.5 / 1000)
    assert row.numbers.dice > 0.9
    setSegmentImage(study.prediction, "Fine", fine.image((voxels & False).astype(np.uint8)))
    row = study.edited()["Fine"]
    assert (row.numbers.dice, row.volume_ml) == (0.0, 0.0)
    study.live.close()


def test_what_lies_beyond_the_references_field_of_view_is_said_and_not_judged(scene):
    study = Study(scene, grid())
    part = Geometry((40, 36, 15), (2.0, 2.0, 3.0), (-40.0, -36.0, -30.0), grid().direction)
    study.reference = volumeNodeFromImage(scene, part.image(TRUTH[:15].astype(np.uint8)), "short", "labelmap")
    rows = study.follow()
    beyond = RIGHT.sum() * 0.012
    assert f"{beyond:.1f} ml lie outside" in rows["Right"].note
    assert rows["Right"].volume_ml == pytest.approx(beyond)
    assert rows["Right"].numbers.dice == 0
    assert rows[ALL_SEGMENTS].numbers.dice == dice(LEFT[:15], TRUTH[:15])
    study.live.close()


def test_a_transform_moves_the_prediction(study):
    study.follow()
    transform = study.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    study.prediction.SetAndObserveTransformNodeID(transform.GetID())
    study.live.flush()
    check(study.numbers()["Left"], LEFT)
    shift = np.eye(4)
    shift[:3, 3] = (-4.0, 0.0, 3.0)
    transform.SetMatrixTransformToParent(matrixFromArray(shift))
    rows = study.edited()
    check(rows["Left"], np.roll(np.roll(LEFT, 2, 2), 1, 0))
    assert rows["Left"].note == ""
    shift[:3, 3] = (-3.0, 0.0, 3.0)
    transform.SetMatrixTransformToParent(matrixFromArray(shift))
    row = study.edited()["Left"]
    assert "resampled" in row.note
    assert row.volume_ml == pytest.approx(LEFT.sum() * 0.012)


@pytest.mark.parametrize("which", ["prediction", "reference"])
def test_a_bending_transform_is_sampled(study, which):
    study.follow()
    bend = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(2, 2, 2):
        point = np.array(corner) * 120.0 - 60
        source.InsertNextPoint(point)
        target.InsertNextPoint(point + (0.5 if corner == (1, 1, 1) else 0.0))
    bend.SetSourceLandmarks(source)
    bend.SetTargetLandmarks(target)
    bend.SetBasisToR()
    node = study.scene.AddNewNodeByClass("vtkMRMLTransformNode")
    node.SetAndObserveTransformToParent(bend)
    getattr(study, which).SetAndObserveTransformNodeID(node.GetID())
    rows = study.edited()
    assert rows["Left"].state == "current"
    assert rows[ALL_SEGMENTS].numbers.dice == pytest.approx(dice(LEFT | RIGHT, TRUTH), abs=0.08)


def test_a_reference_that_came_as_a_surface_gets_voxels(study):
    reference = study.reference.GetSegmentation()
    study.reference.CreateClosedSurfaceRepresentation()
    study.reference.SetSourceRepresentationToClosedSurface()
    reference.RemoveRepresentation(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())
    rows = study.follow()
    assert rows[ALL_SEGMENTS].state == "current"
    # Slicer smooths surfaces: the corners of the boxes are lost.
    assert rows[ALL_SEGMENTS].numbers.dice == pytest.approx(dice(LEFT | RIGHT, TRUTH), abs=0.06)
