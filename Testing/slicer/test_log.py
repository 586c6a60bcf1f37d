"""The log that is shown and copied: the last lines of the module and its worker, without names."""

import logging
import threading

import pytest
import slicer

from PETCTFusionSegLib.desktop import log


@pytest.fixture
def lines():
    kept = log.LogLines()
    kept.attach()
    yield kept
    kept.detach()


def test_the_log_keeps_the_last_lines_of_the_module_and_its_worker(lines):
    for number in range(log.LINES + 5):
        logging.getLogger("PETCTFusionSeg.worker").info("line %d", number)
    logging.getLogger("somebody.else").error("not ours")
    text = lines.text().splitlines()
    assert len(text) == log.LINES
    assert text[-1].endswith(f"line {log.LINES + 4}")
    assert lines.count == log.LINES + 5


def test_loggers_are_left_as_they_were():
    logger = logging.getLogger("PETCTFusionSeg")
    before = (logger.level, list(logger.handlers))
    kept = log.LogLines()
    kept.attach()
    assert logger.isEnabledFor(logging.INFO)
    kept.detach()
    assert (logger.level, logger.handlers) == before


def test_many_threads_may_log(lines):
    threads = [
        threading.Thread(target=lambda: [logging.getLogger("petctfusion").warning("x") for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lines.count == 200


@pytest.mark.parametrize(
    ("text", "names", "hidden"),
    [
        ("Doe^Jane tumor is new", ["Doe^Jane"], "<name> tumor is new"),
        ("doe^jane", ["Doe^Jane"], "<name>"),
        ("Anna and Annabel", ["Anna"], "<name> and Annabel"),
        ("Anna Smith (2)", ["Anna", "Anna Smith (2)"], "<name>"),
        ("a.b axb", ["a.b"], "<name> axb"),
        ("nothing", [], "nothing"),
    ],
)
def test_names_are_replaced_whole_and_the_longest_first(text, names, hidden):
    assert log.withoutNames(text, names) == hidden


def test_words_of_the_module_are_no_names(lines):
    lines.hide(["CT", "Tumor", "", "  ", "Meyer"])
    logging.getLogger("PETCTFusionSeg").warning("The CT of Meyer has no tumor.")
    assert lines.text().endswith("The CT of <name> has no tumor.")


def test_names_of_patients_studies_and_files_in_the_scene_are_known(application):
    scene = application.scene
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "T1 Meyer")
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName("/data/Meyer^Anna/t1.nrrd")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Meyer, Anna")
    hierarchy.CreateStudyItem(patient, "Follow-up Meyer")
    names = set(log.namesInScene(scene))
    assert {"T1 Meyer", "/data/Meyer^Anna/t1.nrrd", "Meyer, Anna", "Follow-up Meyer"} <= names


def test_the_log_is_shown_while_somebody_looks(application):
    ui = application.ui
    ui.ComputerSection.collapsed = ui.computerLogButton.collapsed = False
    logging.getLogger("PETCTFusionSeg").warning("something to read")
    application.wait(lambda: "something to read" in str(ui.computerLogText.plainText), "the line is shown", 5)
    ui.computerLogButton.collapsed = True
