"""Undo and redo of strokes, names and segments in a real scene; no page and no views."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("trame_slicer", reason='needs: pip install "petctfusion[web]"')

from block_study import BALL, PATH, normalOf, ras, stroke, study, voxels

from PETCTFusionSegLib.mrml.suv_stamp import SuvStamp
from PETCTFusionSegLib.web.drawing.brush import BrushSettings, Stroke, gridOfSegment
from PETCTFusionSegLib.web.drawing.history import STEPS, History


def test_undo_and_redo_bring_back_every_one_of_many_states(scene):
    grid, _ct, node = study(scene)
    history = History(node)
    states = [voxels(node, grid)]
    for number in range(25):
        history.save()
        stroke(node, grid, [(20.0, 5.0 + number, 5.0 + number)], BrushSettings(7.0), inside=number % 3 > 0)
        states.append(voxels(node, grid))
    for wanted in states[-2::-1]:
        assert history.undo()
        assert np.array_equal(voxels(node, grid), wanted)
    assert not history.undo()
    for wanted in states[1:]:
        assert history.redo()
        assert np.array_equal(voxels(node, grid), wanted)
    assert not history.redo()


def test_a_change_after_undo_forgets_what_could_be_done_again(scene):
    grid, _ct, node = study(scene)
    history = History(node)
    history.save()
    stroke(node, grid, PATH, BrushSettings(7.0))
    history.undo()
    assert history.canRedo
    history.save()
    assert not history.canRedo


def test_undo_brings_back_names_tags_and_segments(scene):
    grid, _ct, node = study(scene, labels=3)
    segmentation = node.GetSegmentation()
    first = segmentation.GetNthSegmentID(0)
    segmentation.GetSegment(first).SetTag("Threshold", "0.5")
    history = History(node)
    history.save()
    segmentation.GetSegment(first).SetTag("Threshold", "0.3")
    segmentation.GetSegment(first).SetName("Renamed")
    segmentation.RemoveSegment(segmentation.GetNthSegmentID(1))
    segmentation.AddEmptySegment("added", "Added")
    history.undo()
    names = [segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()]
    assert names == ["Label 0", "Label 1", "Label 2"]
    from PETCTFusionSegLib.mrml.terminology import segmentTag

    assert segmentTag(segmentation.GetSegment(first), "Threshold") == "0.5"
    history.redo()
    names = [segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()]
    assert names == ["Renamed", "Label 2", "Added"]
    assert voxels(node, grid).sum() == np.prod([part.stop - part.start for part in BALL])


def test_segments_in_one_layer_are_undone_each_for_itself(scene):
    grid, _ct, node = study(scene, labels=2)
    segmentation = node.GetSegmentation()
    second = segmentation.GetNthSegmentID(1)
    Stroke(gridOfSegment(node, second), BrushSettings(6.0, True), True, normalOf(grid, 0), None, SuvStamp()).draw(
        [ras(grid, (38.0, 40.0, 8.0))]
    )
    segmentation.CollapseBinaryLabelmaps(False)
    assert segmentation.GetNumberOfLayers() == 1
    both = [voxels(node, grid, place) for place in (0, 1)]
    history = History(node)
    history.save()
    stroke(node, grid, PATH, BrushSettings(9.0))
    assert np.array_equal(voxels(node, grid, 1), both[1])
    history.undo()
    assert all(np.array_equal(voxels(node, grid, place), both[place]) for place in (0, 1))


def test_states_beyond_the_limit_are_forgotten_and_unchanged_ones_cost_nothing(scene):
    _grid, _ct, node = study(scene)
    history = History(node)
    for _ in range(STEPS + 7):
        history.save()
    assert sum(history.undo() for _ in range(STEPS + 7)) == STEPS
