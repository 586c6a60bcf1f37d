"""Which segment meets which, and what becomes of its row when it is renamed, new, removed or empty."""

import numpy as np
import slicer
from box_study import LEFT, RIGHT, TRUTH, check, segmentation

from PETCTFusionSegLib.mrml.live import ALL_SEGMENTS
from PETCTFusionSegLib.mrml.segmentations import setSegmentImage


def test_a_rename_computes_nothing_and_shows_the_new_name(study):
    study.follow()
    revisions = [row.pair.follower.revision for row in study.live.rows()]
    study.prediction.GetSegmentation().GetSegment(study.id("Left")).SetName("Liver")
    rows = study.edited()
    check(rows["Liver"], LEFT)
    assert [row.pair.follower.revision for row in study.live.rows()] == revisions


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


def test_both_empty_and_one_empty(study):
    study.prediction.GetSegmentation().ClearSegment(study.id("Left"))
    study.reference.GetSegmentation().ClearSegment(study.id("Truth", study.reference))
    rows = study.follow()
    check(rows["Left"], LEFT & False, LEFT & False)
    assert rows["Left"].numbers.dice == 1
    assert rows["Right"].numbers.dice == 0
    setSegmentImage(study.reference, study.id("Truth", study.reference), study.grid.image(TRUTH.astype(np.uint8)))
    check(study.edited()["Right"], RIGHT)
