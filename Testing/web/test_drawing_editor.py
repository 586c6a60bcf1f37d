"""The editor of the page: what the mouse does with which tool, steps of undo, segments; no page and no views."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("trame_slicer", reason='needs: pip install "petctfusion[web]"')

from block_study import normalOf, ras, study, voxels

from PETCTFusionSegLib.web.editor import WebEditor


class Board:
    """What the editor needs of the board."""

    def __init__(self):
        self.tools, self.brushes = [], []
        self.brushResized = self.drawing = None

    def showBrush(self, tool, diameterMm):
        self.brushes.append((tool, diameterMm))


@pytest.fixture
def editing(scene):
    grid, ct, node = study(scene)
    board, said, changes = Board(), [], []
    editor = WebEditor(board, lambda: changes.append(1), said.append)
    editor.connectScene(scene)
    return editor, board, grid, ct, node, said, changes


class Pane:
    """A slice view of the middle axial slice; a pixel is 1 mm."""

    def __init__(self, grid, *volumes):
        self._grid, self._volumes = grid, list(volumes)

    def volumes(self):
        return self._volumes

    def place(self, point):
        return ras(self._grid, (20.0, point[1] / 2, point[0] / 2))

    def normal(self):
        return normalOf(self._grid, 0)


def pointer(kind, *points, **options):
    from PETCTFusionSegLib.web.views.pointer import PointerEvent

    return PointerEvent(kind, tuple(points), pressed=kind != "up", **options)


def drawn(board, pane, *points, **options):
    had = [board.tools[0](pane, pointer("down", points[0], **options))]
    had += [board.tools[0](pane, pointer("move", point, **options)) for point in points[1:]]
    return [*had, board.tools[0](pane, pointer("up", points[-1], **options))]


def test_a_stroke_with_the_mouse_is_one_step_of_undo(editing):
    editor, board, grid, ct, node, _said, changes = editing
    editor.edit(node, ct)
    before = voxels(node, grid)
    editor.tool = "paint"
    assert editor.working()
    assert not editor.canUndo
    changes.clear()
    assert all(drawn(board, Pane(grid, ct), (10.0, 10.0), (60.0, 12.0), (60.0, 70.0)))
    after = voxels(node, grid)
    assert (after & ~before).sum() > 100
    assert changes
    assert editor.canUndo
    editor.undo()
    assert np.array_equal(voxels(node, grid), before)
    assert editor.canRedo
    assert not editor.canUndo
    editor.redo()
    assert np.array_equal(voxels(node, grid), after)


def test_a_stroke_that_changes_nothing_is_no_step(editing):
    editor, board, grid, ct, node, _said, _changes = editing
    editor.edit(node, ct)
    editor.tool = "erase"
    drawn(board, Pane(grid, ct), (2.0, 2.0))
    assert not editor.canUndo


@pytest.mark.parametrize("options", [{"button": 1}, {"button": 2}, {"shift": True}, {"ctrl": True}])
def test_other_buttons_and_keys_belong_to_the_view(editing, options):
    editor, board, grid, ct, node, _said, _changes = editing
    editor.edit(node, ct)
    editor.tool = "paint"
    before = voxels(node, grid)
    assert not any(drawn(board, Pane(grid, ct), (10.0, 10.0), **options))
    assert np.array_equal(voxels(node, grid), before)


def test_without_a_tool_the_mouse_belongs_to_the_view(editing):
    editor, board, grid, ct, node, _said, _changes = editing
    editor.edit(node, ct)
    assert not any(drawn(board, Pane(grid, ct), (10.0, 10.0)))


def test_painting_where_there_is_no_segmentation_makes_one(editing):
    editor, board, grid, ct, node, said, _changes = editing
    editor.edit(None, None)
    editor.tool = "paint"
    drawn(board, Pane(grid, ct), (40.0, 40.0))
    made = editor.segmentation()
    assert made is not None
    assert made is not node
    assert made.GetSegmentation().GetSegment(editor.selectedSegmentId()).GetName() == "Tumor"
    assert voxels(made, grid).sum() > 0
    assert said == []


def test_painting_on_nothing_says_why(editing):
    editor, board, grid, _ct, _node, said, _changes = editing
    editor.edit(None, None)
    editor.tool = "paint"
    drawn(board, Pane(grid), (40.0, 40.0))
    assert len(said) == 1
    assert "nothing to draw on" in said[0]


def test_a_removed_segmentation_ends_everything_quietly(editing, scene):
    editor, board, grid, ct, node, _said, _changes = editing
    editor.edit(node, ct)
    editor.tool = "paint"
    board.tools[0](Pane(grid, ct), pointer("down", (10.0, 10.0)))
    scene.RemoveNode(node)
    board.tools[0](Pane(grid, ct), pointer("up", (10.0, 10.0)))
    assert editor.segmentation() is None
    assert not editor.canUndo
    editor.undo()
    editor.saveStateForUndo()


def test_the_brush_has_limits_and_the_page_is_told(editing):
    editor, board, *_rest = editing
    editor.tool = "paint"
    editor.brushDiameterMm = 1e9
    assert editor.brushDiameterMm == 200.0
    board.brushResized(0.0)
    assert editor.brushDiameterMm == 1.0
    assert board.brushes[-1] == ("paint", 1.0)
    editor.putAwayEffect()
    assert board.brushes[-1][0] == ""
    with pytest.raises(ValueError):
        editor.tool = "scissors"


def test_segments_are_added_and_chosen(editing):
    editor, board, grid, ct, node, _said, _changes = editing
    editor.edit(node, ct)
    first = editor.selectedSegmentId()
    second = editor.addSegment("Node")
    assert editor.selectedSegmentId() == second != first
    editor.tool = "paint"
    drawn(board, Pane(grid, ct), (10.0, 10.0))
    assert voxels(node, grid, 1).sum() > 0
    editor.selectSegment(first)
    assert editor.selectedSegmentId() == first
    editor.undo()
    editor.undo()
    assert list(node.GetSegmentation().GetSegmentIDs()) == [first]
