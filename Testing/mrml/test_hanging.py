"""The hanging by its nodes and by its pixels; presets; places; what belongs to others stays as it is."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk

from petctfusion.errors import BadInputError
from petctfusion.models.card import LabelSpec
from PETCTFusionSegLib.mrml import hanging, mip, views, window_presets
from PETCTFusionSegLib.mrml.agreement_overlay import COLOURS, REFERENCE_ALONE, SEGMENTATION_ALONE, AgreementOverlay
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, referenceMask
from PETCTFusionSegLib.mrml.terminology import NEOPLASM
from PETCTFusionSegLib.mrml.transforms import matrixFromArray
from PETCTFusionSegLib.selftest.study import BALL_CENTRE_MM, BALL_RADIUS_MM, addStudy

BALL_RAS = BALL_CENTRE_MM * (-1, -1, 1)
SIZE = (240, 200)


class Projection(views.SurfaceView):
    managers = (*views.SurfaceView.managers, "vtkMRMLVolumeRenderingDisplayableManager")


@pytest.fixture
def layout(scene):
    """Slicer's own layout logic, which puts the views of a layout into the scene."""
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(scene)
    logic.GetLayoutNode().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    return logic


@pytest.fixture
def study(scene):
    return addStudy(scene)


def window(node):
    return node.GetDisplayNode().GetWindowLevelMin(), node.GetDisplayNode().GetWindowLevelMax()


def test_the_layout_is_made_of_its_four_views_and_another_one_takes_it_back(scene, layout, study):
    node = layout.GetLayoutNode()
    hanging.hangStudy(scene, study.ct, study.pet)
    shown = layout.GetViewNodes()
    names = {shown.GetItemAsObject(i).GetLayoutName() for i in range(shown.GetNumberOfItems())}
    assert node.GetViewArrangement() == hanging.LAYOUT
    assert names == {"Red", "Green", "Yellow", mip.MIP_VIEW}
    node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    assert scene.GetSingletonNode("1", "vtkMRMLViewNode").GetRaycastTechnique() == slicer.vtkMRMLViewNode.Composite
    assert hanging.registerLayout(scene) is node
    assert node.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def test_the_projection_is_its_own_and_that_of_the_user_stays(scene, layout, study):
    logic = slicer.modules.volumerendering.logic()
    own = logic.CreateDefaultVolumeRenderingNodes(study.pet)
    own.SetVisibility(True)
    views_before = tuple(own.GetViewNodeIDs())
    hanging.hangStudy(scene, study.ct, study.pet)
    display = mip.displayOf(study.pet)
    assert display is not own
    assert own.GetVisibility()
    assert tuple(own.GetViewNodeIDs()) == views_before
    assert display.GetVolumePropertyNode() is not own.GetVolumePropertyNode()
    hanging.hangStudy(scene, study.ct, study.pet)
    assert mip.displayOf(study.pet) is display
    assert scene.GetNumberOfNodesByClass("vtkMRMLVolumeRenderingDisplayNode") == 2


def test_only_the_chosen_pet_is_projected(scene, layout, study):
    other = addStudy(scene)
    hanging.hangStudy(scene, study.ct, study.pet)
    hanging.hangStudy(scene, other.ct, other.pet)
    assert not mip.displayOf(study.pet).GetVisibility()
    assert mip.displayOf(other.pet).GetVisibility()


def test_a_view_that_a_module_took_out_is_left_alone(scene, layout, study):
    own = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    own.SetDoPropagateVolumeSelection(False)
    other = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    hanging.hangStudy(scene, study.ct, study.pet)
    assert own.GetBackgroundVolumeID() is None
    assert other.GetBackgroundVolumeID() == study.ct.GetID()
    assert hanging.petOpacity(scene, study.pet) == hanging.PET_OPACITY
    hanging.setPetOpacity(scene, study.pet, 7.0)
    assert hanging.petOpacity(scene, study.pet) == 1.0
    assert hanging.petOpacity(scene, study.ct) is None


