"""The Lesions and Deliver sections on the harness: what is said, sorting, selection, accidents."""

import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from PETCTFusionSegLib.mrml import delivery
from PETCTFusionSegLib.mrml.rejected import contourIds, rejectedSegmentOf
from PETCTFusionSegLib.mrml.segmentations import segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.volumes import geometryOfVolumeNode
from PETCTFusionSegLib.selftest.application import StoryError
from PETCTFusionSegLib.selftest.stories_lesions import cellText, openLesions, waitForLesions


class Reading:
    def __init__(self, app):
        self.app, self.ui, self.table = app, app.ui, app.ui.lesionTable
        self.study, self.segmentId = openLesions(app)
        self.node = self.study.reference

    def column(self, title):
        return [cellText(self.app, row, title) for row in range(self.table.rowCount)]

    def voxels(self, segmentId=None):
        return sitk.GetArrayFromImage(segmentImage(self.node, segmentId or self.segmentId, self.study.ct)) > 0

    def draw(self, mask, count):
        image = geometryOfVolumeNode(self.study.ct).image(mask.astype(np.uint8))
        setSegmentImage(self.node, self.segmentId, image)
        waitForLesions(self.app, count)

    def header(self, column):
        self.table.horizontalHeader().sectionClicked(column)

    @property
    def says(self):
        return self.ui.lesionSummaryLabel.text


@pytest.fixture
def reading(application):
    return Reading(application)


def test_without_a_segmentation_both_sections_say_what_they_wait_for(application):
    assert "when there is a result" in application.ui.LesionsWaitLabel.text
    assert "when there is a result" in application.ui.DeliverWaitLabel.text
    assert application.ui.lesionTable.rowCount == 0


def test_a_click_on_a_title_sorts_and_keeps_the_choice(reading):
    reading.table.selectRow(0)
    reading.header(3)
    assert reading.column("#") == ["1", "2"]
    reading.header(3)
    assert reading.column("#") == ["2", "1"]
    assert reading.table.currentRow() == 1
    reading.header(2)
    assert reading.column("#") == ["1", "2"]
    reading.header(0)
    assert reading.column("#") == ["1", "2"]
    assert "Center: L 20, " in reading.table.item(0, 0).toolTip()


def test_the_choice_follows_the_lesion_through_edits(reading):
    reading.table.selectRow(1)
    mask = reading.voxels()
    mask[40:52, 20:32, 5:17] = True
    reading.draw(mask, 3)
    assert reading.table.currentRow() == 2
    mask[10:14, 20:24, 40:44] = False
    reading.draw(mask, 2)
    assert reading.table.currentRow() == -1
    assert not reading.ui.lesionAcceptButton.enabled


def test_next_and_previous_stop_at_the_ends_with_a_sentence(reading):
    lesions = reading.app.panel.sections["Lesions"].review
    lesions.nextLesion()
    assert reading.table.currentRow() == 0
    lesions.previousLesion()
    assert reading.says == "This is the first lesion."
    lesions.nextLesion()
    lesions.nextLesion()
    assert reading.says == "This is the last lesion."
    assert reading.table.currentRow() == 1


def test_keys_without_a_chosen_lesion_say_so(reading):
    lesions = reading.app.panel.sections["Lesions"].review
    for key in (lesions.accept, lesions.reject, lesions.flag):
        key()
        assert reading.says == "Choose a lesion in the table."
    assert reading.column("Decision") == ["open", "open"]


def test_a_decision_is_taken_back_by_the_same_button(reading):
    reading.table.selectRow(0)
    reading.app.click(reading.ui.lesionAcceptButton)
    assert reading.column("Decision") == ["accepted", "open"]
    assert "1 open, 1 accepted." in reading.says
    reading.app.click(reading.ui.lesionAcceptButton)
    assert reading.column("Decision") == ["open", "open"]


def test_accepting_a_rejected_lesion_brings_it_back(reading):
    before = reading.voxels()
    reading.table.selectRow(1)
    reading.app.click(reading.ui.lesionRejectButton)
    waitForLesions(reading.app, 2)
    assert reading.voxels(rejectedSegmentOf(reading.node, reading.segmentId)).sum() == 64
    reading.app.click(reading.ui.lesionAcceptButton)
    waitForLesions(reading.app, 2)
    assert reading.column("Decision") == ["open", "accepted"]
    np.testing.assert_array_equal(reading.voxels(), before)


