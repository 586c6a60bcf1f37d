"""A surface model of the prediction, coloured by its distance to the reference.

The surface of a mask is the 0.5 isosurface of its voxels (1 inside, 0 outside, linear in between). Every point of the
prediction's surface carries the exact distance in mm to the nearest point of the reference's surface (point to
triangle), negative where the reference's interpolated mask is 0.5 or more: blue lies inside the reference, red outside.
For the eye the points are then moved by a smoothing of about a voxel at most; the distances are those before it, so
that two equal masks are 0 everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from petctfusion.errors import BadInputError
from petctfusion.metrics.masks import BoolArray
from petctfusion.volumes.box import bounding_box
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.i18n import _

from .headless import importSlicer
from .live import LiveRow
from .live_tables import ourNode
from .transforms import ijkToRasOfGeometry, imageFromArray, matrixFromArray

DISTANCE_ARRAY = "DistanceToReference_mm"
MODEL_ROLE, COLOUR_ROLE = "DistanceModel", "DistanceColours"
LEGEND_TITLE = "Distance (mm)"
# Blue, light grey, red: apart also for eyes that confuse red and green (Brewer's RdBu).
_ANCHORS = (
    (0.02, 0.19, 0.38),
    (0.13, 0.40, 0.67),
    (0.57, 0.77, 0.87),
    (0.94, 0.94, 0.94),
    (0.96, 0.65, 0.51),
    (0.70, 0.09, 0.17),
    (0.40, 0.0, 0.12),
)
_STEPS = 256
_RANGE_MM = (2.0, 10.0)
_PASS_BAND, _ITERATIONS = 0.03, 40


def updateDistanceModel(scene: Any, row: LiveRow) -> Any:
    """Write the model of a segment's current masks; returns its node, the same one every time.

    Raises `BadInputError` while the numbers are being computed, and when one of the two has no contour.
    """
    follower = row.pair.follower
    prediction = follower.prediction() if follower is not None and row.numbers is not None else None
    if follower is None or prediction is None:
        raise BadInputError(
            _('The numbers of "{name}" are not there yet.').format(name=row.name), _("Wait a moment and try again.")
        )
    surface = distanceSurface(prediction, follower.reference, row.pair.grid())
    node = ourNode(scene, "vtkMRMLModelNode", MODEL_ROLE, "Distance to reference")
    node.SetName(f"{row.name}: distance to reference")
    node.SetAndObservePolyData(surface)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    _colour(scene, node, distanceRange(vtk_to_numpy(surface.GetPointData().GetArray(DISTANCE_ARRAY))))
    return node


def distanceSurface(prediction: BoolArray, reference: BoolArray, grid: Geometry) -> Any:
    """The prediction's surface (vtkPolyData, world RAS) with the point array `DistanceToReference_mm`.

    Both masks are (z, y, x) on `grid`. Raises `BadInputError` when one of them is empty.
    """
    for mask, sentence in (
        (prediction, _("The result has no contour, so there is no distance.")),
        (reference, _("The reference has no contour, so there is no distance.")),
    ):
        if not mask.any():
            raise BadInputError(sentence, _("Draw it first."))
    toRas = ijkToRasOfGeometry(grid)
    surface, target = _isosurface(prediction, toRas), _isosurface(reference, toRas)
    distances = vtk.vtkDistancePolyDataFilter()
    distances.SetInputData(0, surface)
    distances.SetInputData(1, target)
    distances.SignedDistanceOff()
    distances.ComputeSecondDistanceOff()
    distances.ComputeCellCenterDistanceOff()
    distances.Update()
    found = vtk_to_numpy(distances.GetOutput().GetPointData().GetArray("Distance")).astype(np.float64)
    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
    signed = np.where(_insideReference(points, reference, toRas), -found, found)
    smooth = _smoothed(surface)
    array = numpy_to_vtk(signed, deep=True)
    array.SetName(DISTANCE_ARRAY)
    smooth.GetPointData().SetScalars(array)
    return smooth


def distanceRange(distances_mm: NDArray[Any]) -> float:
    """End of the symmetric colour range, mm: what 95 % of the points stay below, rounded up, from 2 to 10 mm.

    Not the maximum, because one stray lesion far away would make everything else one colour.
    """
    low, high = _RANGE_MM
    return float(min(high, max(low, math.ceil(np.percentile(np.abs(distances_mm), 95.0)))))


def distanceColours(scene: Any) -> Any:
    """The scene's diverging colour table; blue inside, grey at 0, red outside."""
    node = ourNode(scene, "vtkMRMLColorTableNode", COLOUR_ROLE, "Distance to reference")
    if node.GetNumberOfColors() == _STEPS:
        return node
    node.SetTypeToUser()
    node.SetNumberOfColors(_STEPS)
    where = np.linspace(0.0, 1.0, _STEPS)
    stops = np.linspace(0.0, 1.0, len(_ANCHORS))
    channels = [np.interp(where, stops, [anchor[i] for anchor in _ANCHORS]) for i in range(3)]
    for number, (r, g, b) in enumerate(zip(*channels, strict=True)):
        node.SetColor(number, f"{number}", float(r), float(g), float(b), 1.0)
    return node


