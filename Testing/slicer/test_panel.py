"""The panel in detail: voxels of the result, accidents of the process, what is kept where."""

import math
import os
import time

import numpy as np
import pytest
import SimpleITK as sitk
import slicer

from PETCTFusionSegLib.desktop.machine import readMachine
from PETCTFusionSegLib.mrml.segmentations import segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.volumes import imageFromVolumeNode, volumeNodeFromImage
from PETCTFusionSegLib.selftest.steps import chooseStudy, waitForResult
from PETCTFusionSegLib.selftest.study import imageOfReference
from PETCTFusionSegLib.workbench.parameters import readStudy


@pytest.fixture
def python(application):
    """Set the external Python, and put the empty one back."""

    def choose(program):
        application.ui.pythonEdit.text = str(program)
        application.ui.pythonEdit.editingFinished()

    yield choose
    choose("")


def test_the_result_has_exactly_the_voxels_that_the_network_gives(application, tinyModel):
    from petctfusion.inference import SegmentOptions, load_model, segment_study

    study = chooseStudy(application)
    application.click(application.ui.applyButton)
    result = waitForResult(application)
    volumes = {"CT": imageFromVolumeNode(study.ct), "PET": imageFromVolumeNode(study.pet)}
    direct = segment_study(volumes, load_model(tinyModel, "cpu"), SegmentOptions(device="cpu"))
    wanted = sitk.GetArrayFromImage(direct.labels)
    got = sitk.GetArrayFromImage(segmentImage(result, result.GetSegmentation().GetNthSegmentID(0), study.ct))
    assert 0 < wanted.sum() < wanted.size
    # Another process may sum in another order: a handful of voxels at the threshold may fall either way.
    assert np.count_nonzero(got != wanted) <= 1e-4 * wanted.size
    assert result.GetAttribute("PETCTFusionSeg.Model") == "tiny"
    assert result.GetAttribute("PETCTFusionSeg.Device") == "cpu"
    assert application.panel.editor.segmentation() is result


def test_apply_does_not_wait_and_the_event_loop_goes_on(application):
    chooseStudy(application)
    application.click(application.ui.applyButton)
    assert application.panel.runner.busy
    turns = 0
    while application.panel.runner.busy:
        application.pause(0.0)
        turns += 1
    assert turns > 50


def test_progress_only_grows_and_ends_at_the_whole(application):
    chooseStudy(application)
    application.click(application.ui.applyButton)
    waitForResult(application)
    values = [int(line.rpartition("|")[2]) for line in application.seen if "%" in line]
    assert values == sorted(values)
    assert len(set(values)) >= 5
    assert application.ui.progressBar.value == application.ui.progressBar.maximum
    assert any(line.split("|")[0].endswith(" s left") for line in application.seen)
    assert application.ui.elapsedLabel.text.endswith(" s")


def test_a_python_that_cannot_be_run_is_one_sentence(application, python):
    python("/no/such/python")
    chooseStudy(application)
    application.click(application.ui.applyButton)
    assert "cannot be run" in application.status
    assert application.ui.applyButton.text == "Apply"


def test_a_program_that_fails_to_start_ends_the_run(application, python, tmp_path):
    broken = tmp_path / "python"
    broken.write_bytes(b"\x7fELF no program")
    broken.chmod(0o755)
    python(broken)
    chooseStudy(application)
    application.click(application.ui.applyButton)
    application.wait(lambda: not application.panel.runner.busy, "the failed start is noticed", 10)
    assert "could not be started" in application.status


