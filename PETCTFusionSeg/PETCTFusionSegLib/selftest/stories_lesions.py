"""The reader goes through the lesions and saves what is left; each story starts in an empty scene."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from PETCTFusionSegLib.mrml.headless import moduleLogic
from PETCTFusionSegLib.mrml.rejected import contourIds
from PETCTFusionSegLib.mrml.saving import loadSegmentation
from PETCTFusionSegLib.mrml.segmentations import segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.volumes import geometryOfVolumeNode, imageFromVolumeNode

from .application import SlicerApplication, require
from .study import StudyNodes, addStudy, imageOfReference


def openLesions(app: SlicerApplication) -> tuple[StudyNodes, str]:
    """The small study with two lesions in the editor: the ball, and a cube; gives the segment's id too."""
    study = addStudy(app.scene)
    segmentId = contourIds(study.reference)[0]
    mask = sitk.GetArrayFromImage(imageOfReference(study))
    mask[10:14, 20:24, 40:44] = 1
    setSegmentImage(study.reference, segmentId, geometryOfVolumeNode(study.ct).image(mask))
    app.ui.ctSelector.setCurrentNode(study.ct)
    app.ui.petSelector.setCurrentNode(study.pet)
    app.panel.editor.edit(study.reference, study.ct)
    waitForLesions(app, 2)
    return study, segmentId


def waitForLesions(app: SlicerApplication, count: int) -> None:
    """Wait until the list is current and has `count` rows."""
    lesions = app.panel.sections["Lesions"]
    app.wait(
        lambda: not lesions.review.busy and app.ui.lesionTable.rowCount == count, f"{count} lesions are listed", 20
    )


def lesionsAreListedWithTheirUptake(app: SlicerApplication) -> None:
    """The list has SUVmax, MTV and TLG as numpy finds them, and a click on a row goes there."""
    study, segmentId = openLesions(app)
    mask = _voxels(study, segmentId)
    cube = np.zeros_like(mask)
    cube[10:14, 20:24, 40:44] = True
    # Voxels of the PET whose centers lie in the ball: read off the PET itself.
    pet = sitk.GetArrayFromImage(imageFromVolumeNode(study.pet))
    ball_ml = float((mask & ~cube).sum()) * 4.5**3 / 1000
    require(abs(_number(app, 0, "MTV") - ball_ml) < 0.006, f"the ball has {cellText(app, 0, 'MTV')} ml, not {ball_ml}")
    require(abs(_number(app, 0, "SUVmax") - pet.max()) < 0.006, f"SUVmax of the ball is {cellText(app, 0, 'SUVmax')}")
    tlg = _number(app, 0, "mean") * ball_ml
    require(abs(_number(app, 0, "TLG") - tlg) < 0.01 * tlg, f"TLG of the ball is {cellText(app, 0, 'TLG')}, not {tlg}")
    require(abs(_number(app, 1, "SUVmax") - 1.0) < 0.006, f"SUVmax of the cube is {cellText(app, 1, 'SUVmax')}")
    require("2 lesions" in app.ui.lesionSummaryLabel.text, f"the summary is {app.ui.lesionSummaryLabel.text!r}")
    view = app.scene.GetFirstNodeByClass("vtkMRMLSliceNode") or app.scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    app.ui.lesionTable.selectRow(1)
    middle = [view.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]
    lps = geometryOfVolumeNode(study.ct).points(np.array([[41.5, 21.5, 11.5]]))[0]
    away = float(np.abs(np.array(middle) - lps * (-1, -1, 1)).max())
    require(away < 4.6, f"after a click on the row the view is {away:.1f} mm away from the cube")