def test_another_segment_can_be_chosen_and_the_rejected_ones_are_none(reading):
    assert not reading.ui.lesionSegmentFrame.visible
    reading.table.selectRow(1)
    reading.app.click(reading.ui.lesionRejectButton)
    waitForLesions(reading.app, 2)
    assert not reading.ui.lesionSegmentFrame.visible
    other = reading.node.GetSegmentation().AddEmptySegment("", "Second")
    selector = reading.ui.lesionSegmentSelector
    reading.app.wait(lambda: selector.count == 2, "the new segment is offered", 10)
    selector.currentIndex = 1
    waitForLesions(reading.app, 0)
    assert reading.says == "There is no lesion in this segment."
    reading.node.GetSegmentation().RemoveSegment(other)
    waitForLesions(reading.app, 2)


def test_a_pet_without_units_gives_volumes_and_says_so(reading):
    reading.study.pet.SetVoxelValueUnits(None)
    reading.study.pet.Modified()
    reading.app.wait(lambda: reading.column("SUVmax") == ["", ""], "the SUVs go", 10)
    assert "Volumes only" in reading.says
    assert "unknown units" in reading.says
    assert "TLG" not in reading.says


def test_a_deleted_segmentation_and_a_closed_scene_empty_the_list(reading):
    reading.app.scene.RemoveNode(reading.node)
    reading.app.wait(lambda: reading.table.rowCount == 0, "the list is empty", 10)
    again = Reading(reading.app)
    again.app.scene.Clear(False)
    assert again.table.rowCount == 0
    assert again.says == ""


def save(reading, folder):
    reading.ui.deliverFolderEdit.currentPath = str(folder)
    reading.app.click(reading.ui.deliverButton)
    reading.app.wait(lambda: reading.ui.deliverButton.enabled, "the saving ends", 20)
    return reading.ui.deliverLabel.text


def test_the_folder_is_remembered_and_the_second_save_gets_a_number(reading, tmp_path):
    assert save(reading, tmp_path).startswith("Saved and read back: Story reference.seg.nrrd, ")
    assert "Story reference_2.seg.nrrd" in save(reading, tmp_path)
    assert reading.app.panel.bench.settings.value("PETCTFusionSeg/DeliverFolder") == str(tmp_path)
    assert len(list(tmp_path.iterdir())) == 6


def test_with_a_reference_the_comparison_is_saved_too(reading, tmp_path):
    from PETCTFusionSegLib.mrml.volumes import volumeNodeFromImage
    from PETCTFusionSegLib.selftest.study import imageOfReference

    truth = volumeNodeFromImage(reading.app.scene, imageOfReference(reading.study), "truth", "labelmap")
    reading.ui.referenceSelector.setCurrentNode(truth)
    assert "Story reference_comparison.csv" in save(reading, tmp_path)
    assert ",1.0000," in (tmp_path / "Story reference_comparison.csv").read_text()


def test_what_cannot_be_saved_is_one_sentence(reading, tmp_path):
    reading.ui.deliverFolderEdit.currentPath = ""
    with pytest.raises(StoryError, match="Choose a folder first"):
        reading.app.click(reading.ui.deliverButton)
    assert "is not a folder" in save(reading, tmp_path / "nowhere")
    reading.draw(np.zeros(geometryOfVolumeNode(reading.study.ct).shape), 0)
    assert "nothing to save" in save(reading, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_goes_while_it_is_saved_is_one_sentence(reading, tmp_path, monkeypatch):
    folder = tmp_path / "stick"
    folder.mkdir()
    write = delivery.write_volume

    def unplugged(image, path):
        shutil.rmtree(folder)
        folder.write_text("no folder any more")
        return write(image, path)

    monkeypatch.setattr(delivery, "write_volume", unplugged)
    assert "could not be written" in save(reading, folder)


def test_a_scene_closed_while_saving_says_so(reading, tmp_path):
    reading.ui.deliverFolderEdit.currentPath = str(tmp_path)
    reading.app.click(reading.ui.deliverButton)
    reading.app.scene.Clear(False)
    assert "The scene was closed" in reading.ui.deliverLabel.text


def test_pictures(reading, tmp_path):
    """Saved for a person to look at; here only that something was drawn."""
    mask = reading.voxels()
    mask[40:50, 20:26, 5:13] = True
    reading.draw(mask, 3)
    reading.table.selectRow(1)
    reading.app.click(reading.ui.lesionAcceptButton)
    reading.table.selectRow(2)
    reading.app.click(reading.ui.lesionRejectButton)
    waitForLesions(reading.app, 3)
    save(reading, tmp_path)
    for name in ("Lesions", "Deliver"):
        frame = getattr(reading.ui, f"{name}Section")
        frame.resize(480, frame.sizeHint.height())
        picture = frame.grab()
        assert picture.save(str(tmp_path / f"{name}.png"))
        assert picture.toImage().pixelColor(240, 10) != picture.toImage().pixelColor(240, picture.height() - 20)
    assert contourIds(reading.node) == [reading.segmentId]
