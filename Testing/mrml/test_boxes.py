"""Boxes of volumes and of the editor's grid: the same voxels as the whole, at the same place, under every transform."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import vtk

from petctfusion.errors import BadInputError
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.boxes import OrientedBox, boxAround, imageInBox, labelsOnGrid, subGrid, valuesOnGrid
from PETCTFusionSegLib.mrml.editor_grid import EditorGrid
from PETCTFusionSegLib.mrml.headless import importSlicer
from PETCTFusionSegLib.mrml.segmentations import segmentImage
from PETCTFusionSegLib.mrml.transforms import matrixFromArray
from PETCTFusionSegLib.mrml.volumes import imageFromVolumeNode, volumeNodeFromImage

LPS = np.array([-1.0, -1.0, 1.0])


def transform(scene, matrix):
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    node.SetMatrixTransformToParent(matrixFromArray(matrix))
    return node


def rotated(angle=0.4, shift=(7.0, -3.0, 11.0)):
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = shift
    return matrix


def bent(scene):
    spline = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for x in (-80, 80):
        for y in (-80, 80):
            for z in (180, 320):
                source.InsertNextPoint(x, y, z)
                target.InsertNextPoint(x + 0.04 * y, y + 3.0, z + 0.03 * x)
    source.InsertNextPoint(0, 0, 250)
    target.InsertNextPoint(6, 2, 247)
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    spline.SetBasisToR()
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    node.SetAndObserveTransformToParent(spline)
    return node


def smooth(grid):
    """A field that is linear in the world, so that every interpolation is exact: 2 x - 3 y + 0.5 z, LPS mm."""
    index = np.indices(grid.shape).reshape(3, -1)[::-1].T.astype(float)
    return (grid.points(index) @ [2.0, -3.0, 0.5]).reshape(grid.shape).astype(np.float64)


def test_sub_grid_is_a_part_of_the_grid(ctImage):
    grid = Geometry.of(ctImage)
    part = subGrid(grid, (slice(2, 9), slice(5, 20), slice(3, 17)))
    assert part.shape == (7, 15, 14)
    assert np.allclose(
        part.points(np.array([[0.0, 0, 0], [13, 14, 6]])), grid.points(np.array([[3.0, 5, 2], [16, 19, 8]]))
    )


def test_box_around_holds_the_points_and_stays_inside(ctImage):
    grid = Geometry.of(ctImage)
    centre = grid.points(np.array([[9.0, 11.0, 7.0]]))
    box = boxAround(grid, centre, 4.0)
    assert box is not None
    for axis, middle, spacing in zip(box, (7, 11, 9), grid.spacing_zyx, strict=True):
        assert axis.start <= middle - 4 / spacing + 1e-6
        assert axis.stop - 1 >= middle + 4 / spacing - 1e-6
    assert boxAround(grid, centre, 1e4) == (slice(0, 14), slice(0, 22), slice(0, 18))
    assert boxAround(grid, grid.points(np.array([[-50.0, 0, 0]])), 4.0) is None


@pytest.mark.parametrize("moved", [False, True])
def test_image_in_box_is_a_cut_of_the_whole_image(scene, ct, moved):
    if moved:
        ct.SetAndObserveTransformNodeID(transform(scene, rotated()).GetID())
    whole = imageFromVolumeNode(ct)
    grid = Geometry.of(whole)
    points = grid.points(np.array([[4.0, 6.0, 3.0], [10.0, 15.0, 9.0]]))
    part = imageInBox(ct, points)
    cut = sitk.RegionOfInterest(whole, part.GetSize(), whole.TransformPhysicalPointToIndex(part.GetOrigin()))
    assert Geometry.of(part).same_grid(Geometry.of(cut))
    assert np.array_equal(sitk.GetArrayFromImage(part), sitk.GetArrayFromImage(cut))
    assert part.GetNumberOfPixels() < whole.GetNumberOfPixels() / 2


def test_image_in_box_follows_a_transform_that_bends(scene, ct):
    ct.SetAndObserveTransformNodeID(bent(scene).GetID())
    whole = imageFromVolumeNode(ct)
    grid = Geometry.of(whole)
    middle = grid.points((np.array([grid.size], dtype=float) - 1) / 2)
    part = imageInBox(ct, middle, 8.0)
    first = whole.TransformPhysicalPointToIndex(part.GetOrigin())
    cut = sitk.RegionOfInterest(whole, part.GetSize(), first)
    assert Geometry.of(part).same_grid(Geometry.of(cut))
    assert np.abs(sitk.GetArrayFromImage(part) - sitk.GetArrayFromImage(cut)).max() <= 1


def test_image_in_box_elsewhere_is_refused(ct):
    with pytest.raises(BadInputError, match="does not reach"):
        imageInBox(ct, np.array([[5000.0, 0.0, 0.0]]), 10.0)


@pytest.mark.parametrize("moved", [False, True])
def test_values_on_another_grid_are_interpolated_in_the_world(scene, moved):
    """A PET on a grid of its own, also moved by a transform, gives at every voxel the value of that place."""
    own = Geometry((30, 30, 20), (4.0, 4.0, 5.0), (-60.0, -60.0, -50.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    pet = volumeNodeFromImage(scene, own.image(smooth(own)), "PET", "PET")
    target = Geometry(
        (9, 8, 7), (1.0, 1.2, 1.5), (-5.0, 4.0, 3.0), tuple(sitk.Euler3DTransform((0, 0, 0), 0.2, 0.1, 0.3).GetMatrix())
    )
    expected = smooth(target)
    if moved:
        matrix = rotated(0.3, (4.0, -6.0, 2.0))
        pet.SetAndObserveTransformNodeID(transform(scene, matrix).GetID())
        index = np.indices(target.shape).reshape(3, -1)[::-1].T.astype(float)
        ras = np.c_[target.points(index) * LPS, np.ones(len(index))] @ np.linalg.inv(matrix).T
        expected = ((ras[:, :3] * LPS) @ [2.0, -3.0, 0.5]).reshape(target.shape)
    assert np.allclose(valuesOnGrid(pet, target), expected, atol=1e-3)


def test_values_outside_the_volume_are_the_background(scene, ct):
    far = Geometry((4, 4, 4), (1.0, 1.0, 1.0), (900.0, 900.0, 900.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    assert (valuesOnGrid(ct, far, -7.0) == -7).all()


def test_labels_are_copied_where_voxels_coincide_and_resampled_elsewhere(ctImage, labelArray):
    grid = Geometry.of(ctImage)
    labels = grid.image(labelArray)
    box = (slice(2, 10), slice(4, 18), slice(1, 12))
    assert np.array_equal(labelsOnGrid(labels, subGrid(grid, box)), labelArray[box])
    beyond = labelsOnGrid(labels, subGrid(grid, (slice(-3, 5), slice(4, 18), slice(1, 12))))
    assert np.array_equal(beyond[3:], labelArray[:5, 4:18, 1:12])
    assert not beyond[:3].any()
    finer = Geometry((36, 44, 28), (0.75, 1.0, 1.5), grid.origin, grid.direction)
    assert (labelsOnGrid(labels, finer) == 1).sum() == pytest.approx(8 * (labelArray == 1).sum(), rel=0.05)


def roi(scene, centre, size, angle=0.0):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    node.SetSize(*size)
    node.SetCenterWorld(list(centre))
    if angle:
        matrix = rotated(angle, centre)
        node.SetAndObserveTransformNodeID(None)
        object_to_node = matrixFromArray(matrix)
        node.SetAndObserveObjectToNodeMatrix(object_to_node)
    return node


@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_box_of_an_roi_holds_what_the_roi_holds(scene, ctImage, angle):
    """Compared with Slicer's own answer for each voxel."""
    grid = Geometry.of(ctImage)
    centre = grid.points(np.array([[9.0, 11.0, 7.0]]))[0] * LPS
    node = roi(scene, centre, (14.0, 22.0, 18.0), angle)
    inside = OrientedBox.ofRoi(node).holds(grid)
    index = np.indices(grid.shape).reshape(3, -1)[::-1].T.astype(float)
    asked = np.array([node.IsPointInROIWorld(list(point)) for point in grid.points(index) * LPS], dtype=bool)
    assert np.array_equal(inside.ravel(), asked)
    assert inside.any()
    corners = OrientedBox.ofRoi(node).corners() * LPS
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    assert np.allclose(corners.min(axis=0), bounds[0::2], atol=1e-4)
    assert np.allclose(corners.max(axis=0), bounds[1::2], atol=1e-4)