def aRejectedLesionLeavesTheSegmentAndUndoBringsItBack(app: SlicerApplication) -> None:
    """Reject moves the lesion out of the segment, undo brings it back, and so does a second click."""
    study, segmentId = openLesions(app)
    before = _voxels(study, segmentId)
    app.ui.lesionTable.selectRow(1)
    app.click(app.ui.lesionRejectButton)
    app.wait(lambda: cellText(app, 1, "Decision") == "rejected", "the row says so", 10)
    require(int(before.sum() - _voxels(study, segmentId).sum()) == 64, "the segment did not lose the 64 voxels")
    require(app.ui.lesionSummaryLabel.text.startswith("1 lesion,"), app.ui.lesionSummaryLabel.text)
    app.panel.editor.undo()
    app.wait(lambda: cellText(app, 1, "Decision") == "open", "undo reopens the lesion", 10)
    require(np.array_equal(_voxels(study, segmentId), before), "undo did not bring the voxels back")
    app.panel.editor.redo()
    app.wait(lambda: cellText(app, 1, "Decision") == "rejected", "redo rejects it again", 10)
    app.ui.lesionTable.selectRow(1)
    require(app.ui.lesionRejectButton.text == "Take back", "a rejected lesion cannot be taken back")
    app.click(app.ui.lesionRejectButton)
    app.wait(lambda: cellText(app, 1, "Decision") == "open", "the lesion is taken back", 10)
    require(np.array_equal(_voxels(study, segmentId), before), "taking back did not bring the voxels back")


def decidedLesionsCompleteTheSegment(app: SlicerApplication) -> None:
    """Next, accept and reject through all lesions complete the segment; a flag shows in its status."""
    study, segmentId = openLesions(app)
    logic = moduleLogic("segmentations")
    segment = study.reference.GetSegmentation().GetSegment(segmentId)
    app.click(app.ui.lesionNextButton)
    app.click(app.ui.lesionAcceptButton)
    require(logic.GetSegmentStatus(segment) == logic.InProgress, "one of two decided is not in progress")
    app.click(app.ui.lesionNextButton)
    app.click(app.ui.lesionFlagButton)
    require(logic.GetSegmentStatus(segment) == logic.Flagged, "a flagged lesion does not flag the segment")
    app.click(app.ui.lesionRejectButton)
    app.wait(lambda: logic.GetSegmentStatus(segment) == logic.Completed, "the segment is completed", 10)
    require([cellText(app, row, "Decision") for row in range(2)] == ["accepted", "rejected"], "wrong decisions")


def savedFilesHoldWhatIsInTheScene(app: SlicerApplication) -> None:
    """Save writes segments, label map and tables, and the files read back equal."""
    study, segmentId = openLesions(app)
    wanted = _voxels(study, segmentId)
    with tempfile.TemporaryDirectory() as folder:
        app.ui.deliverFolderEdit.currentPath = folder
        app.click(app.ui.deliverButton)
        app.wait(lambda: app.ui.deliverLabel.text.startswith("Saved"), "the files are saved", 30)
        name = study.reference.GetName()
        back = loadSegmentation(app.scene, Path(folder) / f"{name}.seg.nrrd")
        found = sitk.GetArrayFromImage(segmentImage(back, contourIds(back)[0], study.ct)) > 0
        require(np.array_equal(found, wanted), "the .seg.nrrd file holds other voxels")
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(Path(folder) / f"{name}.nii.gz")))
        require(np.array_equal(labels > 0, wanted), "the label map holds other voxels")
        rows = (Path(folder) / f"{name}_lesions.csv").read_text(encoding="utf-8").splitlines()
        require(sum(not row.startswith("#") for row in rows) == 3, f"the table of lesions is {rows}")


def _voxels(study: StudyNodes, segmentId: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = sitk.GetArrayFromImage(segmentImage(study.reference, segmentId, study.ct)) > 0
    return found


def cellText(app: SlicerApplication, row: int, title: str) -> str:
    """What the table of lesions shows in the column whose title starts so."""
    table: Any = app.ui.lesionTable
    titles = [str(table.horizontalHeaderItem(column).text()) for column in range(table.columnCount)]
    column = next(number for number, text in enumerate(titles) if text.startswith(title))
    return str(table.item(row, column).text())


def _number(app: SlicerApplication, row: int, title: str) -> float:
    return float(cellText(app, row, title))


STORIES = (
    lesionsAreListedWithTheirUptake,
    aRejectedLesionLeavesTheSegmentAndUndoBringsItBack,
    decidedLesionsCompleteTheSegment,
    savedFilesHoldWhatIsInTheScene,
)
