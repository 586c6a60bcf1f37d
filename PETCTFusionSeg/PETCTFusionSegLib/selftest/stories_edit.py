"""What a user does with a result: moves the threshold, clicks, draws, and takes it back."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.inference.clicks import REACH_MM
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.mrml.probability import resultSegmentId
from PETCTFusionSegLib.mrml.segmentations import isEdited, segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.volumes import geometryOfVolumeNode

from .application import SlicerApplication, require
from .steps import chooseStudy, waitForResult
from .study import StudyNodes

Mask = NDArray[np.bool_]
Index = tuple[int, int, int]


class EditedResult:
    """A finished run whose slider is ready, and its mask on the CT's grid."""

    def __init__(self, app: SlicerApplication) -> None:
        self.app = app
        self.study: StudyNodes = chooseStudy(app)
        app.click(app.ui.applyButton)
        self.node: Any = waitForResult(app)
        self.grid: Geometry = geometryOfVolumeNode(self.study.ct)
        app.wait(lambda: app.ui.editThresholdSlider.enabled, "the threshold slider is ready", 10)

    def mask(self) -> Mask:
        """The network's segment as it is now."""
        image = segmentImage(self.node, resultSegmentId(self.node), self.study.ct)
        return np.asarray(sitk.GetArrayFromImage(image) != 0)

    def draw(self, mask: Mask) -> None:
        """Draw with the editor: the segment becomes this mask."""
        setSegmentImage(self.node, resultSegmentId(self.node), self.grid.image(mask.astype(np.uint8)))

    def clickInto(self, button: Any, voxel: Index) -> None:
        """Press a button of the section, and click into a view at a voxel (z, y, x)."""
        app = self.app
        app.click(button)
        selection = app.scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
        interaction = app.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        require(interaction.GetCurrentInteractionMode() == interaction.Place, f'"{button.text}" does not place a point')
        x, y, z = (float(v) for v in self.grid.points(np.array([voxel[::-1]], dtype=np.float64))[0])
        app.scene.GetNodeByID(selection.GetActivePlaceNodeID()).AddControlPointWorld([-x, -y, z])
        # Slicer leaves the single place mode by itself after a click of the mouse.
        interaction.SwitchToViewTransformMode()
        require(not button.checked, f'"{button.text}" stays pressed after the click')

    def waitForAnswer(self, words: str) -> None:
        """Wait until the click is answered and the panel says so."""
        self.app.wait(lambda: words in self.app.status and not self.app.panel.runner.busy, "the click is answered", 20)

    def near(self, voxel: Index) -> Mask:
        """Voxels that a click may change."""
        axes = np.ogrid[tuple(slice(0, size) for size in self.grid.shape)]
        parts = zip(axes, voxel, self.grid.spacing_zyx, strict=True)
        return np.asarray(sum(((axis - at) * step) ** 2 for axis, at, step in parts) <= REACH_MM**2)


def theThresholdMovesTheResultAndUndoGivesItBack(app: SlicerApplication) -> None:
    """Another threshold gives another volume at once; Undo gives mask and threshold back, Redo takes them again."""
    result = EditedResult(app)
    before, threshold = result.mask(), app.ui.editThresholdSpinBox.value
    moved = _moveUntilChanged(result, before)
    require(isEdited(result.node), "a result at another threshold would be overwritten by the next run")
    app.click(app.ui.editUndoButton)
    app.wait(lambda: app.ui.editThresholdSpinBox.value == threshold, "Undo gives the threshold back", 5)
    require(np.array_equal(result.mask(), before), "Undo did not give the mask back")
    require(not isEdited(result.node), "a result that was put back counts as edited")
    app.click(app.ui.editRedoButton)
    app.wait(lambda: app.ui.editThresholdSpinBox.value != threshold, "Redo takes the threshold again", 5)
    require(np.array_equal(result.mask(), moved), "Redo did not give the moved mask")


def whatWasDrawnStaysAtEveryThreshold(app: SlicerApplication) -> None:
    """A stroke and a hole made by hand are still there after the slider went up and down."""
    result = EditedResult(app)
    before = result.mask()
    block = np.zeros_like(before)
    block[20:26, 20:26, 20:26] = True
    drawn = before ^ block
    result.draw(drawn)
    app.pause(0.2)
    for percent in (30, 70, 45):
        app.ui.editThresholdSlider.value = percent
        app.pause(0.05)
        require(np.array_equal(result.mask()[block], drawn[block]), f"at {percent} % the drawing is gone")


