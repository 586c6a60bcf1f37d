"""Phases as Slicer's sequence, and the sample studies as nodes."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer.util

from petctfusion.errors import BadInputError
from petctfusion.phantom.breathing import BreathingPhantom
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.sample_studies import addBreathingPatient
from PETCTFusionSegLib.mrml.segmentations import isEdited, segmentImage
from PETCTFusionSegLib.mrml.sequences import addVolumeSequence, showPhase
from PETCTFusionSegLib.mrml.terminology import meaningOf, terminologyOf
from PETCTFusionSegLib.mrml.volumes import imageFromVolumeNode, petUnitsOfNode


def images(ctImage, count):
    grid = Geometry.of(ctImage)
    return [grid.image(sitk.GetArrayFromImage(ctImage) + number) for number in range(count)]


def test_each_phase_is_shown_with_its_voxels_in_its_place(scene, ctImage):
    stored = images(ctImage, 3)
    found = addVolumeSequence(scene, stored, (0, 33, 67), "Breath", "CT")
    assert [found.sequence.GetNthIndexValue(number) for number in range(3)] == ["0", "33", "67"]
    for number in (2, 0, 1):
        showPhase(found.browser, number)
        shown = imageFromVolumeNode(found.shown)
        assert np.array_equal(sitk.GetArrayFromImage(shown), sitk.GetArrayFromImage(stored[number]))
        np.testing.assert_allclose(shown.GetOrigin(), ctImage.GetOrigin(), atol=1e-6)
        np.testing.assert_allclose(shown.GetDirection(), ctImage.GetDirection(), atol=1e-9)
    assert found.shown.GetName() == "Breath"
    assert found.shown.GetDisplayNode().GetWindow() == 400


@pytest.mark.parametrize(("count", "percents"), [(0, ()), (2, (0,)), (1, (0, 50))])
def test_volumes_and_phases_must_be_as_many(scene, ctImage, count, percents):
    with pytest.raises(BadInputError, match="no sequence"):
        addVolumeSequence(scene, images(ctImage, count), percents, "Breath", "CT")
    assert not slicer.util.getNodesByClass("vtkMRMLSequenceNode", scene)


def test_the_breathing_patient_has_overlapping_contours_that_no_run_replaces(scene, ctImage):
    grid = Geometry.of(ctImage)
    masks = np.zeros((2, *grid.shape), dtype=np.uint8)
    masks[0, 3:8, 5:10, 5:10] = 1
    masks[1, 5:10, 5:10, 5:10] = 1
    phantom = BreathingPhantom(
        cts=tuple(images(ctImage, 2)),
        pet=grid.image(np.ones(grid.shape, dtype=np.float32)),
        references=tuple(grid.image(mask) for mask in masks),
        igtv=grid.image(masks.max(axis=0)),
        displacements_mm=(((0.0, 0.0, 0.0),), ((0.0, 0.0, -6.0),)),
    )
    study = addBreathingPatient(scene, phantom)
    segmentation = study.reference.GetSegmentation()
    names = [segmentation.GetNthSegment(number).GetName() for number in range(3)]
    assert names == ["IGTV", "GTV 0 %", "GTV 50 %"]
    for number, wanted in enumerate((masks.max(axis=0), *masks)):
        found = segmentImage(study.reference, segmentation.GetNthSegmentID(number), study.ct)
        assert np.array_equal(sitk.GetArrayFromImage(found), wanted)
    assert meaningOf(terminologyOf(segmentation.GetNthSegment(0))).startswith("Internal gross tumor volume")
    assert isEdited(study.reference)
    assert petUnitsOfNode(study.pet).units == "SUVbw"
