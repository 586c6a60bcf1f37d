"""Strokes and undo in a real scene, against brushes drawn voxel by voxel; no page and no views."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("trame_slicer", reason='needs: pip install "petctfusion[web]"')

from petctfusion.errors import BadInputError
from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.headless import bootHeadless
from PETCTFusionSegLib.mrml.live import LiveComparisons
from PETCTFusionSegLib.mrml.live_events import EditObserver
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, segmentImage
from PETCTFusionSegLib.mrml.suv_brush import SuvRule
from PETCTFusionSegLib.mrml.suv_stamp import SuvStamp
from PETCTFusionSegLib.mrml.terminology import NEOPLASM
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage
from PETCTFusionSegLib.web.drawing.brush import BrushSettings, Stroke, gridOfSegment
from PETCTFusionSegLib.web.drawing.history import STEPS, History
from PETCTFusionSegLib.web.editor import WebEditor

OBLIQUE = tuple(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5).GetMatrix())
STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
LPS = np.array([-1.0, -1.0, 1.0])
BALL = (slice(15, 25), slice(18, 30), slice(20, 34))


@pytest.fixture
def scene():
    booted = bootHeadless()
    yield booted.scene
    booted.clear()


def study(scene, direction=STRAIGHT, labels=1):
    """CT, and a segmentation with a block; the grid has 44 x 48 x 50 voxels (z, y, x) of 3 x 2 x 2 mm."""
    grid = Geometry((50, 48, 44), (2.0, 2.0, 3.0), (-40.0, 30.0, -200.0), direction)
    ct = volumeNodeFromImage(scene, grid.image(np.zeros(grid.shape, np.int16)), "CT", "CT")
    values = np.zeros(grid.shape, np.uint8)
    values[BALL] = 1
    specs = [
        LabelSpec(value=n + 1, name=f"Label {n}", terminology=NEOPLASM, color=(230, 80, 60)) for n in range(labels)
    ]
    node = createSegmentation(scene, grid.image(values), specs, ct, "Contour", {})
    return grid, ct, node


def voxels(node, grid, place=0):
    identifier = node.GetSegmentation().GetNthSegmentID(place)
    return sitk.GetArrayFromImage(segmentImage(node, identifier, grid.empty())) != 0


def ras(grid, index_zyx):
    """World RAS of a continuous index."""
    x, y, z = grid.points(np.array([index_zyx[::-1]], dtype=float))[0] * LPS
    return float(x), float(y), float(z)


def normalOf(grid, axis_zyx):
    x, y, z = grid.axes[:, 2 - axis_zyx] * LPS
    return float(x), float(y), float(z)


def swept(grid, path, radius_mm, axis=None):
    """The brush voxel by voxel: distance of every centre from every piece of the way; with an axis only its slice."""
    centres = np.indices(grid.shape).reshape(3, -1).T * grid.spacing_zyx
    points = np.asarray(path, dtype=float) * grid.spacing_zyx
    covered = np.zeros(len(centres), bool)
    for start, end in zip(points[: max(1, len(points) - 1)], points[1:] if len(points) > 1 else points, strict=True):
        way = end - start
        length = way @ way
        share = np.clip((centres - start) @ way / length, 0, 1) if length else np.zeros(len(centres))
        nearest = start + share[:, None] * way
        covered |= np.linalg.norm(centres - nearest, axis=1) <= radius_mm + 1e-6
    covered = covered.reshape(grid.shape)
    if axis is not None:
        only = np.zeros(grid.shape, bool)
        place = [slice(None)] * 3
        place[axis] = round(path[0][axis])
        only[tuple(place)] = True
        covered &= only
    return covered


def stroke(node, grid, path, settings, inside=True, axis=0, pet=None):
    segment = gridOfSegment(node, node.GetSegmentation().GetNthSegmentID(0))
    one = Stroke(segment, settings, inside, normalOf(grid, axis), pet, SuvStamp())
    for point in path:
        one.draw([ras(grid, point)])
    return one


PATH = [(20.0, 10.3, 8.2), (20.0, 14.9, 30.1), (20.0, 33.0, 41.7)]


@pytest.mark.parametrize("direction", [STRAIGHT, OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize("sphere", [False, True])
def test_a_stroke_covers_the_voxels_whose_centre_lies_in_the_brush(scene, direction, sphere):
    grid, _ct, node = study(scene, direction)
    before = voxels(node, grid)
    done = stroke(node, grid, PATH, BrushSettings(11.0, sphere))
    wanted = before | swept(grid, PATH, 5.5, None if sphere else 0)
    assert np.array_equal(voxels(node, grid), wanted)
    assert done.changed == (wanted & ~before).sum()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_disc_stays_in_the_slice_in_which_it_is_drawn(scene, axis):
    grid, _ct, node = study(scene)
    before = voxels(node, grid)
    path = [(12.0, 13.0, 14.0)]
    stroke(node, grid, path, BrushSettings(16.0), axis=axis)
    added = voxels(node, grid) & ~before
    assert np.array_equal(added, swept(grid, path, 8.0, axis) & ~before)
    assert np.ptp(np.argwhere(added), axis=0)[axis] == 0
    assert added.sum() > 10


def test_erasing_takes_out_what_the_brush_covers_and_nothing_else(scene):
    grid, _ct, node = study(scene)
    before = voxels(node, grid)
    path = [(20.0, 5.0, 5.0), (20.0, 24.0, 27.0)]
    done = stroke(node, grid, path, BrushSettings(9.0, sphere=True), inside=False)
    covered = swept(grid, path, 4.5)
    assert np.array_equal(voxels(node, grid), before & ~covered)
    assert done.changed == (before & covered).sum() > 0


def test_the_smallest_brush_paints_the_voxel_under_the_pointer(scene):
    grid, _ct, node = study(scene)
    before = voxels(node, grid)
    stroke(node, grid, [(30.0, 40.4, 40.6)], BrushSettings(1.0))
    assert np.argwhere(voxels(node, grid) & ~before).tolist() == [[30, 40, 41]]


def test_the_border_of_the_grid_is_respected_and_beyond_it_nothing_happens(scene):
    grid, _ct, node = study(scene)
    before = voxels(node, grid)
    path = [(0.0, 0.0, 0.0), (0.0, -30.0, -30.0)]
    stroke(node, grid, path, BrushSettings(30.0, sphere=True))
    assert np.array_equal(voxels(node, grid), before | swept(grid, path, 15.0))
    outside = stroke(node, grid, [(-40.0, -40.0, -40.0)], BrushSettings(10.0))
    assert outside.changed == 0


def test_a_stroke_into_an_empty_segment(scene):
    grid, _ct, node = study(scene, labels=2)
    identifier = node.GetSegmentation().GetNthSegmentID(1)
    one = Stroke(gridOfSegment(node, identifier), BrushSettings(10.0), True, normalOf(grid, 0), None, SuvStamp())
    one.draw([ras(grid, point) for point in PATH])
    assert np.array_equal(voxels(node, grid, 1), swept(grid, PATH, 5.0, 0))
    # Segments overlap: the first one kept its own voxels.
    assert voxels(node, grid, 0).sum() == np.prod([part.stop - part.start for part in BALL])


def test_a_stroke_below_a_parent_transform(scene):
    import vtk

    grid, _ct, node = study(scene)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    for row, shift in enumerate((13.0, -7.0, 31.0)):
        matrix.SetElement(row, 3, shift)
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    moved = Geometry(grid.size, grid.spacing, tuple(np.add(grid.origin, (-13.0, 7.0, 31.0))), grid.direction)
    before = voxels(node, moved)
    stroke(node, moved, PATH, BrushSettings(11.0))
    assert np.array_equal(voxels(node, moved), before | swept(grid, PATH, 5.5, 0))


def test_the_suv_rule_paints_only_what_passes_it(scene):
    grid, _ct, node = study(scene)
    suv = np.random.default_rng(3).uniform(0, 8, grid.shape).astype(np.float32)
    pet = volumeNodeFromImage(scene, grid.image(suv), "PET", "PET")
    before = voxels(node, grid)
    point = [(30.0, 20.0, 20.0)]
    stroke(node, grid, point, BrushSettings(20.0, True, SuvRule("fixed", suv=4.0)), pet=pet)
    assert np.array_equal(voxels(node, grid), before | (swept(grid, point, 10.0) & (suv >= 4.0)))


def test_a_stroke_of_a_rule_has_no_gaps(scene):
    grid, _ct, node = study(scene)
    pet = volumeNodeFromImage(scene, grid.image(np.full(grid.shape, 5.0, np.float32)), "PET", "PET")
    before = voxels(node, grid)
    stroke(node, grid, [(35.0, 8.0, 5.0), (35.0, 8.0, 45.0)], BrushSettings(8.0, False, SuvRule("percent")), pet=pet)
    added = voxels(node, grid) & ~before
    assert added[35, 8, 5:46].all()


def test_a_rule_without_a_pet_says_so(scene):
    grid, _ct, node = study(scene)
    with pytest.raises(BadInputError, match="needs a PET"):
        stroke(node, grid, PATH, BrushSettings(8.0, False, SuvRule("percent")))


def test_edits_are_heard_and_live_numbers_follow(scene):
    grid, ct, node = study(scene)
    values = np.zeros(grid.shape, np.uint8)
    values[BALL] = 1
    spec = [LabelSpec(value=1, name="Label 0", terminology=NEOPLASM, color=(0, 200, 0))]
    reference = createSegmentation(scene, grid.image(values), spec, ct, "Reference", {})
    heard = []
    observer = EditObserver(lambda: heard.append(1))
    observer.watch(scene, node)
    table = LiveComparisons(scene)
    table.follow(node, reference)
    assert table.wait(20.0)
    assert table.rows()[0].numbers.dice == 1.0
    stroke(node, grid, PATH, BrushSettings(11.0))
    assert heard
    table.flush()
    assert table.wait(20.0)
    now = voxels(node, grid)
    assert table.rows()[0].numbers.dice == pytest.approx(2 * (now & (values != 0)).sum() / (now.sum() + values.sum()))
    observer.stop()
    table.close()


# --- undo


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


# --- the editor


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
