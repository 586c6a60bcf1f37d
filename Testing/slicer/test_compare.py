"""The Compare section: numbers that follow edits by themselves, what it says meanwhile, and its buttons."""

import time

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.metrics import dice
from petctfusion.metrics.live import LiveComparison
from PETCTFusionSegLib.mrml.agreement_overlay import OVERLAY_ROLE
from PETCTFusionSegLib.mrml.distance_model import MODEL_ROLE
from PETCTFusionSegLib.mrml.live_tables import COMPUTING, ROLE_ATTRIBUTE
from PETCTFusionSegLib.mrml.segmentations import createSegmentation, setSegmentImage
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage
from PETCTFusionSegLib.selftest.steps import chooseStudy
from PETCTFusionSegLib.selftest.study import imageOfReference


class Compared:
    """The ball in the editor, and the same ball as label map reference."""

    def __init__(self, app):
        self.app, self.ui, self.table = app, app.ui, app.ui.comparisonTable
        self.study = chooseStudy(app)
        self.truth = imageOfReference(self.study)
        app.panel.editor.edit(self.study.reference, self.study.ct)
        self.reference = volumeNodeFromImage(app.scene, self.truth, "truth", "labelmap")
        self.ui.referenceSelector.setCurrentNode(self.reference)
        self.until("1.000")

    def until(self, dice, column=1):
        self.app.wait(lambda: self.table.rowCount and self.text(column) == dice, f"column {column} shows {dice}", 20)

    def text(self, column):
        return self.table.item(0, column).text()

    @property
    def says(self):
        return self.ui.comparisonLabel.text

    def draw(self, image):
        segment = self.study.reference.GetSegmentation().GetNthSegmentID(0)
        setSegmentImage(self.study.reference, segment, image)

    def shifted(self, voxels):
        moved = sitk.GetImageFromArray(np.roll(sitk.GetArrayFromImage(self.truth), voxels, 2))
        moved.CopyInformation(self.truth)
        return moved


def nodeOfRole(scene, className, role):
    nodes = [scene.GetNthNodeByClass(i, className) for i in range(scene.GetNumberOfNodesByClass(className))]
    return next((node for node in nodes if node.GetAttribute(ROLE_ATTRIBUTE) == role), None)


@pytest.fixture
def compared(application):
    made = Compared(application)
    yield made
    application.ui.compareTabs.currentIndex = 0
    application.ui.overlayCheckBox.checked = False
    application.ui.liveCheckBox.checked = True


def test_numbers_follow_an_edit_without_a_click(compared):
    compared.draw(compared.shifted(2))
    compared.app.wait(lambda: compared.text(1) not in ("1.000", COMPUTING), "the edit is seen", 20)
    assert 0.5 < float(compared.text(1)) < 1
    assert compared.text(2) == "9.0"
    assert 0.5 < float(compared.text(5)) < 1
    assert compared.table.horizontalHeaderItem(5).text() == "NSD\n(4.5 mm)"
    assert compared.text(3) == compared.text(4)
    assert '"Story reference" against "truth"' in compared.says


def test_while_a_large_change_is_computed_no_old_number_is_shown(compared, monkeypatch):
    slow = LiveComparison.replace

    def replace(self, prediction):
        time.sleep(0.4)
        slow(self, prediction)

    monkeypatch.setattr(LiveComparison, "replace", replace)
    compared.draw(compared.shifted(30))
    seen = set()
    compared.app.wait(lambda: seen.add(compared.text(1)) or compared.text(1) == "0.000", "the edit is seen", 20)
    assert COMPUTING in seen
    assert not compared.app.panel.sections["Compare"].comparing.polling


def test_without_following_the_numbers_are_marked_until_compare_now(compared):
    compared.ui.liveCheckBox.checked = False
    compared.draw(compared.truth * 0)
    compared.until("(1.000)")
    assert "Edited since these numbers were computed" in compared.says
    assert not compared.ui.distanceButton.enabled
    compared.app.click(compared.ui.compareButton)
    compared.until("0.000")
    assert compared.text(2) == "no contour"
    compared.draw(compared.truth)
    compared.until("(0.000)")
    compared.ui.liveCheckBox.checked = True
    compared.until("1.000")