def _colour(scene: Any, node: Any, limit_mm: float) -> None:
    colours, display = distanceColours(scene), node.GetDisplayNode()
    colours.GetLookupTable().SetRange(-limit_mm, limit_mm)
    display.SetAndObserveColorNodeID(colours.GetID())
    display.SetActiveScalar(DISTANCE_ARRAY, vtk.vtkAssignAttribute.POINT_DATA)
    display.SetScalarRangeFlag(display.UseManualScalarRange)
    display.SetScalarRange(-limit_mm, limit_mm)
    display.SetScalarVisibility(True)
    display.SetVisibility2D(False)
    legend = _legend(node)
    if legend is not None:
        legend.SetTitleText(LEGEND_TITLE)
        legend.SetLabelFormat("%.1f")
        legend.SetNumberOfLabels(5)
        legend.SetVisibility(True)


def _legend(node: Any) -> Any:
    """The model's colour legend, made when there is none; None where this Slicer has no legends."""
    slicer = importSlicer()
    logic: Any = getattr(slicer, "vtkSlicerColorLogic", None)
    kind: Any = getattr(slicer, "vtkMRMLColorLegendDisplayNode", None)
    if kind is None or not hasattr(logic, "AddDefaultColorLegendDisplayNode"):
        return None
    scene = node.GetScene()
    if not scene.IsNodeClassRegistered(kind.__name__):
        # The desktop's Colors module has done it; headless nobody has.
        scene.RegisterNodeClass(kind())
    return logic.GetColorLegendDisplayNode(node) or logic.AddDefaultColorLegendDisplayNode(node)


def _isosurface(mask: BoolArray, toRas: NDArray[np.float64]) -> Any:
    """The 0.5 isosurface in world RAS; padded, so that a mask at the border is closed."""
    box = bounding_box(mask)
    assert box is not None
    part = np.pad(mask[box], 1).astype(np.uint8)
    flying = vtk.vtkFlyingEdges3D()
    flying.SetInputData(imageFromArray(part))
    flying.SetValue(0, 0.5)
    flying.ComputeScalarsOff()
    flying.ComputeNormalsOff()
    matrix = toRas.copy()
    matrix[:, 3] = matrix @ np.array([*(axis.start - 1.0 for axis in reversed(box)), 1.0])
    transform = vtk.vtkTransform()
    transform.SetMatrix(matrixFromArray(matrix))
    placed = vtk.vtkTransformPolyDataFilter()
    placed.SetTransform(transform)
    placed.SetInputConnection(flying.GetOutputPort())
    placed.Update()
    return placed.GetOutput()


def _insideReference(
    points: NDArray[np.float64], reference: BoolArray, toRas: NDArray[np.float64]
) -> NDArray[np.bool_]:
    inverse = np.linalg.inv(toRas)
    index = (points @ inverse[:3, :3].T + inverse[:3, 3])[:, ::-1]
    box = bounding_box(reference)
    assert box is not None
    part = np.pad(reference[box], 1).astype(np.float32)
    local = index - np.array([axis.start - 1 for axis in box])
    share = ndimage.map_coordinates(part, local.T, order=1, mode="constant", cval=0.0)
    return np.asarray(share >= 0.5)


def _smoothed(surface: Any) -> Any:
    """Points on a smoother surface, with normals for its shading; their order is kept."""
    smooth = vtk.vtkWindowedSincPolyDataFilter()
    smooth.SetInputData(surface)
    smooth.SetPassBand(_PASS_BAND)
    smooth.SetNumberOfIterations(_ITERATIONS)
    smooth.BoundarySmoothingOff()
    smooth.NonManifoldSmoothingOn()
    smooth.NormalizeCoordinatesOn()
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(smooth.GetOutputPort())
    normals.SplittingOff()
    normals.Update()
    result = vtk.vtkPolyData()
    result.ShallowCopy(normals.GetOutput())
    return result
