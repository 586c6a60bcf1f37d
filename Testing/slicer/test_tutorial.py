"""The tutorial, followed step by step with the shipped model; its pictures are made on the way.

With PETCTFUSION_PICTURES naming a folder they are kept there: `docs/images` to renew those of `docs/tutorial.md`.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from PETCTFusionSegLib.mrml.segmentations import referenceMask, segmentImage
from PETCTFusionSegLib.mrml.sequences import showPhase
from PETCTFusionSegLib.mrml.views import probeGraphics
from PETCTFusionSegLib.selftest.steps import waitForResult
from PETCTFusionSegLib.selftest.stories_sample import clickSample

pytest.importorskip("PIL", reason="the pictures are put together with Pillow")
from tutorial_pictures import Camera

pytestmark = pytest.mark.slow


@pytest.fixture
def pictures(tmp_path):
    folder = Path(os.environ.get("PETCTFUSION_PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def centreOf(mask, part=None):
    """Centre of a mask, or of its part (0 is the largest), in RAS mm."""
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(mask != 0), sortByObjectSize=True)
    values = sitk.GetArrayFromImage(parts)
    index = np.argwhere(values == part + 1 if part is not None else values > 0).mean(axis=0)[::-1]
    x, y, z = mask.TransformContinuousIndexToPhysicalPoint(index.tolist())
    return -x, -y, z


def choose(combo, text):
    combo.currentIndex = next(i for i in range(combo.count) if text in combo.itemText(i))


def clickAt(app, button, place):
    """Press a button, and click into a slice view at a place (RAS, mm)."""
    app.click(button)
    selection = app.scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    app.scene.GetNodeByID(selection.GetActivePlaceNodeID()).AddControlPointWorld(place)
    app.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton").SwitchToViewTransformMode()


def test_the_tutorial_can_be_followed(application, desktop, pictures, tmp_path):
    if not probeGraphics().available:
        pytest.skip("no OpenGL library")
    app, ui = application, application.ui
    camera = Camera(app, desktop.booted, pictures)
    # 2. Sample Data
    ct, pet, reference = clickSample(0)
    truth = referenceMask(reference, ct)
    tumor, deposit = centreOf(truth, 0), centreOf(truth, 1)
    # 3. The study
    ui.ctSelector.setCurrentNode(ct)
    ui.petSelector.setCurrentNode(pet)
    ui.referenceSelector.setCurrentNode(reference)
    app.wait(lambda: ui.applyButton.enabled, "Apply is possible", 10)
    ui.hangingButton.click()
    app.pause(0.2)
    camera.shoot("study", ["Study", "View"], [("Axial", tumor), ("Coronal", tumor)])
    # 4. Segment
    choose(ui.modelSelector, "anatomy-guided fusion")
    app.click(ui.applyButton)
    app.wait(lambda: "%" in app.status or not app.panel.runner.busy, "progress is shown", 60)
    camera.shoot("running", ["Segment"])
    result = waitForResult(app)
    segmentId = result.GetSegmentation().GetNthSegmentID(0)
    found = segmentImage(result, segmentId, ct)
    app.wait(lambda: ui.editThresholdSlider.enabled, "the threshold can be moved", 20)
    camera.shoot("result", ["Segment"], [("Axial", tumor), ("Coronal", tumor)])
    a, b = sitk.GetArrayFromImage(found) > 0, sitk.GetArrayFromImage(truth) > 0
    # 5. Compare, 6. Edit: the deposit is missing until it is clicked
    app.wait(lambda: ui.comparisonTable.rowCount >= 1 and "0." in ui.comparisonTable.item(0, 1).text(), "Dice", 30)
    dice, hd95 = (float(ui.comparisonTable.item(0, column).text()) for column in (1, 2))
    assert dice == pytest.approx(0.91, abs=0.02)
    assert hd95 == pytest.approx(60, abs=6)
    ui.overlayCheckBox.checked = True
    app.pause(0.3)
    camera.shoot("compare", ["Compare"], [("Axial", deposit)])
    ui.overlayCheckBox.checked = False
    missing = b & (sitk.GetArrayFromImage(sitk.ConnectedComponent(truth)) == _labelAt(truth, deposit))
    assert not (a & missing).any()
    clickAt(app, ui.editAddButton, deposit)
    app.wait(lambda: not app.panel.runner.busy and "ml" in app.status, "the click is answered", 60)
    now = sitk.GetArrayFromImage(segmentImage(result, segmentId, ct)) > 0
    assert 0.3 < (now & missing).sum() / missing.sum() < 0.8
    assert (now & ~b).sum() < 1.1 * (a & ~b).sum()
    # The application's own editor lies here, of which the harness has only a frame.
    ui.segmentEditorWidget.visible = False
    camera.shoot("edit", ["Edit"], [("Axial", deposit)])
    ui.segmentEditorWidget.visible = True
    # 7. Lesions
    app.wait(lambda: ui.lesionTable.rowCount == 2, "the sarcoma and the deposit are listed", 30)
    camera.shoot("lesions", ["Lesions"])
    # 8. Deliver, and the computer
    ui.deliverFolderEdit.currentPath = "contours"
    camera.shoot("deliver", ["Deliver"])
    ui.ComputerSection.collapsed = False
    ui.computerPackagesButton.collapsed = False
    app.click(ui.computerProbeButton)
    app.wait(
        lambda: ui.computerProbeButton.enabled and "CPU" in ui.computerProbeLabel.text, "the devices are tried", 60
    )
    camera.shoot("computer", ["Computer"])
    ui.ComputerSection.collapsed = True
    ui.deliverFolderEdit.currentPath = str(tmp_path)
    app.click(ui.deliverButton)
    app.wait(lambda: any(tmp_path.glob("*.seg.nrrd")) and any(tmp_path.glob("*.csv")), "the files are there", 60)


def test_the_breathing_patient_can_be_looked_at(application, desktop, pictures):
    if not probeGraphics().available:
        pytest.skip("no OpenGL library")
    ct, pet, reference = clickSample(1)
    application.ui.ctSelector.setCurrentNode(ct)
    application.ui.petSelector.setCurrentNode(pet)
    application.pause(0.2)
    ct.GetDisplayNode().SetWindowLevelMinMax(-1000, 400)
    browser = application.scene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    segmentation = reference.GetSegmentation()
    place = centreOf(segmentImage(reference, segmentation.GetNthSegmentID(0), ct))
    camera = Camera(application, desktop.booted, pictures)
    shown = []
    for phase in (0, 5):
        showPhase(browser, phase)
        for number in range(segmentation.GetNumberOfSegments()):
            visible = number in (0, phase + 1)
            reference.GetDisplayNode().SetSegmentVisibility(segmentation.GetNthSegmentID(number), visible)
        shown.append(camera.slice("Coronal", (place[0], place[1], place[2] - 25)))
    assert np.any(np.asarray(shown[0]) != np.asarray(shown[1]))
    camera.save("breathing", shown)


def _labelAt(mask, place):
    x, y, z = place
    parts = sitk.ConnectedComponent(mask)
    return parts[parts.TransformPhysicalPointToIndex((-x, -y, z))]
