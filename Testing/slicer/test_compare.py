"""The Compare section: numbers that follow edits by themselves, what it says meanwhile, and its buttons."""

import time

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.metrics.live import LiveComparison
from PETCTFusionSegLib.desktop.sections import compare
from PETCTFusionSegLib.mrml.segmentations import setSegmentImage
from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage
from PETCTFusionSegLib.selftest.stories import chooseStudy
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


@pytest.fixture
def compared(application):
    made = Compared(application)
    yield made
    application.panel.sections["Compare"].table.live = True
    application.ui.liveCheckBox.checked = True


def test_numbers_follow_an_edit_without_a_click(compared):
    compared.draw(compared.shifted(2))
    compared.app.wait(lambda: compared.text(1) not in ("1.000", compare.COMPUTING), "the edit is seen", 20)
    assert 0.5 < float(compared.text(1)) < 1
    assert compared.text(2) == "9.0"
    assert 0.5 < float(compared.text(5)) < 1
    assert compared.table.horizontalHeaderItem(5).text() == "NSD (4.5 mm)"
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
    assert compare.COMPUTING in seen
    assert not compared.app.panel.sections["Compare"].table._pollTimer.isActive()


def test_without_following_the_numbers_are_marked_until_compare_now(compared):
    compared.ui.liveCheckBox.checked = False
    compared.draw(compared.truth * 0)
    compared.until("(1.000)")
    assert compared.says == compare.OUTDATED
    assert not compared.ui.distanceButton.enabled
    compared.app.click(compared.ui.compareButton)
    assert compared.text(1) == "0.000"
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
    compared.app.wait(lambda: compared.text(1) not in ("1.000", compare.COMPUTING), "the edit is seen", 20)
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
    compared.app.wait(lambda: compared.text(1) not in ("1.000", compare.COMPUTING), "the edit is seen", 20)
    compared.app.click(compared.ui.distanceButton)
    assert "blue lies inside" in compared.says
    model = compared.app.scene.GetFirstNodeByClass("vtkMRMLModelNode")
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
    compared.app.wait(lambda: compared.says == compare.CHOOSE_REFERENCE, "the missing reference is named", 10)
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
    assert compared.table.rowCount == 1
    assert compared.text(0) == "Second"
