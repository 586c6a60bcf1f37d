"""Volume nodes in and out: exact where that is possible, in the right place where it is not."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk

from petctfusion.errors import BadInputError
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.transforms import matrixFromArray
from PETCTFusionSegLib.mrml.volumes import (
    DECLARED_UNITS_ATTRIBUTE,
    geometryOfVolumeNode,
    imageFromVolumeNode,
    petUnitsOfNode,
    volumeNodeFromImage,
)

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
FLIPPED = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = tuple(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5).GetMatrix())


def addTransform(scene, matrix, parent=None):
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(matrixFromArray(np.asarray(matrix)))
    if parent is not None:
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def rigid(angle, shift):
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = shift
    return matrix


def ballImage(direction=AXIAL):
    """A smooth ball of 12 mm, so that its centre of gravity tells where an image lies."""
    grid = Geometry((40, 36, 30), (1.5, 1.5, 2.0), (-30.0, -27.0, -30.0), direction)
    z, y, x = np.indices(grid.shape)
    points = grid.points(np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(float))
    centre = grid.points(np.array([[21.0, 16.0, 14.0]]))[0]
    values = np.clip(14.0 - np.linalg.norm(points - centre, axis=1), 0, 4) * 25
    return grid.image(values.reshape(grid.shape).astype(np.float32)), centre


def centreOfGravity(image):
    values = sitk.GetArrayFromImage(image).astype(float)
    index = np.array([np.sum(axis * values) / values.sum() for axis in np.indices(values.shape)])[::-1]
    return Geometry.of(image).points(index[None])[0]


def rasOf(lps):
    return np.array([-lps[0], -lps[1], lps[2]])


@pytest.mark.parametrize("direction", [AXIAL, FLIPPED, OBLIQUE], ids=["axial", "flipped", "oblique"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_a_volume_goes_in_and_out_without_a_changed_voxel(scene, direction, dtype):
    values = np.random.default_rng(0).integers(0, 200, (5, 7, 6)).astype(dtype)
    image = Geometry((6, 7, 5), (0.9765625, 2.0, 3.27), (-12.5, 40.25, -700.125), direction).image(values)
    back = imageFromVolumeNode(volumeNodeFromImage(scene, image, "V", "CT"))
    assert Geometry.of(back).same_grid(Geometry.of(image), 1e-9)
    assert back.GetPixelID() == image.GetPixelID()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), values)


def test_the_node_places_a_voxel_where_simpleitk_does(scene, ctImage):
    node = volumeNodeFromImage(scene, ctImage, "CT", "CT")
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    ras = matrix.MultiplyPoint((5, 7, 3, 1))[:3]
    np.testing.assert_allclose(ras, rasOf(ctImage.TransformIndexToPhysicalPoint((5, 7, 3))), atol=1e-9)


def test_nested_rigid_and_scaling_transforms_change_geometry_but_no_voxel(scene, ct, ctImage):
    outer = addTransform(scene, rigid(0.4, (10, -20, 5)))
    inner = addTransform(scene, np.diag([2.0, 2.0, 2.0, 1.0]), outer)
    ct.SetAndObserveTransformNodeID(inner.GetID())
    moved = imageFromVolumeNode(ct)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(moved), sitk.GetArrayFromImage(ctImage))
    np.testing.assert_allclose(moved.GetSpacing(), np.multiply(ctImage.GetSpacing(), 2))
    local = np.append(rasOf(ctImage.TransformIndexToPhysicalPoint((5, 7, 3))), 1)
    world = rigid(0.4, (10, -20, 5)) @ np.diag([2.0, 2.0, 2.0, 1.0]) @ local
    np.testing.assert_allclose(rasOf(moved.TransformIndexToPhysicalPoint((5, 7, 3))), world[:3], atol=1e-9)


@pytest.mark.parametrize("direction", [AXIAL, OBLIQUE], ids=["axial", "oblique"])
def test_a_shear_is_resampled_to_the_right_place(scene, direction):
    image, centre = ballImage(direction)
    node = volumeNodeFromImage(scene, image, "V", "PET")
    shear = np.eye(4)
    shear[0, 2], shear[:3, 3] = 0.25, (4, 5, 6)
    node.SetAndObserveTransformNodeID(addTransform(scene, shear).GetID())
    world = imageFromVolumeNode(node)
    expected = (shear @ np.append(rasOf(centre), 1))[:3]
    np.testing.assert_allclose(rasOf(centreOfGravity(world)), expected, atol=0.1)
    assert sitk.GetArrayViewFromImage(world).sum() == pytest.approx(
        sitk.GetArrayViewFromImage(image).sum() * np.prod(image.GetSpacing()) / np.prod(world.GetSpacing()), rel=0.01
    )
    assert Geometry.of(world).same_grid(geometryOfVolumeNode(node))


def test_a_bending_transform_is_resampled_to_the_right_place(scene):
    image, centre = ballImage()
    node = volumeNodeFromImage(scene, image, "V", "PET")
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    corners = np.array([[x, y, z] for x in (-60, 60) for y in (-60, 60) for z in (-60, 60)], dtype=float)
    for point in corners:
        source.InsertNextPoint(*point)
        target.InsertNextPoint(*(point + np.array([0, 0, 6 if point[0] > 0 else -6])))
    bent = rasOf(centre) + np.array([7, -3, 2])
    source.InsertNextPoint(*rasOf(centre))
    target.InsertNextPoint(*bent)
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    transform.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(transform.GetID())
    world = imageFromVolumeNode(node)
    values = sitk.GetArrayViewFromImage(world)
    assert max(values[0].max(), values[-1].max(), values[:, 0].max(), values[:, :, -1].max()) == 0
    edge = np.argwhere((values > 10) & (values < 90))[::7]
    assert len(edge) > 100
    worldRas = Geometry.of(world).points(edge[:, ::-1].astype(float)) * (-1, -1, 1)
    local = np.array([spline.GetInverse().TransformPoint(point) for point in worldRas])
    expected = np.clip(14.0 - np.linalg.norm(local - rasOf(centre), axis=1), 0, 4) * 25
    assert np.abs(values[tuple(edge.T)] - expected).mean() < 3


def test_the_node_itself_stays_as_it_is_when_it_is_resampled(scene):
    image, _ = ballImage()
    node = volumeNodeFromImage(scene, image, "V", "PET")
    transform = addTransform(scene, [[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    node.SetAndObserveTransformNodeID(transform.GetID())
    nodes = scene.GetNumberOfNodes()
    imageFromVolumeNode(node)
    assert node.GetTransformNodeID() == transform.GetID()
    assert scene.GetNumberOfNodes() == nodes
    node.SetAndObserveTransformNodeID(None)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(imageFromVolumeNode(node)), sitk.GetArrayFromImage(image))


def test_a_single_slice_is_refused_in_words(scene):
    flat = Geometry((6, 7, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), AXIAL).image(np.ones((1, 7, 6), np.int16))
    with pytest.raises(BadInputError, match=r"not three-dimensional: its size is 6 x 7 x 1"):
        imageFromVolumeNode(volumeNodeFromImage(scene, flat, "Slice", "CT"))


def test_colour_images_empty_nodes_and_no_node_are_refused(scene):
    colour = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Photo")
    pixels = vtk.vtkImageData()
    pixels.SetDimensions(4, 4, 4)
    pixels.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    colour.SetAndObserveImageData(pixels)
    with pytest.raises(BadInputError, match="3 values per voxel"):
        imageFromVolumeNode(colour)
    with pytest.raises(BadInputError, match="holds no voxels"):
        imageFromVolumeNode(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Hollow"))
    with pytest.raises(BadInputError, match="not nothing"):
        imageFromVolumeNode(None)


def test_a_pet_made_here_says_that_it_is_suv_and_is_shown_in_heat_colours(scene, ctImage):
    pet = volumeNodeFromImage(scene, ctImage, "PET", "PET")
    assert petUnitsOfNode(pet).units == "SUVbw"
    assert pet.GetDisplayNode().GetColorNode().GetName() == "PET-Heat"
    assert (pet.GetDisplayNode().GetWindowLevelMin(), pet.GetDisplayNode().GetWindowLevelMax()) == (0, 8)


def test_units_of_a_pet_node_come_from_evidence_or_are_unknown(scene, ctImage):
    node = volumeNodeFromImage(scene, ctImage, "PET", "CT")
    assert petUnitsOfNode(node).units is None
    node.SetAttribute("DICOM.Units", "BQML ")
    assert petUnitsOfNode(node).units == "BQML"
    activity = slicer.vtkCodedEntry()
    activity.SetValueSchemeMeaning("Bq/ml", "UCUM", "Becquerels/milliliter")
    node.SetVoxelValueUnits(activity)
    assert petUnitsOfNode(node).evidence == "voxel value units Bq/ml"
    node.SetAttribute(DECLARED_UNITS_ATTRIBUTE, "SUVbw")
    assert petUnitsOfNode(node) == type(petUnitsOfNode(node))("SUVbw", "declared by the user")


def test_a_second_volume_of_the_same_name_gets_a_name_of_its_own(scene, ctImage):
    names = {volumeNodeFromImage(scene, ctImage, "CT", "CT").GetName() for _ in range(3)}
    assert len(names) == 3
