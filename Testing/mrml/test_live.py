"""Numbers that follow edits in real MRML nodes, checked against the masks the edits were made with."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk

from petctfusion.errors import BadInputError
from petctfusion.metrics import dice, hd95_mm, volume_ml
from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.live import ALL_SEGMENTS, LiveComparisons
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.terminology import NEOPLASM
from PETCTFusionSegLib.mrml.transforms import matrixFromArray
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage

GRIDS = {
    "axial": (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0),
    "oblique": tuple(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5).GetMatrix()),
    "flipped": (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
}


def grid(direction="axial", size=(40, 36, 30), spacing=(2.0, 2.0, 3.0)):
    return Geometry(size, spacing, (-40.0, -36.0, -30.0), GRIDS[direction])


def box(z, y, x, shape=(30, 36, 40)):
    mask = np.zeros(shape, bool)
    mask[z[0] : z[1], y[0] : y[1], x[0] : x[1]] = True
    return mask


LEFT, RIGHT = box((5, 12), (5, 15), (5, 17)), box((18, 25), (20, 30), (22, 34))
TRUTH = box((6, 12), (5, 16), (6, 17)) | RIGHT


class Study:
    """A prediction of two segments, a reference of one, and what follows them."""

    def __init__(self, scene, where, reference="segmentation", direction="axial"):
        self.scene, self.grid = scene, where
        self.ct = volumeNodeFromImage(scene, where.image(np.zeros(where.shape, np.int16)), "CT", "CT")
        labels = (LEFT + 2 * RIGHT).astype(np.uint8)
        self.prediction = segmentation(scene, where, labels, self.ct, ("Left", "Right"))
        if reference == "segmentation":
            self.reference = segmentation(scene, where, TRUTH.astype(np.uint8), self.ct, ("Truth",))
        else:
            self.reference = volumeNodeFromImage(scene, where.image(TRUTH.astype(np.uint8)), "Truth", "labelmap")
        self.calls = []
        self.live = LiveComparisons(scene, lambda: self.calls.append(1))

    def follow(self, **arguments):
        self.live.follow(self.prediction, self.reference, **arguments)
        return self.numbers()

    def numbers(self):
        assert self.live.wait(20)
        self.live.poll()
        return {row.name: row for row in self.live.rows()}

    def edited(self):
        """Flush what is waiting, which must have been announced."""
        assert self.live.waiting
        self.live.flush()
        assert not self.live.waiting
        return self.numbers()

    def id(self, name, node=None):
        parts = (node or self.prediction).GetSegmentation()
        return next(key for key in parts.GetSegmentIDs() if parts.GetSegment(key).GetName() == name)

    def labelmap(self, name):
        return self.prediction.GetBinaryLabelmapInternalRepresentation(self.id(name))


def segmentation(scene, where, labels, ct, names):
    specs = [LabelSpec(value=i, name=name, terminology=NEOPLASM, color=(9, 9, i)) for i, name in enumerate(names, 1)]
    return createSegmentation(scene, where.image(labels), specs, ct, names[0], {})


def check(row, prediction, truth=TRUTH, where=None):
    where = where or grid()
    assert row.state == "current", row.sentence
    assert row.numbers.dice == dice(prediction, truth)
    assert row.numbers.hd95_mm == pytest.approx(hd95_mm(prediction, truth, where.spacing_zyx), abs=1e-9)
    assert row.volume_ml == pytest.approx(volume_ml(prediction, where.spacing_zyx), abs=1e-9)
    assert row.numbers.reference_volume_ml == pytest.approx(volume_ml(truth, where.spacing_zyx), abs=1e-9)


@pytest.fixture
def study(scene):
    made = Study(scene, grid())
    yield made
    made.live.close()


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


def test_a_rename_computes_nothing_and_shows_the_new_name(study):
    study.follow()
    revisions = [row.pair.follower.revision for row in study.live.rows()]
    study.prediction.GetSegmentation().GetSegment(study.id("Left")).SetName("Liver")
    rows = study.edited()
    check(rows["Liver"], LEFT)
    assert [row.pair.follower.revision for row in study.live.rows()] == revisions


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


def test_both_in_one_segmentation_by_mapping_even_in_one_layer(study):
    study.prediction.GetSegmentation().CollapseBinaryLabelmaps(True)
    study.live.follow(study.prediction, study.prediction, {"Left": "Right"})
    row = study.numbers()["Left"]
    assert row.referenceName == "Right"
    check(row, LEFT, RIGHT)
    array = slicer.util.arrayFromSegmentInternalBinaryLabelmap(study.prediction, study.id("Right"))
    array[array == 2] = 0
    study.labelmap("Right").Modified()
    rows = study.edited()
    check(rows["Left"], LEFT, RIGHT & False)
    assert not np.isfinite(rows["Left"].numbers.hd95_mm)


def test_a_segment_meets_the_one_of_its_name(study):
    labels = (LEFT * 2 + RIGHT).astype(np.uint8)
    named = segmentation(study.scene, study.grid, labels, study.ct, ("right", "LEFT"))
    study.reference = named
    rows = study.follow()
    assert [row.referenceName for row in rows.values()] == ["LEFT", "right", "right"]
    assert [row.numbers.dice for row in rows.values()] == [1.0, 1.0, 1.0]


def test_a_new_segment_gets_a_row_and_a_removed_one_says_so_until_undo(study):
    study.follow()
    node = study.prediction.GetSegmentation()
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(node)
    history.SetMaximumNumberOfStates(5)
    node.AddEmptySegment("", "New")
    rows = study.edited()
    assert list(rows) == ["Left", "Right", "New", ALL_SEGMENTS]
    check(rows["New"], LEFT & False)
    history.SaveState()
    node.RemoveSegment(study.id("Right"))
    rows = study.edited()
    assert rows["Right"].state == "gone"
    assert "was removed" in rows["Right"].sentence
    assert '"Right"' in rows["Right"].sentence
    check(rows[ALL_SEGMENTS], LEFT)
    history.RestorePreviousState()
    check(study.edited()["Right"], RIGHT)


@pytest.mark.parametrize("which", ["prediction", "reference"])
@pytest.mark.parametrize("kind", ["segmentation", "labelmap"])
def test_a_node_that_is_deleted_is_a_sentence(scene, which, kind):
    study = Study(scene, grid(), kind)
    study.follow()
    scene.RemoveNode(getattr(study, which))
    study.live.flush()
    for row in study.live.rows():
        assert (row.state, row.numbers) == ("gone", None)
        assert "removed from the scene" in row.sentence
    assert not study.live.flush()
    study.live.close()


def test_closing_the_scene_ends_everything_with_a_sentence(study):
    study.follow()
    study.scene.Clear(False)
    assert study.live.rows() == []
    assert not study.live.active
    assert "closed" in study.live.sentence
    assert not study.live.flush()


def test_nothing_is_heard_after_stop(study):
    study.follow()
    study.live.stop()
    study.calls.clear()
    study.prediction.GetSegmentation().ClearSegment(study.id("Left"))
    study.scene.RemoveNode(study.prediction)
    assert study.calls == []


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


def test_both_empty_and_one_empty(study):
    study.prediction.GetSegmentation().ClearSegment(study.id("Left"))
    study.reference.GetSegmentation().ClearSegment(study.id("Truth", study.reference))
    rows = study.follow()
    check(rows["Left"], LEFT & False, LEFT & False)
    assert rows["Left"].numbers.dice == 1
    assert rows["Right"].numbers.dice == 0
    setSegmentImage(study.reference, study.id("Truth", study.reference), study.grid.image(TRUTH.astype(np.uint8)))
    check(study.edited()["Right"], RIGHT)


def test_a_reference_that_came_as_a_surface_gets_voxels(study):
    reference = study.reference.GetSegmentation()
    study.reference.CreateClosedSurfaceRepresentation()
    study.reference.SetSourceRepresentationToClosedSurface()
    reference.RemoveRepresentation(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())
    rows = study.follow()
    assert rows[ALL_SEGMENTS].state == "current"
    # Slicer smooths surfaces: the corners of the boxes are lost.
    assert rows[ALL_SEGMENTS].numbers.dice == pytest.approx(dice(LEFT | RIGHT, TRUTH), abs=0.06)


def test_nothing_that_can_be_compared_is_a_sentence(study):
    for arguments, words in (
        ((None, study.reference), "no segmentation"),
        ((study.prediction, None), "reference contour is missing"),
        ((study.prediction, study.prediction), "with itself"),
        ((study.prediction, study.reference, {"Left": "Nobody"}), 'no segment "Nobody"'),
    ):
        with pytest.raises(BadInputError, match=words):
            study.live.follow(*arguments)


def test_an_engine_that_fails_is_a_sentence_and_the_next_edit_works(scene):
    study = Study(scene, grid())
    fail = [True]

    def engine(reference, spacing):
        from petctfusion.metrics.live import LiveComparison

        if fail[0]:
            raise MemoryError
        return LiveComparison(reference, spacing)

    study.live = LiveComparisons(scene, makeEngine=engine)
    rows = study.follow()
    assert rows["Left"].state == "failed"
    assert "not enough memory" in rows["Left"].sentence
    fail[0] = False
    setSegmentImage(study.prediction, study.id("Left"), study.grid.image(RIGHT.astype(np.uint8)))
    check(study.edited()["Left"], RIGHT)
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
