"""Numbers that follow every way of editing, checked against the masks the edits were made with."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from box_study import LEFT, RIGHT, Study, box, check, grid

from PETCTFusionSegLib.mrml.live import ALL_SEGMENTS
from PETCTFusionSegLib.mrml.segmentations import segmentImage, setSegmentImage


def edits(study):
    """Every way to change a segment that works headless; each returns the mask it leaves."""
    slice_ = box((8, 9), (7, 9), (3, 20))

    def viaArray():
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            LEFT.astype(np.uint8), study.prediction, study.id("Left"), study.ct
        )
        return LEFT

    def inPlace():
        array = slicer.util.arrayFromSegmentInternalBinaryLabelmap(study.prediction, study.id("Left"))
        first = study.labelmap("Left").GetExtent()[::2][::-1]
        array[8 - first[0], 9 - first[1], 10 - first[2]] = 0
        study.labelmap("Left").Modified()
        return LEFT & ~box((8, 9), (9, 10), (10, 11))

    def inPlaceThenSegmentModified():
        array = slicer.util.arrayFromSegmentInternalBinaryLabelmap(study.prediction, study.id("Left"))
        array[array == 1] = 0
        study.prediction.GetSegmentation().GetSegment(study.id("Left")).Modified()
        return LEFT & False

    def modified(mode):
        from PETCTFusionSegLib.mrml.labelmaps import orientedLabelmap
        from PETCTFusionSegLib.mrml.transforms import ijkToRasOfGeometry

        logic = slicer.vtkSlicerSegmentationsModuleLogic
        stroke = orientedLabelmap(slice_, ijkToRasOfGeometry(study.grid))
        assert logic.SetBinaryLabelmapToSegment(
            stroke, study.prediction, study.id("Left"), getattr(logic, mode), stroke.GetExtent()
        )
        return LEFT | slice_

    def painted():
        return modified("MODE_MERGE_MAX")

    def cleared():
        study.prediction.GetSegmentation().ClearSegment(study.id("Left"))
        return LEFT & False

    def moved():
        setSegmentImage(study.prediction, study.id("Left"), study.grid.image(np.roll(LEFT, 9, 2).astype(np.uint8)))
        return np.roll(LEFT, 9, 2)

    return [viaArray, inPlace, inPlaceThenSegmentModified, painted, cleared, moved]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("shared", [False, True])
def test_every_way_of_editing_is_followed(study, number, shared):
    if not shared:
        study.prediction.GetSegmentation().SeparateSegmentLabelmap(study.id("Left"))
    study.follow()
    edit = edits(study)[number]
    mask = edit()
    rows = study.edited()
    check(rows["Left"], mask)
    check(rows["Right"], RIGHT)
    check(rows[ALL_SEGMENTS], mask | RIGHT)


def test_undo_and_redo_are_followed(study):
    study.follow()
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(study.prediction.GetSegmentation())
    history.SetMaximumNumberOfStates(5)
    history.SaveState()
    moved = np.roll(LEFT, 6, 1)
    setSegmentImage(study.prediction, study.id("Left"), study.grid.image(moved.astype(np.uint8)))
    check(study.edited()["Left"], moved)
    history.RestorePreviousState()
    rows = study.edited()
    check(rows["Left"], LEFT)
    check(rows["Right"], RIGHT)
    history.RestoreNextState()
    check(study.edited()["Left"], moved)


def test_the_editor_logic_with_its_undo_is_followed(study, scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    logic = slicer.vtkSlicerSegmentEditorLogic()
    logic.SetMRMLScene(scene)
    logic.SetSegmentEditorNode(node)
    logic.SetMaximumNumberOfUndoStates(5)
    node.SetAndObserveSegmentationNode(study.prediction)
    node.SetAndObserveSourceVolumeNode(study.ct)
    node.SetSelectedSegmentID(study.id("Left"))
    study.follow()
    logic.SaveStateForUndo()
    setSegmentImage(study.prediction, study.id("Left"), study.grid.image(RIGHT.astype(np.uint8)))
    check(study.edited()["Left"], RIGHT)
    logic.Undo()
    check(study.edited()["Left"], LEFT)
    logic.Redo()
    check(study.edited()["Left"], RIGHT)


def test_many_events_are_one_call_and_one_update(study):
    study.follow()
    study.calls.clear()
    for step in range(1, 6):
        setSegmentImage(study.prediction, study.id("Left"), study.grid.image(np.roll(LEFT, step, 2).astype(np.uint8)))
    assert len(study.calls) == 1
    pair = study.live.rows()[0].pair
    before = pair.follower.revision
    check(study.edited()["Left"], np.roll(LEFT, 5, 2))
    assert pair.follower.revision == before + 1


def test_numbers_that_arrive_between_two_looks_are_announced(study):
    study.live.follow(study.prediction, study.reference)
    study.live.wait(20)
    assert study.live.busy
    assert study.live.poll()
    assert not study.live.busy
    assert not study.live.poll()


def test_an_edit_of_the_reference_is_followed_too(study):
    study.follow()
    other = box((4, 12), (5, 16), (6, 17))
    setSegmentImage(study.reference, study.id("Truth", study.reference), study.grid.image(other.astype(np.uint8)))
    rows = study.edited()
    check(rows["Left"], LEFT, other)
    check(rows[ALL_SEGMENTS], LEFT | RIGHT, other)


def test_an_edit_of_a_label_map_reference_is_followed(scene):
    study = Study(scene, grid(), "labelmap")
    study.follow()
    slicer.util.arrayFromVolume(study.reference)[:] = LEFT
    slicer.util.arrayFromVolumeModified(study.reference)
    check(study.edited()["Left"], LEFT, LEFT)
    study.live.close()


def test_random_edits_undos_and_moves_agree_with_the_masks(study):
    random = np.random.default_rng(5)
    study.follow()
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(study.prediction.GetSegmentation())
    history.SetMaximumNumberOfStates(50)
    history.SaveState()
    for _ in range(40):
        kind = random.integers(4)
        name = ("Left", "Right")[random.integers(2)]
        if kind == 0 and history.IsRestorePreviousStateAvailable():
            history.RestorePreviousState()
        elif kind == 1 and history.IsRestoreNextStateAvailable():
            history.RestoreNextState()
        else:
            now = sitk.GetArrayFromImage(segmentImage(study.prediction, study.id(name), study.ct)) != 0
            corner = random.integers((0, 0, 0), (25, 30, 34))
            size = random.integers(1, 8, 3)
            now[tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))] = random.random() < 0.6
            setSegmentImage(study.prediction, study.id(name), study.grid.image(now.astype(np.uint8)))
            history.SaveState()
        study.live.flush()
        rows = study.numbers()
        masks = {
            one: sitk.GetArrayFromImage(segmentImage(study.prediction, study.id(one), study.ct)) != 0
            for one in ("Left", "Right")
        }
        for one, mask in masks.items():
            check(rows[one], mask)
        check(rows[ALL_SEGMENTS], masks["Left"] | masks["Right"])
