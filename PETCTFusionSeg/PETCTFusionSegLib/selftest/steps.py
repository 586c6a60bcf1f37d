"""Steps that many stories share."""

from __future__ import annotations

from typing import Any

from .application import SlicerApplication, require
from .study import StudyNodes, addStudy


def chooseStudy(app: SlicerApplication, unitsKnown: bool = True, withReference: bool = False) -> StudyNodes:
    """Load the small study and choose its volumes in the panel."""
    study = addStudy(app.scene, unitsKnown)
    app.ui.ctSelector.setCurrentNode(study.ct)
    app.ui.petSelector.setCurrentNode(study.pet)
    if withReference:
        app.ui.referenceSelector.setCurrentNode(study.reference)
    return study


def waitForResult(app: SlicerApplication) -> Any:
    """Wait until the run is over, and return the segmentation in the editor."""
    app.wait(lambda: not app.panel.runner.busy, "the run ends")
    result = app.panel.editor.segmentation()
    require(result is not None, f"no result in the editor; the panel says: {app.status!r}")
    return result


def waitForProgress(app: SlicerApplication) -> None:
    """Wait until windows are being computed."""
    app.wait(lambda: "%" in app.status, "progress is shown")