def test_without_volume_rendering_a_sentence_says_so(scene, layout, study, monkeypatch):
    monkeypatch.delattr(slicer.modules, "volumerendering")
    assert "Volume Rendering" in hanging.hangStudy(scene, study.ct, study.pet)
    assert mip.displayOf(study.pet) is None


def test_a_pet_in_other_units_keeps_its_window_and_says_so(scene, layout):
    study = addStudy(scene, unitsKnown=False)
    study.pet.GetDisplayNode().AutoWindowLevelOff()
    study.pet.GetDisplayNode().SetWindowLevelMinMax(3.0, 4000.0)
    assert "unknown units" in hanging.hangStudy(scene, study.ct, study.pet)
    assert window(study.pet) == (3.0, 4000.0)
    study.pet.SetAttribute("DICOM.Units", "BQML")
    with pytest.raises(BadInputError, match="BQML"):
        window_presets.applyPreset(study.pet, window_presets.SUV_5)
    assert window(study.ct) == (-160.0, 240.0)


def test_colours_of_a_person_stay_unless_they_would_hide_the_ct(scene, layout, study):
    display = study.pet.GetDisplayNode()
    for before, after in (
        ("Grey", "PET-Heat"),
        ("InvertedGrey", "PET-Heat"),
        ("PET-MaximumIntensityProjection", "PET-Heat"),
        ("PET-Rainbow2", "PET-Rainbow2"),
    ):
        display.SetAndObserveColorNodeID(scene.GetFirstNodeByName(before).GetID())
        hanging.hangStudy(scene, study.ct, study.pet)
        assert display.GetColorNode().GetName() == after


def test_presets_are_recognised_and_nothing_is_refused_with_a_sentence(scene, study):
    for preset in window_presets.PRESETS:
        node = study.ct if preset.modality == "CT" else study.pet
        window_presets.applyPreset(node, preset)
        assert window_presets.presetOf(node, preset.modality) == preset
        assert preset.text()
    study.ct.GetDisplayNode().SetWindowLevelMinMax(-160.0, 241.0)
    assert window_presets.presetOf(study.ct, "CT") is None
    assert window_presets.presetOf(None, "CT") is None
    with pytest.raises(BadInputError, match="no CT"):
        window_presets.applyPreset(None, window_presets.LUNG)
    assert (window_presets.LUNG.level, window_presets.LUNG.width) == (-600.0, 1500.0)