def test_the_buttons_centre_the_views(compared):
    view = compared.app.scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    compared.app.click(compared.ui.worstPointButton)
    assert "equal to its reference" in compared.says
    compared.draw(compared.shifted(3))
    compared.app.wait(lambda: compared.text(1) not in ("1.000", COMPUTING), "the edit is seen", 20)
    compared.app.click(compared.ui.worstPointButton)
    assert "13.5 mm from the other" in compared.says
    place = [view.GetSliceToRAS().GetElement(i, 3) for i in range(3)]
    # The ball sits at (-20, 10, 5) RAS with 22 mm; the farthest voxel lies on its side, right or left.
    assert abs(abs(place[0] + 20) - 22) < 16
    assert abs(place[1] - 10) < 15
    compared.app.click(compared.ui.worstSliceButton)
    assert "lowest Dice" in compared.says


def test_the_distance_surface_is_made_and_a_missing_contour_is_a_sentence(compared):
    compared.draw(compared.shifted(1))
    compared.app.wait(lambda: compared.text(1) not in ("1.000", COMPUTING), "the edit is seen", 20)
    compared.app.click(compared.ui.distanceButton)
    assert "blue lies inside" in compared.says
    # The slice views have models too, which show them in 3-D.
    scene = compared.app.scene
    models = [
        scene.GetNthNodeByClass(i, "vtkMRMLModelNode") for i in range(scene.GetNumberOfNodesByClass("vtkMRMLModelNode"))
    ]
    (model,) = (node for node in models if node.GetAttribute(ROLE_ATTRIBUTE) == MODEL_ROLE)
    assert model.GetPolyData().GetPointData().GetArray("DistanceToReference_mm") is not None
    compared.draw(compared.truth * 0)
    compared.until("0.000")
    compared.app.click(compared.ui.distanceButton)
    assert "no contour" in compared.says


def test_tables_and_plot_are_kept_current(compared):
    compared.app.click(compared.ui.tablesButton)
    scene = compared.app.scene
    tables = {
        node.GetAttribute("PETCTFusionSeg.Role"): node.GetTable()
        for node in (scene.GetNthNodeByClass(i, "vtkMRMLTableNode") for i in range(3))
    }
    lesions = tables["LesionComparison"]
    compared.app.wait(lambda: lesions.GetNumberOfRows() == 1, "the lesions are there", 20)
    assert lesions.GetColumnByName("Found").GetValue(0) == "tp"
    compared.draw(compared.truth * 0)
    found = lesions.GetColumnByName("Found")
    compared.app.wait(lambda: found.GetNumberOfValues() and found.GetValue(0) == "fn", "the lesions follow", 20)
    assert tables["SegmentComparison"].GetColumnByName("HD95").GetValue(0) == "no contour"
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 3
    scene.RemoveNode(scene.GetFirstNodeByClass("vtkMRMLPlotChartNode"))
    compared.draw(compared.truth)
    compared.until("1.000")


def test_a_reference_that_is_deleted_says_so(compared):
    compared.app.scene.RemoveNode(compared.reference)
    waits = compared.ui.CompareWaitLabel
    compared.app.wait(lambda: "Choose a reference" in waits.text, "the missing reference is named", 10)
    assert compared.table.rowCount == 0
    assert not compared.ui.worstPointButton.enabled


def test_a_deleted_segment_is_gone_and_a_new_one_is_compared(compared):
    parts = compared.study.reference.GetSegmentation()
    name = parts.GetNthSegment(0).GetName()
    parts.RemoveSegment(parts.GetNthSegmentID(0))
    compared.until("gone")
    assert f'"{name}" was removed' in compared.says
    parts.AddEmptySegment("", "Second")
    compared.app.wait(lambda: compared.table.rowCount == 2, "the new segment has a row", 10)
    compared.app.click(compared.ui.compareButton)
    compared.app.wait(lambda: compared.table.rowCount == 1, "the removed segment has no row", 10)
    assert compared.text(0) == "Second"


