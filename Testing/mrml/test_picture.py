"""Pictures: looked at by their pixels, with OpenGL through Slicer's views and without it."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import SimpleITK as sitk
from matplotlib import image as pictures

from petctfusion.errors import BadInputError
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.writing import write_volume
from PETCTFusionSegLib.mrml import picture, views
from PETCTFusionSegLib.mrml.picture import PictureCaption, renderPicture
from PETCTFusionSegLib.mrml.picture_command import command
from PETCTFusionSegLib.mrml.picture_layout import (
    PANEL_SIZE,
    REFERENCE_RGB,
    RESULT_RGB,
    PictureStudy,
    planesThroughLesion,
)
from PETCTFusionSegLib.mrml.picture_plain import drawPlainPanels
from PETCTFusionSegLib.mrml.views import BlackPictureError, GraphicsProbe, SliceView, probeGraphics

NO_GRAPHICS = GraphicsProbe(False, f"On Debian install: {views.DEBIAN_PACKAGES}.")
AXES = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture(scope="module")
def graphics():
    found = probeGraphics()
    if not found.available:
        pytest.skip(found.note)
    return found


@pytest.fixture(scope="module")
def study():
    """A cylinder of muscle with a bone and a hot ball; CT and PET on grids of their own; the result is shifted."""
    ctGrid = Geometry((90, 80, 30), (2.5, 2.5, 4.0), (-110.0, -100.0, -60.0), AXES)
    petGrid = Geometry((50, 46, 30), (4.5, 4.5, 4.0), (-110.0, -100.0, -60.0), AXES)

    def coordinates(grid):
        z, y, x = np.indices(grid.shape)
        return np.moveaxis(grid.points(np.stack([x, y, z], -1).reshape(-1, 3).astype(float)), -1, 0).reshape(
            3, *grid.shape
        )

    def ball(grid, centre, radius):
        x, y, z = coordinates(grid)
        return (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 < radius**2

    x, y, _ = coordinates(ctGrid)
    hounsfield = np.where(x**2 + y**2 < 85**2, 45, -1000)
    hounsfield[(x + 20) ** 2 + (y - 10) ** 2 < 15**2] = 700
    x, y, _ = coordinates(petGrid)
    suv = np.where(x**2 + y**2 < 85**2, 0.6, 0.0) + 9 * ball(petGrid, (35, -20, 0), 26)
    reference = ball(ctGrid, (35, -20, 0), 26)
    prediction = ball(ctGrid, (28, -26, 4), 25)
    return PictureStudy(
        ct=ctGrid.image(hounsfield.astype(np.int16)),
        pet=sitk.SmoothingRecursiveGaussian(petGrid.image(suv.astype(np.float32)), 3.0),
        prediction=ctGrid.image(prediction.astype(np.uint8)),
        reference=ctGrid.image(reference.astype(np.uint8)),
    )


@pytest.fixture(scope="module")
def drawn(study, graphics, tmp_path_factory):
    """The picture as Slicer's views draw it."""
    path = tmp_path_factory.mktemp("picture") / "drawn.png"
    return renderPicture(study, path, PictureCaption(dice=0.83, hd95Mm=9.1), graphics)


def read(path):
    return np.round(pictures.imread(path)[..., :3] * 255).astype(int)


