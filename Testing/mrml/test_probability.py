"""The threshold slider on a real segmentation: the worker's mask, hand edits that stay, undo, and other segments."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.inference.levels import CleanUp, ProbabilityLevels
from petctfusion.inference.postprocess import labels_from_probability
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.probability import SegmentThreshold, resultSegmentId
from PETCTFusionSegLib.mrml.segment_grid import SegmentGrid
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, isEdited, segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.transforms import matrixFromArray
from PETCTFusionSegLib.mrml.volumes import geometryOfVolumeNode

SMALLEST_ML = 0.08


@pytest.fixture
def probability(ctImage):
    noise = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=(14, 22, 18)), 1.3)
    return np.clip((noise / noise.std() + 1) * 90, 0, 255).astype(np.uint8)


class Result:
    """A segmentation as a run leaves it, and what the worker would say at another threshold."""

    def __init__(self, scene, ct, probability, specs):
        self.ct, self.probability = ct, probability
        self.grid = geometryOfVolumeNode(ct)
        labels = self.grid.image(self.worker(0.5))
        self.node = createSegmentation(scene, labels, specs[:1], ct, "Result", {"Model": "m"})
        levels = ProbabilityLevels(probability, 0.05, CleanUp(SMALLEST_ML / self.grid.voxel_ml))
        self.segmentId = resultSegmentId(self.node)
        self.segment = SegmentGrid(self.node, self.segmentId, self.grid)
        self.slider = SegmentThreshold(self.segment, levels, 0.5)

    def worker(self, threshold):
        return labels_from_probability(self.probability, self.grid.voxel_ml, threshold, SMALLEST_ML)

    def mask(self):
        return sitk.GetArrayFromImage(segmentImage(self.node, self.segmentId, self.ct))

    def draw(self, mask):
        setSegmentImage(self.node, self.segmentId, geometryOfVolumeNode(self.ct).image(mask.astype(np.uint8)))


@pytest.fixture
def result(scene, ct, probability, specs):
    return Result(scene, ct, probability, specs)


def test_every_threshold_is_the_mask_of_the_worker(result):
    for threshold in (0.9, 0.2, 0.05, 0.95, 0.41, 0.5):
        result.slider.move(threshold)
        assert np.array_equal(result.mask(), result.worker(threshold)), threshold
        assert result.slider.threshold == threshold
    assert not isEdited(result.node)


def test_moving_to_where_it_is_changes_nothing(result):
    before = result.node.GetSegmentation().GetMTime()
    assert result.slider.move(0.5) == 0
    assert result.node.GetSegmentation().GetMTime() == before


def test_another_threshold_counts_as_an_edit_so_that_a_run_keeps_it(result):
    result.slider.move(0.3)
    assert isEdited(result.node)


def test_what_was_drawn_stays_at_every_threshold(result):
    painted, erased = np.zeros((2, 14, 22, 18), bool)
    painted[3:6, 4:9, 5:9] = True
    erased[8:11, 10:15, 9:14] = True
    drawn = (result.mask().astype(bool) | painted) & ~erased
    byHand = drawn != result.mask()
    result.draw(drawn)
    for threshold in (0.2, 0.8, 0.5, 0.05, 0.5):
        result.slider.move(threshold)
        wanted = np.where(byHand, drawn, result.worker(threshold))
        # Inside the painted box the brush and the network may agree; there the network decides.
        assert np.array_equal(result.mask(), wanted), threshold


def test_a_stroke_outside_every_probability_stays(scene, ct, specs):
    empty = Result(scene, ct, np.zeros((14, 22, 18), np.uint8), specs)
    stroke = np.zeros((14, 22, 18), bool)
    stroke[1:3, 2:5, 3:6] = True
    empty.draw(stroke)
    assert empty.slider.move(0.05) == 0
    assert np.array_equal(empty.mask(), stroke)


def test_an_empty_result_grows_where_the_threshold_is_lowered(result, specs, scene, ct):
    faint = Result(scene, ct, (result.probability // 3).astype(np.uint8), specs)
    assert faint.mask().sum() == 0
    faint.slider.move(0.1)
    assert faint.mask().sum() > 0
    assert np.array_equal(faint.mask(), faint.worker(0.1))


def test_a_dragged_slider_is_one_step_and_undo_brings_threshold_and_hand_edits_back(scene, result):
    logic = slicer.vtkSlicerSegmentEditorLogic()
    logic.SetMRMLScene(scene)
    logic.SetMaximumNumberOfUndoStates(10)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    logic.SetSegmentEditorNode(node)
    logic.SetSegmentationNode(result.node)
    drawn = result.mask().astype(bool)
    drawn[2:5, 3:7, 3:7] ^= True
    result.draw(drawn)
    logic.SaveStateForUndo()
    for number, threshold in enumerate((0.45, 0.4, 0.3)):
        result.slider.move(threshold, newStep=number == 0)
    after = result.mask()
    logic.Undo()
    assert np.array_equal(result.mask(), drawn)
    assert result.slider.threshold == 0.5
    logic.Redo()
    assert np.array_equal(result.mask(), after)
    assert result.slider.threshold == 0.3
    logic.Undo()
    byHand = drawn != result.worker(0.5)
    result.slider.move(0.7)
    assert np.array_equal(result.mask(), np.where(byHand, drawn, result.worker(0.7)))


def test_other_segments_of_the_layer_keep_their_voxels(result):
    other = result.node.GetSegmentation().AddEmptySegment("other", "Other")
    square = np.zeros((14, 22, 18), np.uint8)
    square[6:12, 6:16, 4:14] = 1
    setSegmentImage(result.node, other, result.grid.image(square))
    result.node.GetSegmentation().CollapseBinaryLabelmaps(True)
    before = sitk.GetArrayFromImage(segmentImage(result.node, other, result.ct))
    for threshold in (0.1, 0.9):
        result.slider.move(threshold)
        assert np.array_equal(sitk.GetArrayFromImage(segmentImage(result.node, other, result.ct)), before)


def test_a_transform_that_came_later_is_followed(scene, result):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = (12.3, -4.5, 6.7)
    transform.SetMatrixTransformToParent(matrixFromArray(matrix))
    for node in (result.node, result.ct):
        node.SetAndObserveTransformNodeID(transform.GetID())
    result.slider.move(0.3)
    assert np.array_equal(result.mask(), result.worker(0.3))
    x, y, z = (float(v) for v in geometryOfVolumeNode(result.ct).points(np.array([[5.0, 7.0, 3.0]]))[0])
    assert result.segment.indexOf((-x, -y, z)) == (3, 7, 5)


def test_a_click_outside_the_ct_is_one_sentence(result):
    with pytest.raises(BadInputError, match="outside the CT"):
        result.segment.indexOf((5000.0, 0.0, 0.0))


def test_voxels_of_another_grid_are_refused(scene, result):
    grid = result.grid
    shifted = Geometry((9, 11, 7), grid.spacing, tuple(v + 0.4 for v in grid.origin), grid.direction)
    with pytest.raises(BadInputError, match="do not lie"):
        SegmentGrid(result.node, result.segmentId, shifted)


def test_a_removed_segment_is_one_sentence(result):
    result.node.GetSegmentation().RemoveSegment(result.segmentId)
    assert not result.segment.exists
    assert resultSegmentId(result.node) == ""
    with pytest.raises(BadInputError, match="removed"):
        result.slider.move(0.3)
