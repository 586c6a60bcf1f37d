"""The surface coloured by its distance to the reference, against triangles sampled finely."""

import numpy as np
import pytest
import slicer
from ball_study import AXIAL, OBLIQUE, RESULT, SHAPE, TRUTH
from vtkmodules.util.numpy_support import vtk_to_numpy

from petctfusion.errors import BadInputError
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml import distance_model


def distances(surface):
    return vtk_to_numpy(surface.GetPointData().GetArray(distance_model.DISTANCE_ARRAY))


@pytest.mark.parametrize("direction", [AXIAL, OBLIQUE])
def test_distances_are_those_to_the_triangles_of_the_reference(direction):
    grid = Geometry((40, 36, 30), (2.0, 2.0, 3.0), (-40.0, -36.0, -30.0), direction)
    raw = distance_model._isosurface(RESULT, distance_model.ijkToRasOfGeometry(grid))
    target = distance_model._isosurface(TRUTH, distance_model.ijkToRasOfGeometry(grid))
    found = distances(distance_model.distanceSurface(RESULT, TRUTH, grid))
    points = vtk_to_numpy(raw.GetPoints().GetData())
    corners = vtk_to_numpy(target.GetPoints().GetData())[
        vtk_to_numpy(target.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    ]
    # Every triangle sampled finely: the true distance is at most the sampled one, and hardly less.
    weights = np.array([(i, j, 12 - i - j) for i in range(13) for j in range(13 - i)]) / 12
    samples = np.einsum("wk,tkd->twd", weights, corners).reshape(-1, 3)
    from scipy.spatial import cKDTree

    sampled = cKDTree(samples).query(points)[0]
    assert (np.abs(found) <= sampled + 1e-4).all()
    assert np.abs(sampled - np.abs(found)).max() < 0.2
    assert found.max() == pytest.approx(sampled.max(), abs=0.2)
    assert found.min() < -1


def test_equal_masks_are_zero_everywhere_and_a_grown_one_is_outside():
    grid = Geometry((40, 36, 30), (2.0, 2.0, 3.0), (0.0, 0.0, 0.0), AXIAL)
    assert np.abs(distances(distance_model.distanceSurface(TRUTH, TRUTH, grid))).max() < 1e-4
    small, large = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    small[10:20, 10:20, 10:20] = True
    large[8:22, 8:22, 8:22] = True
    outside = distances(distance_model.distanceSurface(large, small, grid))
    inside = distances(distance_model.distanceSurface(small, large, grid))
    assert outside.min() >= 4 - 1e-3
    assert -6.0 - 1e-3 <= inside.min() <= inside.max() <= -4 + 1e-3


def test_the_model_node_is_coloured_symmetrically_and_written_in_place(followed):
    node = distance_model.updateDistanceModel(followed.scene, followed.row)
    display = node.GetDisplayNode()
    low, high = display.GetScalarRange()
    assert -low == high >= 2
    assert display.GetActiveScalarName() == distance_model.DISTANCE_ARRAY
    table = display.GetColorNode()
    red = [0.0] * 4
    table.GetColor(255, red)
    blue = [0.0] * 4
    table.GetColor(0, blue)
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    assert legend.GetTitleText() == "Distance (mm)"
    followed.edit(TRUTH)
    assert distance_model.updateDistanceModel(followed.scene, followed.row) is node
    assert followed.scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == 1
    assert slicer.vtkSlicerColorLogic.GetNumberOfColorLegendDisplayNodes(node) == 1


def test_no_contour_no_model(followed):
    followed.edit(RESULT & False)
    with pytest.raises(BadInputError, match="result has no contour"):
        distance_model.updateDistanceModel(followed.scene, followed.row)