def test_lesions_and_slices_stand_in_their_tabs_and_a_click_goes_there(compared):
    view = compared.app.scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    compared.draw(compared.shifted(2))
    compared.app.wait(lambda: compared.text(1) not in ("1.000", COMPUTING), "the edit is seen", 20)
    compared.ui.compareTabs.currentIndex = 1
    lesions = compared.ui.compareLesionTable
    compared.app.wait(lambda: lesions.rowCount == 1, "the lesion is matched", 20)
    assert lesions.item(0, 1).text() == "found"
    lesions.cellClicked(0, 0)
    place = [view.GetSliceToRAS().GetElement(i, 3) for i in range(3)]
    np.testing.assert_allclose(place, (-20, 10, 5), atol=5)
    compared.ui.compareTabs.currentIndex = 2
    slices = compared.ui.compareSliceTable
    compared.app.wait(lambda: slices.rowCount > 5, "the slices are listed", 20)
    dice = [float(slices.item(line, 1).text()) for line in range(slices.rowCount)]
    assert dice == sorted(dice)
    slices.cellClicked(0, 0)
    worst = float(slices.item(0, 0).text())
    assert abs(view.GetSliceToRAS().GetElement(2, 3) - worst) < 0.1
    compared.draw(compared.truth * 0)
    compared.app.wait(lambda: slices.item(0, 1).text() == "0.000", "the slices follow the edit", 20)


def test_the_overlay_colours_what_differs_and_gives_the_fills_back(compared):
    app, display = compared.app, compared.study.reference.GetDisplayNode()

    def overlay():
        return nodeOfRole(app.scene, "vtkMRMLSegmentationNode", OVERLAY_ROLE)

    compared.ui.overlayCheckBox.checked = True
    assert not display.GetVisibility2DFill()
    assert compared.ui.overlayLegend.text.count("<span") == 3

    app.wait(lambda: overlay() is not None, "the overlay is drawn", 20)
    compared.ui.overlayCheckBox.checked = False
    assert overlay() is None
    assert display.GetVisibility2DFill()
    compared.ui.overlayCheckBox.checked = True
    app.wait(lambda: overlay() is not None, "the overlay is drawn again", 20)
    app.scene.RemoveNode(overlay())
    app.wait(lambda: not compared.ui.overlayCheckBox.checked, "the box follows the removed overlay", 20)
    assert display.GetVisibility2DFill()


def test_one_segment_of_the_reference_can_be_meant(application):
    """A structure set from the DICOM module has the body and organs beside the tumour."""
    compared = Compared(application)
    ui, truth = application.ui, compared.truth
    plan = createSegmentation(application.scene, truth, [], compared.study.ct, "Plan", {})
    moved = compared.shifted(3)
    for name, mask in (("Body", truth * 0 + 1), ("GTV", moved)):
        setSegmentImage(plan, plan.GetSegmentation().AddEmptySegment(name, name), mask)
    assert ui.referenceSegmentSelector.isHidden()
    ui.referenceSelector.setCurrentNode(plan)
    compared.until(f"{dice(ones(truth), array(truth)):.3f}")
    assert "All its 2 segments are joined; one of them can be chosen under Study." in compared.says
    assert not ui.referenceSegmentSelector.isHidden()
    assert [ui.referenceSegmentSelector.itemText(n) for n in range(3)][1:] == ["Body", "GTV"]
    ui.referenceSegmentSelector.currentIndex = 2
    compared.until(f"{dice(array(moved), array(truth)):.3f}")
    assert compared.says.startswith(f'"{compared.study.reference.GetName()}" against "GTV" of "Plan".')
    # Back to another reference and again to this one: the choice is kept with it.
    ui.referenceSelector.setCurrentNode(compared.reference)
    compared.until("1.000")
    assert ui.referenceSegmentSelector.isHidden()
    ui.referenceSelector.setCurrentNode(plan)
    compared.until(f"{dice(array(moved), array(truth)):.3f}")
    assert ui.referenceSegmentSelector.currentIndex == 2
    # What was meant goes: its row says so, and nothing else takes its place unasked.
    plan.GetSegmentation().RemoveSegment("GTV")
    application.wait(lambda: '"GTV" was removed' in compared.says, "the row says what is gone", 20)
    assert not compared.text(1).startswith(("0", "1"))


def array(image):
    return sitk.GetArrayFromImage(image) != 0


def ones(image):
    return np.ones_like(array(image))
