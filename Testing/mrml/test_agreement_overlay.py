"""The overlay's voxels against masks combined by hand, through strokes, large changes, undo and rubbish."""

import time

import numpy as np
import pytest
import SimpleITK as sitk
import slicer

from petctfusion.errors import BadInputError
from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.agreement_overlay import (
    BOTH,
    COLOURS,
    OVERLAY_ROLE,
    REFERENCE_ALONE,
    SEGMENTATION_ALONE,
    AgreementOverlay,
)
from PETCTFusionSegLib.mrml.live_tables import ROLE_ATTRIBUTE
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.terminology import NEOPLASM
from PETCTFusionSegLib.mrml.transforms import arrayFromImage
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage

OBLIQUE = tuple(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5).GetMatrix())
GRID = Geometry((70, 60, 50), (1.5, 1.5, 2.0), (-50.0, 20.0, 300.0), OBLIQUE)


def ball(centre, radius):
    z, y, x = np.ogrid[:50, :60, :70]
    return (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < radius**2


def finish(overlay):
    end = time.monotonic() + 20
    while not overlay.update():
        assert time.monotonic() < end
        time.sleep(0.005)


class Study:
    def __init__(self, scene):
        self.scene = scene
        self.ct = volumeNodeFromImage(scene, GRID.image(np.zeros((50, 60, 70), np.int16)), "CT", "CT")
        self.mask, self.truth = ball((25, 30, 30), 11), ball((25, 30, 36), 11)
        self.node = self.segmentation(self.mask, "Tumor")
        self.reference = self.segmentation(self.truth, "Reference")
        self.segmentId = self.node.GetSegmentation().GetNthSegmentID(0)
        self.overlay = AgreementOverlay(scene)

    def segmentation(self, mask, name):
        spec = LabelSpec(value=1, name=name, terminology=NEOPLASM, color=(200, 60, 60))
        return createSegmentation(self.scene, GRID.image(mask.astype(np.uint8)), [spec], self.ct, name, {})

    def drawn(self, identifier):
        return sitk.GetArrayFromImage(segmentImage(self.overlay.node, identifier, self.ct)) != 0

    def check(self):
        finish(self.overlay)
        assert np.array_equal(self.drawn(BOTH), self.mask & self.truth)
        assert np.array_equal(self.drawn(SEGMENTATION_ALONE), self.mask & ~self.truth)
        assert np.array_equal(self.drawn(REFERENCE_ALONE), self.truth & ~self.mask)

    def paint(self, mask):
        self.mask = mask
        setSegmentImage(self.node, self.segmentId, GRID.image(mask.astype(np.uint8)))


@pytest.fixture
def study(scene):
    made = Study(scene)
    yield made
    made.overlay.hide()


def test_three_segments_in_one_label_map_with_fixed_colours(study):
    study.overlay.show(study.node, study.reference, study.segmentId)
    study.check()
    segmentation = study.overlay.node.GetSegmentation()
    assert list(segmentation.GetSegmentIDs()) == [SEGMENTATION_ALONE, REFERENCE_ALONE, BOTH]
    assert segmentation.GetNumberOfLayers() == 1
    for identifier, colour in COLOURS.items():
        assert np.allclose(segmentation.GetSegment(identifier).GetColor(), np.array(colour) / 255)


def test_a_stroke_changes_the_same_label_map_in_place(study):
    study.overlay.show(study.node, study.reference, study.segmentId)
    study.check()
    node, labelmap = study.overlay.node, study.overlay.node.GetBinaryLabelmapInternalRepresentation(BOTH)
    shown, events = arrayFromImage(labelmap), []
    node.AddObserver(slicer.vtkSegmentation.SourceRepresentationModified, lambda *_unused: events.append(1))
    study.paint(study.mask | ball((25, 30, 44), 4))
    assert study.overlay.update()
    study.check()
    assert study.overlay.node is node
    assert arrayFromImage(node.GetBinaryLabelmapInternalRepresentation(BOTH)).ctypes.data == shown.ctypes.data
    assert len(events) == 1
    assert study.overlay.update()
    assert len(events) == 1


def test_a_large_change_and_one_that_leaves_the_box_are_followed(study):
    study.overlay.show(study.node, study.reference, study.segmentId)
    study.check()
    study.paint(ball((25, 30, 30), 22))
    study.check()
    study.paint(study.mask | ball((3, 3, 3), 3) | ball((47, 57, 67), 3))
    study.check()
    study.paint(study.mask & False)
    study.check()


def test_undo_is_followed(study):
    editor = slicer.vtkSlicerSegmentEditorLogic()
    editor.SetMRMLScene(study.scene)
    settings = study.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    settings.SetAndObserveSegmentationNode(study.node)
    editor.SetSegmentEditorNode(settings)
    editor.SetMaximumNumberOfUndoStates(5)
    study.overlay.show(study.node, study.reference, study.segmentId)
    study.check()
    before = study.mask
    editor.SaveStateForUndo()
    study.paint(ball((20, 20, 20), 5))
    study.check()
    editor.Undo()
    study.mask = before
    study.check()


def test_a_label_map_volume_and_all_segments_joined(study):
    volume = volumeNodeFromImage(study.scene, GRID.image(study.truth.astype(np.uint8)), "truth", "labelmap")
    second = study.node.GetSegmentation().AddEmptySegment("second", "second")
    more = ball((40, 45, 55), 5)
    setSegmentImage(study.node, second, GRID.image(more.astype(np.uint8)))
    study.mask = study.mask | more
    study.overlay.show(study.node, volume)
    study.check()


def test_only_the_reference_of_the_same_name_counts(study):
    segmentation = study.reference.GetSegmentation()
    segmentation.GetNthSegment(0).SetName("tumor")
    other = segmentation.AddEmptySegment("other", "other")
    setSegmentImage(study.reference, other, GRID.image(ball((8, 8, 8), 6).astype(np.uint8)))
    study.overlay.show(study.node, study.reference, study.segmentId)
    study.check()


def test_nobody_can_choose_or_save_it(study, tmp_path):
    study.overlay.show(study.node, study.reference, study.segmentId)
    study.check()
    node = study.overlay.node
    assert node.GetHideFromEditors()
    assert not node.GetSaveWithScene()
    assert not node.GetDisplayNode().GetSaveWithScene()
    assert node.GetAttribute(ROLE_ATTRIBUTE) == OVERLAY_ROLE
    study.scene.SetURL(str(tmp_path / "study.mrml"))
    study.scene.Commit()
    saved = (tmp_path / "study.mrml").read_text()
    assert "Tumor" in saved
    assert OVERLAY_ROLE not in saved
    assert "Agreement" not in saved


def test_hiding_leaves_nothing_behind(study):
    before = study.scene.GetNumberOfNodes()
    study.overlay.show(study.node, study.reference, study.segmentId)
    study.check()
    study.overlay.hide()
    assert study.scene.GetNumberOfNodes() == before
    assert not study.overlay.shown
    assert study.overlay.update()
    study.overlay.show(study.node, study.reference, study.segmentId)
    study.check()


def test_a_segment_that_goes_takes_the_drawing_along_and_says_so(study):
    study.overlay.show(study.node, study.reference, study.segmentId)
    study.check()
    study.node.GetSegmentation().RemoveSegment(study.segmentId)
    finish(study.overlay)
    assert study.overlay.node is None
    assert "was removed" in study.overlay.sentence
    study.scene.Clear(False)
    assert study.overlay.update()


def test_a_closed_scene_ends_it(study):
    study.overlay.show(study.node, study.reference, study.segmentId)
    study.check()
    study.scene.Clear(False)
    assert study.overlay.update()
    assert not study.overlay.shown


def test_rubbish_is_one_sentence(study):
    for arguments in (
        (None, study.reference, ""),
        (study.node, None, ""),
        (study.node, study.node, study.segmentId),
        (study.node, study.ct, "no such segment"),
    ):
        with pytest.raises(BadInputError):
            study.overlay.show(*arguments)
        assert not study.overlay.shown
