from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.volumes import Geometry


@pytest.fixture
def grid(oblique: tuple[float, ...]) -> Geometry:
    return Geometry((7, 5, 4), (1.1, 2.2, 3.3), (-10.5, 20.25, 300.125), oblique)


def test_points_and_indices_agree_with_itk_on_an_oblique_grid(grid: Geometry) -> None:
    image = grid.empty()
    index = np.array([[0.0, 0.0, 0.0], [6.0, 4.0, 3.0], [1.5, 2.25, 0.5]])
    expected = [image.TransformContinuousIndexToPhysicalPoint(row) for row in index.tolist()]
    np.testing.assert_allclose(grid.points(index), expected, atol=1e-9)
    np.testing.assert_allclose(grid.indices(np.array(expected)), index, atol=1e-9)


def test_geometry_survives_json_exactly(grid: Geometry) -> None:
    assert Geometry.from_json(json.loads(json.dumps(grid.to_json()))) == grid


def test_image_carries_the_geometry_and_refuses_another_shape(grid: Geometry) -> None:
    assert Geometry.of(grid.image(np.zeros(grid.shape, np.float32))) == grid
    assert grid.shape == (4, 5, 7)
    assert grid.spacing_zyx == (3.3, 2.2, 1.1)
    assert grid.voxel_ml == pytest.approx(1.1 * 2.2 * 3.3 / 1000)
    with pytest.raises(ValueError, match="does not fit"):
        grid.image(np.zeros((7, 5, 4)))


def test_corners_are_voxel_edges_and_span_the_whole_field(grid: Geometry) -> None:
    corners = grid.corners()
    assert corners.shape == (8, 3)
    longest = np.linalg.norm(corners[7] - corners[0])
    assert longest == pytest.approx(np.linalg.norm(np.array(grid.size) * grid.spacing))


def test_same_grid_notices_a_shift_a_turn_and_a_flip(grid: Geometry) -> None:
    assert grid.same_grid(grid)
    moved = Geometry(grid.size, grid.spacing, (grid.origin[0] + 0.1, *grid.origin[1:]), grid.direction)
    assert not grid.same_grid(moved)
    assert grid.same_grid(moved, tolerance_mm=0.2)
    flipped = sitk.Flip(grid.empty(), [True, False, False])
    assert not grid.same_grid(Geometry.of(flipped))
