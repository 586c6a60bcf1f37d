"""What a user does under Computer: try the devices, check a Python, look after the models, copy the log."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import slicer

from .application import SlicerApplication, require


def theComputerIsChecked(app: SlicerApplication) -> None:
    """Check this computer gives a verdict on every device, and the next run finds the worker warm."""
    app.click(app.ui.computerProbeButton)
    require(not app.ui.computerProbeButton.enabled, "the check can be started twice")
    app.wait(lambda: not app.panel.runner.busy, "the devices are tried", 60)
    lines = str(app.ui.computerProbeLabel.text).splitlines()
    require(any("CPU" in line and "ready" in line for line in lines), f"no verdict on the CPU: {lines}")
    require(app.ui.computerProbeButton.enabled, "the check cannot be repeated")
    require(app.panel.runner.warm, "the worker did not stay warm")


def aPythonIsJudged(app: SlicerApplication) -> None:
    """A path that is no Python gets one sentence; an empty field means Slicer's own."""
    edit, label = app.ui.pythonEdit, app.ui.computerPythonLabel
    try:
        edit.text = str(Path(sys.prefix) / "no-such-python")
        edit.editingFinished()
        app.wait(lambda: "cannot be run" in str(label.text), "the wrong path is noticed", 10)
        require("another" not in str(app.status).lower(), "the field spoke in the line of the run")
    finally:
        edit.text = ""
        edit.editingFinished()
    require(not str(label.text), f"after clearing the field it says {label.text!r}")
    app.click(app.ui.computerPythonCheckButton)
    check = app.panel.sections["Computer"].pythonCheck
    app.wait(lambda: not check.busy, "Slicer's own Python answers", 30)
    require("Python 3." in str(label.text), f"the verdict is {label.text!r}")


def aModelIsVerified(app: SlicerApplication) -> None:
    """A chosen model shows its card, and Verify compares its weights with it while Slicer stays usable."""
    models, ui = app.panel.sections["Computer"].models, app.ui
    models.fill()
    table = ui.computerModelsTable
    require(table.rowCount >= 1, "no model is listed")
    table.selectRow(0)
    require("sha256" in str(ui.computerModelInfo.plainText), "the card does not say the checksum")
    require(table.item(0, 4).text() == "not checked", f"before the check it says {table.item(0, 4).text()!r}")
    app.click(ui.computerModelVerifyButton)
    app.wait(lambda: not models.busy, "the weights are compared", 60)
    require(table.item(0, 4).text() == "as the card says", f"{ui.computerModelLabel.text}")


def aFolderWithoutModelIsRefused(app: SlicerApplication) -> None:
    """Adding a folder that holds no model is one sentence, and the list stays as it was."""
    models, ui = app.panel.sections["Computer"].models, app.ui
    models.fill()
    before = ui.computerModelsTable.rowCount
    with TemporaryDirectory() as folder:
        models.addFrom(folder)
        require(models.busy and bool(ui.computerModelCancelButton.enabled), "it cannot be stopped")
        app.wait(lambda: not models.busy, "the folder is looked at", 60)
    require("model" in str(ui.computerModelLabel.text).lower(), f"it says {ui.computerModelLabel.text!r}")
    require("Traceback" not in str(ui.computerModelLabel.text), "a traceback in the panel")
    require(ui.computerModelsTable.rowCount == before, "the list of models changed")


def theLicenceComesBeforeTheDownload(app: SlicerApplication) -> None:
    """A public model can be downloaded only after its licence was accepted, for this model alone."""
    ui = app.ui
    require(not ui.computerDownloadButton.enabled, "a download without an accepted licence")
    require("Licence:" in str(ui.computerCatalogueLabel.text), "the licence is not shown")
    ui.computerLicenceCheckBox.checked = True
    require(ui.computerDownloadButton.enabled, "the accepted model cannot be downloaded")
    ui.computerCatalogueSelector.currentIndex = 1
    require(not ui.computerDownloadButton.enabled, "the licence of another model was taken as accepted")
    ui.computerCatalogueSelector.currentIndex = 0


def theCopiedLogNamesNoPatient(app: SlicerApplication) -> None:
    """Copy log puts versions and lines on the clipboard; the names of nodes are replaced."""
    node = app.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Doe^Jane 1960")
    app.panel.changed()
    logging.getLogger("PETCTFusionSeg").info("read %s with 3 slices", node.GetName())
    app.scene.RemoveNode(node)
    app.click(app.ui.computerLogCopyButton)
    copied = str(slicer.app.clipboard().text())
    require("Doe" not in copied, "the copied log names a patient")
    require("read <name> with 3 slices" in copied, "the copied log lacks the line")
    require("Slicer: " in copied and "System: " in copied, "the copied log lacks the versions")


STORIES = (
    theComputerIsChecked,
    aPythonIsJudged,
    aModelIsVerified,
    aFolderWithoutModelIsRefused,
    theLicenceComesBeforeTheDownload,
    theCopiedLogNamesNoPatient,
)
