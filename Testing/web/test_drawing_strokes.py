"""Strokes in a real scene, against brushes drawn voxel by voxel; no page and no views."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("trame_slicer", reason='needs: pip install "petctfusion[web]"')

from block_study import BALL, PATH, STRAIGHT, normalOf, ras, stroke, study, voxels

from petctfusion.errors import BadInputError
from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.live import LiveComparisons
from PETCTFusionSegLib.mrml.live_events import EditObserver
from PETCTFusionSegLib.mrml.segmentations import createSegmentation
from PETCTFusionSegLib.mrml.suv_brush import SuvRule
from PETCTFusionSegLib.mrml.suv_stamp import SuvStamp
from PETCTFusionSegLib.mrml.terminology import NEOPLASM
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage
from PETCTFusionSegLib.web.drawing.brush import BrushSettings, Stroke, gridOfSegment

OBLIQUE = tuple(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5).GetMatrix())


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