def clicksChangeOnlyWhatIsNear(app: SlicerApplication) -> None:
    """A background click gives its region up, a foreground click takes one; nothing far away changes; Undo works."""
    result = EditedResult(app)
    before = result.mask()
    require(before.any() and not before.all(), "the result is empty or everything: nothing to click at")
    inside = _first(before)
    result.clickInto(app.ui.editRemoveButton, inside)
    result.waitForAnswer("removed")
    removed = result.mask()
    require(not removed[inside], "the voxel under the background click is still tumor")
    require(not ((removed != before) & ~result.near(inside)).any(), "a click changed what is far away")
    app.click(app.ui.editUndoButton)
    require(np.array_equal(result.mask(), before), "Undo did not take the click back")
    outside = _first(~before)
    result.clickInto(app.ui.editAddButton, outside)
    result.waitForAnswer("added")
    added = result.mask()
    require(added[outside], "the voxel under the foreground click is no tumor")
    require((added | before == added).all(), "a foreground click took something away")
    require(not ((added != before) & ~result.near(outside)).any(), "a click changed what is far away")


def drawingDuringAClicksAnswerIsKept(app: SlicerApplication) -> None:
    """What is drawn while the worker answers a click stays as it was drawn, also beside the click."""
    result = EditedResult(app)
    before = result.mask()
    inside = _first(before)
    with _heldWorker(app):
        result.clickInto(app.ui.editRemoveButton, inside)
        app.wait(lambda: app.panel.runner.busy, "the click is sent", 5)
        drawn = before.copy()
        drawn[tuple(slice(max(at - 4, 0), at + 5) for at in inside)] = True
        painted = drawn & ~before
        result.draw(drawn)
    require(painted.any(), "there was nothing to paint beside the click")
    result.waitForAnswer("removed")
    after = result.mask()
    require(after[painted].all(), "the drawing was changed by the click")
    require(not after[inside], "the click did nothing")
    app.click(app.ui.editUndoButton)
    require(np.array_equal(result.mask(), drawn), "Undo of the click does not end at what was drawn")


def aKilledWorkerLosesOnlyTheClick(app: SlicerApplication) -> None:
    """When the worker dies during a click, the segment stays, the panel says so, and the next click works."""
    result = EditedResult(app)
    before = result.mask()
    inside = _first(before)
    with _heldWorker(app):
        result.clickInto(app.ui.editRemoveButton, inside)
        app.wait(lambda: app.panel.runner.busy, "the click is sent", 5)
        os.kill(app.panel.runner.workerPid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    app.wait(lambda: not app.panel.runner.busy, "the death is noticed", 10)
    require("Nothing you edited is lost" in app.status, f"after the death the panel says {app.status!r}")
    require(np.array_equal(result.mask(), before), "the segment changed although the worker died")
    result.clickInto(app.ui.editRemoveButton, inside)
    result.waitForAnswer("removed")


def _moveUntilChanged(result: EditedResult, before: Mask) -> Mask:
    """Drag the slider away from the run's threshold until the mask is another one."""
    app = result.app
    for percent in (40, 30, 20, 10, 60, 70, 80):
        app.ui.editThresholdSlider.value = percent
        app.pause(0.05)
        moved = result.mask()
        if not np.array_equal(moved, before):
            return moved
    require(False, "no threshold changes the mask")
    return before


@contextlib.contextmanager
def _heldWorker(app: SlicerApplication) -> Iterator[None]:
    """The worker answers nothing meanwhile, where the system can hold a process."""
    pid = app.panel.runner.workerPid
    if sys.platform == "win32":
        yield
        return
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _first(mask: Mask) -> Index:
    z, y, x = (int(v) for v in np.argwhere(mask)[0])
    return z, y, x


STORIES = (
    theThresholdMovesTheResultAndUndoGivesItBack,
    whatWasDrawnStaysAtEveryThreshold,
    clicksChangeOnlyWhatIsNear,
    drawingDuringAClicksAnswerIsKept,
    aKilledWorkerLosesOnlyTheClick,
)