def test_the_hottest_place_through_a_transform_and_the_lesion(scene, study):
    assert np.linalg.norm(np.array(hanging.hottestPlace(study.pet)) - BALL_RAS) < BALL_RADIUS_MM
    before = np.array(hanging.hottestPlace(study.pet))
    move = np.array([[0, -1, 0, 5.0], [1, 0, 0, -7.0], [0, 0, 1, 11.0], [0, 0, 0, 1]])
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrixFromArray(move))
    study.pet.SetAndObserveTransformNodeID(transform.GetID())
    assert np.allclose(hanging.hottestPlace(study.pet), (move @ [*before, 1])[:3])
    assert np.linalg.norm(np.array(hanging.lesionPlace(study.reference)) - BALL_RAS) < 5
    study.reference.GetSegmentation().RemoveAllSegments()
    study.reference.GetSegmentation().AddEmptySegment("empty", "empty")
    assert hanging.lesionPlace(study.reference) is None
    assert hanging.lesionPlace(None) is None
    assert hanging.hottestPlace(None) is None
    assert hanging.hottestPlace(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")) is None


class Drawn:
    """The four views of the layout, rendered."""

    def __init__(self, booted):
        self.slices = {name: views.SliceView(booted, name, SIZE) for name in ("Red", "Green", "Yellow")}
        self.projection = Projection(booted, mip.MIP_VIEW, SIZE)
        self.logics = vtk.vtkCollection()
        for view in self.slices.values():
            view.logic.ResizeSliceNode(*SIZE)
            self.logics.AddItem(view.logic)
        booted.applicationLogic.SetSliceLogics(self.logics)

    def close(self):
        for view in (*self.slices.values(), self.projection):
            view.close()


@pytest.fixture
def drawn(booted):
    if not views.probeGraphics().available:
        pytest.skip("no OpenGL library")
    made = Drawn(booted)
    yield made
    made.close()


def test_pixels_of_the_slices_and_of_the_projection(scene, study, drawn):
    hanging.hangStudy(scene, study.ct, study.pet)
    study.reference.GetDisplayNode().SetVisibility(False)
    for name, view in drawn.slices.items():
        picture = view.pixels().astype(int)
        red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
        hot = (red - blue > 60) & (green > 100)
        body = np.abs(red - blue) < 60
        assert 50 < hot.sum() < 0.2 * hot.size, name
        assert (body & (red > 40)).sum() > 0.1 * body.size, name
    picture = drawn.projection.pixels().astype(int)
    assert np.ptp(picture, axis=-1).max() <= 2, "the projection is grey"
    assert picture[3, 3].min() > 245, "its background is white"
    rows, columns = np.nonzero(picture[..., 0] < 40)
    scale = SIZE[1] / (2 * _cameraScale(scene))
    assert abs((rows.max() - rows.min()) / scale - 2 * BALL_RADIUS_MM) < 12, "the ball has its size"
    # Seen from the front: the patient's left, where the ball is, lies on the right, and its head is up.
    assert abs((columns.mean() - SIZE[0] / 2) / scale - (-BALL_RAS[0])) < 4
    assert abs((SIZE[1] / 2 - rows.mean()) / scale - BALL_RAS[2]) < 4


def test_slices_lie_in_the_planes_of_an_oblique_ct(scene, ct, drawn):
    hanging.hangStudy(scene, ct, None)
    matrix = vtk.vtkMatrix4x4()
    ct.GetIJKToRASDirectionMatrix(matrix)
    directions = np.array([[matrix.GetElement(i, j) for j in range(3)] for i in range(3)])
    for view in drawn.slices.values():
        normal = [view.node.GetSliceToRAS().GetElement(i, 2) for i in range(3)]
        assert np.abs(directions.T @ normal).max() > 0.9999
    centre = np.zeros(6)
    ct.GetRASBounds(centre)
    size = centre[1::2] - centre[0::2]
    assert max(drawn.slices["Red"].node.GetFieldOfView()[:2]) < 3 * size.max()


def _cameraScale(scene):
    cameras = [
        scene.GetNthNodeByClass(i, "vtkMRMLCameraNode")
        for i in range(scene.GetNumberOfNodesByClass("vtkMRMLCameraNode"))
    ]
    return next(camera for camera in cameras if camera.GetLayoutName() == mip.MIP_VIEW).GetParallelScale()


def test_the_overlay_has_its_colours_in_the_slice(scene, study, drawn):
    reference = study.reference
    moved = sitk.Resample(
        referenceMask(reference, study.ct), sitk.TranslationTransform(3, (14.0, 0.0, 0.0)), sitk.sitkNearestNeighbor
    )
    labels = [LabelSpec(value=1, name="Tumor", terminology=NEOPLASM, color=(200, 0, 0))]
    contour = createSegmentation(scene, moved, labels, study.ct, "Tumor", {})
    hanging.hangStudy(scene, study.ct, study.pet)
    hanging.setPetOpacity(scene, study.pet, 0.0)
    for node in (contour, reference):
        node.GetDisplayNode().SetVisibility(False)
    overlay = AgreementOverlay(scene)
    overlay.show(contour, reference)
    while not overlay.update():
        pass
    picture = drawn.slices["Red"].pixels().astype(int)
    overlay.hide()
    found = {}
    for identifier, colour in COLOURS.items():
        # 55 % of the colour over the grey of soft tissue.
        blend = 0.55 * np.array(colour) + 0.45 * 128
        found[identifier] = int((np.abs(picture - blend).max(axis=-1) < 12).sum())
    assert min(found.values()) > 30, found
    assert abs(found[SEGMENTATION_ALONE] - found[REFERENCE_ALONE]) < 0.3 * found[REFERENCE_ALONE], found
