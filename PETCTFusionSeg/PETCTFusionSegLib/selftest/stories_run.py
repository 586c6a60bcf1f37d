"""Stories of a run: Apply, progress, the result, the live numbers, Cancel, a killed worker, unknown units."""

from __future__ import annotations

import os
import signal
import sys

import SimpleITK as sitk

from PETCTFusionSegLib.mrml.segmentations import segmentImage, setSegmentImage

from .application import SlicerApplication, require
from .steps import chooseStudy, waitForProgress, waitForResult
from .study import imageOfReference


def applyGivesAnEditableResultWithProgress(app: SlicerApplication) -> None:
    """Apply shows progress, and gives a segmentation that can be edited."""
    study = chooseStudy(app)
    app.click(app.ui.applyButton)
    require(app.ui.applyButton.text == "Cancel", "Apply did not turn into Cancel")
    result = waitForResult(app)
    steps = {line for line in app.seen if "%" in line}
    require(len(steps) >= 3, f"only {len(steps)} progress steps were seen: {app.seen}")
    require(app.ui.applyButton.text == "Apply", "Cancel did not turn back into Apply")
    segmentId = result.GetSegmentation().GetNthSegmentID(0)
    empty = imageOfReference(study) * 0
    setSegmentImage(result, segmentId, empty)
    require(_voxels(segmentImage(result, segmentId, study.ct)) == 0, "the result could not be emptied")


def diceAndHd95FollowAnEdit(app: SlicerApplication) -> None:
    """With a reference the table shows Dice and HD95, and follows an edit."""
    study = chooseStudy(app, withReference=True)
    app.click(app.ui.applyButton)
    result = waitForResult(app)
    table = app.ui.comparisonTable
    app.wait(lambda: table.rowCount == 1, "the table is filled", 30)
    segmentId = result.GetSegmentation().GetNthSegmentID(0)
    setSegmentImage(result, segmentId, imageOfReference(study))
    app.wait(lambda: table.item(0, 1).text() == "1.000", "Dice becomes 1 after the reference was drawn", 30)
    require(table.item(0, 2).text() == "0.0", f"HD95 is {table.item(0, 2).text()} for equal masks")
    setSegmentImage(result, segmentId, imageOfReference(study) * 0)
    app.wait(lambda: table.item(0, 1).text() == "0.000", "Dice becomes 0 for an empty segment", 30)
    require(table.item(0, 2).text() == "no contour", "an empty segment has an HD95")


def cancelStopsTheRun(app: SlicerApplication) -> None:
    """Cancel stops the run, the worker stays warm, and the next run works."""
    chooseStudy(app)
    app.click(app.ui.applyButton)
    waitForProgress(app)
    app.click(app.ui.applyButton)
    app.wait(lambda: not app.panel.runner.busy, "the run stops", 5)
    require(app.status == "Cancelled.", f"after Cancel the panel says {app.status!r}")
    require(app.panel.editor.segmentation() is None, "a cancelled run left a result")
    app.click(app.ui.applyButton)
    waitForResult(app)


def killedWorkerIsStartedAgain(app: SlicerApplication) -> None:
    """A worker that is killed is started again, the panel says so, and the next run works."""
    chooseStudy(app)
    app.click(app.ui.applyButton)
    waitForProgress(app)
    before = app.panel.runner.workerPid
    os.kill(before, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    app.wait(lambda: not app.panel.runner.busy, "the death is noticed", 10)
    require("started again" in app.status, f"after the death the panel says {app.status!r}")
    app.click(app.ui.applyButton)
    waitForResult(app)
    require(app.panel.runner.workerPid not in (0, before), "the run was done by no new worker")


def deletedVolumeDropsTheResult(app: SlicerApplication) -> None:
    """When the CT is deleted during the run, the result is dropped with a sentence."""
    study = chooseStudy(app)
    app.click(app.ui.applyButton)
    waitForProgress(app)
    app.scene.RemoveNode(study.ct)
    app.wait(lambda: not app.panel.runner.busy, "the run ends")
    require("Story CT" in app.status and "dropped" in app.status, f"the panel says {app.status!r}")
    require(app.panel.editor.segmentation() is None, "a result without its CT was put into the scene")


def closedSceneStopsTheRun(app: SlicerApplication) -> None:
    """When the scene is closed during the run, the run stops; a new study can be segmented at once."""
    chooseStudy(app)
    app.click(app.ui.applyButton)
    waitForProgress(app)
    app.scene.Clear(False)
    app.wait(lambda: not app.panel.runner.busy, "the run stops", 5)
    require("scene was closed" in app.status, f"the panel says {app.status!r}")
    chooseStudy(app)
    app.click(app.ui.applyButton)
    waitForResult(app)


def unknownUnitsAreAsked(app: SlicerApplication) -> None:
    """A PET that does not say its units is asked for in the panel; nothing is guessed."""
    study = chooseStudy(app, unitsKnown=False)
    require(not app.ui.applyButton.enabled, "Apply is possible although the units are unknown")
    app.ui.petUnitsSelector.currentIndex = 1
    require(app.ui.applyButton.enabled, f"Apply is disabled: {app.ui.applyButton.toolTip}")
    app.click(app.ui.applyButton)
    result = waitForResult(app)
    units = result.GetAttribute("PETCTFusionSeg.PETUnits")
    require(units == "SUVbw (declared by the user)", f"the result says the PET was in {units}")
    require(study.pet.GetAttribute("PETCTFusionSeg.PETUnits") == "SUVbw", "the choice is not kept with the PET")


def _voxels(mask: sitk.Image) -> int:
    return int(sitk.GetArrayViewFromImage(mask).sum())


STORIES = (
    applyGivesAnEditableResultWithProgress,
    diceAndHd95FollowAnEdit,
    cancelStopsTheRun,
    killedWorkerIsStartedAgain,
    deletedVolumeDropsTheResult,
    closedSceneStopsTheRun,
    unknownUnitsAreAsked,
)
