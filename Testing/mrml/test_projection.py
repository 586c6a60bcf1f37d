"""The projection of a PET from in front: sides, maxima and the place behind a point, on grids of every direction."""

import numpy as np
import pytest
import vtk

from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.projection import projectionSource, shade
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage

IDENTITY = (1.0, 0, 0, 0, 1, 0, 0, 0, 1)
FROM_FEET = (1.0, 0, 0, 0, -1, 0, 0, 0, -1)
CORONAL = (1.0, 0, 0, 0, 0, 1, 0, -1, 0)
TILTED = (np.cos(0.2), -np.sin(0.2), 0, np.sin(0.2), np.cos(0.2), 0, 0, 0, 1.0)


def pet(scene, direction):
    """Two hot voxels one behind the other, the hotter one behind: 20 mm to the left, 40 mm towards the head (LPS)."""
    grid = Geometry((30, 30, 30), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), direction)
    grid = Geometry(grid.size, grid.spacing, tuple(-grid.points(np.array([[14.5, 14.5, 14.5]]))[0]), direction)
    points = grid.points(np.indices(grid.shape).reshape(3, -1).T[:, ::-1].astype(float)).reshape(*grid.shape, 3)
    values = np.zeros(grid.shape, np.float32)
    for place, uptake in (((20, -30, 40), 3.0), ((20, 30, 40), 7.0)):
        away = np.linalg.norm(points - np.array(place), axis=-1)
        values[away == away.min()] = uptake
    return volumeNodeFromImage(scene, grid.image(values), "PET", "PET")


@pytest.mark.parametrize("direction", [IDENTITY, FROM_FEET, CORONAL, TILTED])
def test_the_head_is_above_and_the_patients_left_is_on_the_right(scene, direction):
    source = projectionSource(pet(scene, direction))
    maxima = source.project()
    assert maxima.max() == 7
    row, column = np.unravel_index(maxima.argmax(), maxima.shape)
    rows, columns = maxima.shape
    # 20 mm to the left (LPS) and 40 mm towards the head, on 4 mm voxels.
    assert row < rows / 2 < column
    assert source.size_mm == pytest.approx((120, 120))
    place = source.place((column + 0.5) / columns, (row + 0.5) / rows)
    np.testing.assert_allclose(place, (-20, -30, 40), atol=4)


def test_a_parent_transform_moves_the_places(scene):
    node = pet(scene, IDENTITY)
    before = projectionSource(node).place(0.7, 0.2)
    moved = vtk.vtkMatrix4x4()
    moved.SetElement(2, 3, 50.0)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(moved)
    node.SetAndObserveTransformNodeID(transform.GetID())
    after = projectionSource(node).place(0.7, 0.2)
    np.testing.assert_allclose(np.subtract(after, before), (0, 0, 50))


def test_without_voxels_there_is_no_projection(scene):
    assert projectionSource(None) is None
    assert projectionSource(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")) is None


def test_shades_run_from_white_to_black_and_points_outside_are_held_at_the_edge(scene):
    source = projectionSource(pet(scene, IDENTITY))
    grey = shade(np.array([[-1.0, 0.0, 5.0, 10.0, 99.0]], np.float32), 0, 10)
    assert grey.tolist() == [[255, 255, 127, 0, 0]]
    assert shade(np.ones((1, 1), np.float32), 2, 2)[0, 0] in (0, 255)
    assert np.isfinite(source.place(-3, 40)).all()