def test_box_that_was_never_drawn_is_refused(scene):
    with pytest.raises(BadInputError, match="empty"):
        OrientedBox.ofRoi(scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box"))


@pytest.fixture
def editor(scene, ct):
    """A segmentation on the CT in the real editor logic."""
    slicer = importSlicer()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    node.GetSegmentation().AddEmptySegment("one", "One")
    parameters = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    parameters.SetAndObserveSegmentationNode(node)
    parameters.SetAndObserveSourceVolumeNode(ct)
    logic = slicer.vtkSlicerSegmentEditorLogic()
    logic.SetMRMLScene(scene)
    logic.SetSegmentEditorNode(parameters)
    return logic, node


@pytest.mark.parametrize("moved", [False, True])
def test_labelmap_on_a_box_of_the_editors_grid_edits_the_voxels_it_means(scene, ct, editor, moved):
    logic, node = editor
    if moved:
        parent = transform(scene, rotated()).GetID()
        ct.SetAndObserveTransformNodeID(parent)
        node.SetAndObserveTransformNodeID(parent)
    logic.UpdateReferenceGeometryImage()
    grid = EditorGrid.of(logic.GetReferenceGeometryImage(), node)
    whole = Geometry.of(imageFromVolumeNode(ct))
    assert grid.world.same_grid(whole)
    wanted = np.zeros(whole.shape, dtype=bool)
    wanted[5:9, 8:12, 3:13] = np.random.default_rng(5).random((4, 4, 10)) < 0.6
    box = (slice(4, 10), slice(6, 14), slice(2, 15))
    logic.ModifySegmentByLabelmap(node, "one", grid.labelmap(wanted[box], box), logic.ModificationModeAdd, True, False)
    assert np.array_equal(sitk.GetArrayFromImage(segmentImage(node, "one", ct)) != 0, wanted)
    part = grid.geometry(box)
    assert np.array_equal(sitk.GetArrayFromImage(segmentImage(node, "one", part.empty())) != 0, wanted[box])


def test_a_segmentation_that_is_bent_or_has_no_grid_is_refused(scene, editor):
    logic, node = editor
    with pytest.raises(BadInputError, match="no grid"):
        EditorGrid.of(None, node)
    logic.UpdateReferenceGeometryImage()
    node.SetAndObserveTransformNodeID(bent(scene).GetID())
    with pytest.raises(BadInputError, match="bends"):
        EditorGrid.of(logic.GetReferenceGeometryImage(), node)