def panel(pixels, number):
    """One of the four panels: axial, coronal, sagittal, last."""
    width, height = PANEL_SIZE
    left = picture._GAP + (number % 2) * (width + picture._GAP)
    top = picture._HEADER + (number // 2) * (height + picture._GAP)
    return pixels[top : top + height, left : left + width]


def near(pixels, rgb, tolerance=12):
    return int(np.sum(np.abs(np.asarray(pixels, dtype=int) - rgb).max(axis=-1) <= tolerance))


def warm(pixels):
    """Pixels of PET-Heat over soft tissue: yellow to red, which neither CT nor the contours are."""
    red, green, blue = np.moveaxis(np.asarray(pixels, dtype=int), -1, 0)
    return int(np.sum((red - blue > 60) & (red - green > -20) & (np.abs(pixels - np.array(RESULT_RGB)).max(-1) > 40)))


def test_slicers_views_show_ct_pet_both_contours_and_the_surface(drawn):
    assert drawn.renderedBySlicer
    pixels = read(drawn.path)
    for number in range(3):
        shown = panel(pixels, number)
        assert warm(shown) > 3000
        assert near(shown, RESULT_RGB) > 300
        assert near(shown, REFERENCE_RGB) > 300
        grey = np.ptp(shown, axis=-1) < 6
        assert np.sum(grey & (shown[..., 0] > 90)) > 5000
    surface = panel(pixels, 3)
    assert np.sum(surface[..., 0] - surface[..., 2] > 80) > 2000


def test_the_flat_picture_shows_the_same_slices_at_the_same_place(study, drawn, tmp_path):
    rendered = read(drawn.path)
    flat = read(renderPicture(study, tmp_path / "flat.png", None, NO_GRAPHICS).path)
    for number in range(3):
        difference = np.abs(panel(rendered, number) - panel(flat, number)).max(axis=-1)
        assert np.mean(difference > 40) < 0.04


def test_without_opengl_a_flat_picture_is_drawn_and_the_debian_packages_are_named(study, tmp_path, monkeypatch):
    monkeypatch.setattr(picture, "probeGraphics", lambda: NO_GRAPHICS)
    report = renderPicture(study, tmp_path / "flat.png")
    assert not report.renderedBySlicer
    assert "libegl1 libegl-mesa0 libgl1-mesa-dri" in report.note
    shown = panel(read(report.path), 0)
    assert warm(shown) > 3000
    assert near(shown, RESULT_RGB) > 300
    assert near(shown, REFERENCE_RGB) > 300


def test_the_probe_finds_no_graphics_where_there_is_no_context(monkeypatch):
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_FILENAMES", "/nonexistent.json")
    monkeypatch.setenv("EGL_PLATFORM", "surfaceless")
    found = probeGraphics()
    assert not found.available
    assert views.DEBIAN_PACKAGES in found.note


def test_a_black_view_is_an_error(booted, graphics):
    view = SliceView(booted, "Axial", (64, 48))
    try:
        with pytest.raises(BlackPictureError, match="black"):
            view.pixels()
    finally:
        view.close()


def test_empty_contours_make_a_picture_of_the_hottest_place_and_leave_the_callers_scene(
    booted, study, graphics, tmp_path
):
    import slicer

    nodes = booted.scene.GetNumberOfNodes()
    empty = study.prediction * 0
    bare = PictureStudy(study.ct, study.pet, empty, None)
    report = renderPicture(bare, tmp_path / "empty.png", None, graphics)
    assert warm(panel(read(report.path), 0)) > 3000
    centre = planesThroughLesion(bare)[0].centre
    assert abs(centre[2]) < 30
    assert slicer.mrmlScene is booted.scene
    assert booted.scene.GetNumberOfNodes() == nodes


def test_the_planes_go_through_the_lesion_and_hold_it(study):
    axial, coronal, sagittal = planesThroughLesion(study)
    assert axial.centre[2] == pytest.approx(0, abs=4)
    assert coronal.centre[1] == pytest.approx(-20, abs=3)
    assert sagittal.centre[0] == pytest.approx(35, abs=3)
    for plane in (axial, coronal, sagittal):
        assert min(plane.field) > 52


def test_a_pet_without_uptake_is_refused(study, tmp_path):
    cold = PictureStudy(study.ct, study.pet * 0, study.prediction, None)
    with pytest.raises(BadInputError, match="no uptake above zero"):
        renderPicture(cold, tmp_path / "cold.png", None, NO_GRAPHICS)
    assert list(tmp_path.iterdir()) == []


def test_oblique_volumes_are_drawn_in_patient_axes(study):
    """The same study stored along turned axes gives the same flat slice."""
    turn = sitk.Euler3DTransform((0, 0, 0), 0.0, 0.0, 0.4).GetMatrix()
    grid = Geometry((130, 130, 40), (2.0, 2.0, 3.5), (-30.0, -180.0, -68.0), tuple(turn))
    turned = PictureStudy(
        sitk.Resample(study.ct, grid.empty(), sitk.Transform(), sitk.sitkLinear, -1000.0),
        study.pet,
        study.prediction,
        study.reference,
    )
    planes = planesThroughLesion(study)
    (straight, *_), _ = drawPlainPanels(study, planes)
    (oblique, *_), _ = drawPlainPanels(turned, planes)
    assert np.mean(np.abs(straight.astype(int) - oblique).max(axis=-1) > 40) < 0.05


def test_the_command_writes_picture_and_segmentation(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(picture, "probeGraphics", lambda: NO_GRAPHICS)
    names = {"ct": study.ct, "pet": study.pet, "segmentation": study.prediction, "reference": study.reference}
    arguments = []
    for name, image in names.items():
        write_volume(image, tmp_path / f"{name}.nii.gz")
        arguments += [f"--{name}", str(tmp_path / f"{name}.nii.gz")]
    parser = argparse.ArgumentParser()
    command.configure(parser)
    arguments += ["--output", str(tmp_path / "out.png"), "--seg-nrrd", str(tmp_path / "out.seg.nrrd")]
    assert command.run(parser.parse_args(arguments)) == 0
    printed = capsys.readouterr().out
    assert f"picture: {tmp_path / 'out.png'}" in printed
    assert f"segmentation: {tmp_path / 'out.seg.nrrd'}" in printed
    assert "libegl1" in printed
    import slicerio

    written = slicerio.read_segmentation(tmp_path / "out.seg.nrrd")
    assert np.count_nonzero(written["voxels"]) == np.count_nonzero(sitk.GetArrayFromImage(study.prediction))
    assert written["segments"][0]["terminology"]["type"][2] == "Neoplasm"


def test_the_command_refuses_another_suffix_before_it_reads_anything(tmp_path):
    parser = argparse.ArgumentParser()
    command.configure(parser)
    absent = ["--ct", "a", "--pet", "b", "--segmentation", "c", "--output", str(tmp_path / "out.jpg")]
    with pytest.raises(BadInputError, match="not a PNG file name"):
        command.run(parser.parse_args(absent))