def test_a_worker_that_dies_at_its_start_is_not_started_for_ever(application, python, tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho no torch here >&2\nexit 3\n")
    program.chmod(0o755)
    python(program)
    chooseStudy(application)
    application.click(application.ui.applyButton)
    application.wait(lambda: not application.panel.runner.busy, "the death is noticed", 10)
    assert "exit code 3" in application.status
    assert not application.panel.runner.warm
    application.pause(0.2)
    assert application.panel.runner._process is None


def test_a_worker_that_does_not_answer_cancel_is_killed_after_two_seconds(application, python, deafWorker):
    python(deafWorker.program)
    chooseStudy(application)
    application.click(application.ui.applyButton)
    runner = application.panel.runner
    application.wait(lambda: runner.warm and deafWorker.child.exists(), "the request has come", 20)
    pid = runner.workerPid
    assert deafWorker.childRuns
    started = time.monotonic()
    application.click(application.ui.applyButton)
    application.wait(lambda: not runner.busy, "the deaf worker is killed", 10)
    assert time.monotonic() - started >= 1.5
    assert application.status == "Cancelled."
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    application.wait(lambda: not deafWorker.childRuns, "its child is killed, too", 5)


def test_choices_of_the_study_are_in_the_scene_and_choices_of_the_machine_are_not(application):
    study = chooseStudy(application, withReference=True)
    selector = application.ui.deviceSelector
    selector.currentIndex = selector.findData("cpu")
    node = application.widget.logic.getParameterNode()
    kept = readStudy(node)
    assert (kept.ct, kept.pet, kept.reference, kept.output) == (study.ct, study.pet, study.reference, None)
    assert kept.model == "tiny@1.0.0"
    assert readMachine(slicer.app.settings()).device == "cpu"
    selector.currentIndex = 0


def test_an_edited_output_is_kept_and_an_untouched_one_replaced(application):
    study = chooseStudy(application)
    application.click(application.ui.applyButton)
    first = waitForResult(application)
    application.ui.outputSelector.setCurrentNode(first)
    application.click(application.ui.applyButton)
    assert waitForResult(application) is first
    setSegmentImage(first, first.GetSegmentation().GetNthSegmentID(0), imageOfReference(study))
    application.click(application.ui.applyButton)
    second = waitForResult(application)
    assert second is not first
    assert "edited and is kept" in application.status


def test_ct_and_pet_must_be_two_volumes(application):
    study = chooseStudy(application)
    application.ui.petSelector.setCurrentNode(study.ct)
    assert not application.ui.applyButton.enabled
    assert application.ui.applyButton.toolTip == "CT and PET are the same volume."


def test_swapped_volumes_are_one_sentence_and_no_run(application):
    study = chooseStudy(application)
    study.ct.SetAttribute("PETCTFusionSeg.PETUnits", "SUVbw")
    application.ui.ctSelector.setCurrentNode(None)
    application.ui.petSelector.setCurrentNode(study.ct)
    application.ui.ctSelector.setCurrentNode(study.pet)
    assert "CT and PET look swapped" in application.ui.verdictLabel.text
    assert "Cannot be segmented" in application.ui.verdictLabel.text
    assert not application.ui.applyButton.enabled
    assert "see the reason under Study" in application.ui.whyNotLabel.text


def test_activity_without_its_dicom_files_is_refused(application):
    study = chooseStudy(application, unitsKnown=False)
    application.ui.petUnitsSelector.currentIndex = 2
    assert "Bq/ml" in application.ui.petUnitsBadge.text
    assert "load it from DICOM" in application.ui.whyNotLabel.text
    assert not application.ui.applyButton.enabled
    assert study.pet.GetAttribute("PETCTFusionSeg.PETUnits") == "BQML"


def test_a_label_map_on_the_pet_grid_serves_as_reference(application):
    study = chooseStudy(application)
    pet = imageFromVolumeNode(study.pet)
    reference = volumeNodeFromImage(application.scene, sitk.Cast(pet > 5, sitk.sitkUInt8), "PET contour", "labelmap")
    application.ui.referenceSelector.setCurrentNode(reference)
    application.panel.editor.edit(study.reference, study.ct)
    table = application.ui.comparisonTable
    application.wait(lambda: table.rowCount and table.item(0, 4).text(), "the numbers are there", 20)
    assert 0.85 < float(table.item(0, 1).text()) < 1.0
    own_ml = float((sitk.GetArrayFromImage(pet) > 5).sum()) * 0.125
    assert math.isclose(float(table.item(0, 4).text()), own_ml, abs_tol=0.06)


def test_undo_of_an_edit_updates_the_table(application):
    study = chooseStudy(application)
    application.panel.editor.edit(study.reference, study.ct)
    other = volumeNodeFromImage(application.scene, imageOfReference(study), "truth", "labelmap")
    application.ui.referenceSelector.setCurrentNode(other)
    table = application.ui.comparisonTable
    application.wait(lambda: table.rowCount == 1 and table.item(0, 1).text() == "1.000", "equal masks", 10)
    editor = application.ui.segmentEditorWidget._object
    segmentId = study.reference.GetSegmentation().GetNthSegmentID(0)
    editor.setCurrentSegmentID(segmentId)
    editor.logic.SaveStateForUndo()
    setSegmentImage(study.reference, segmentId, imageOfReference(study) * 0)
    application.wait(lambda: table.item(0, 1).text() == "0.000", "the edit is seen", 10)
    editor.undo()
    application.wait(lambda: table.item(0, 1).text() == "1.000", "the undo is seen", 10)
