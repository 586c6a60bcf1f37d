"""What may happen during a run: edits, deleted nodes, another module, a reload. Nothing that was drawn is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk

from PETCTFusionSegLib.mrml.segmentations import segmentImage, setSegmentImage
from PETCTFusionSegLib.mrml.volumes import imageFromVolumeNode, volumeNodeFromImage

from .application import SlicerApplication, require
from .steps import chooseStudy, waitForProgress, waitForResult
from .study import StudyNodes, addStudy, imageOfReference


class Drawing:
    """A segmentation that the user drew by hand: the small study's ball, in a node of its own."""

    def __init__(self, app: SlicerApplication, study: StudyNodes) -> None:
        self._ct = study.ct
        self._mask = imageOfReference(study)
        self.node = app.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Drawn by hand")
        self.node.CreateDefaultDisplayNodes()
        self.node.SetReferenceImageGeometryParameterFromVolumeNode(study.ct)
        self.segmentId = self.node.GetSegmentation().AddEmptySegment("", "By hand")
        self.draw(self._mask)

    def draw(self, mask: sitk.Image) -> None:
        """Replace what is drawn."""
        self._mask = mask
        setSegmentImage(self.node, self.segmentId, mask)

    def requireIntact(self) -> None:
        """Every voxel is as it was drawn."""
        kept = sitk.GetArrayFromImage(segmentImage(self.node, self.segmentId, self._mask))
        require(np.array_equal(kept, sitk.GetArrayFromImage(self._mask)), "what the user drew has changed")


def editsDuringARunAreKept(app: SlicerApplication) -> None:
    """While a run goes on another segmentation is edited: the edit stays, and the editor stays with it."""
    study = chooseStudy(app)
    drawing = Drawing(app, study)
    app.panel.editor.edit(drawing.node, study.ct)
    app.ui.segmentEditorWidget.setActiveEffectByName("Paint")
    app.click(app.ui.applyButton)
    waitForProgress(app)
    drawing.draw(_shifted(imageOfReference(study), 3))
    app.wait(lambda: not app.panel.runner.busy, "the run ends")
    require(app.panel.editor.segmentation() is drawing.node, "the editor was taken away from the user's segmentation")
    require("You are editing" in app.status, f"the panel says {app.status!r}")
    drawing.requireIntact()
    require(_resultOf(app, "Story CT tumor") is not None, "there is no result")
    app.ui.segmentEditorWidget.setActiveEffect(None)


def deletedPetKeepsTheResult(app: SlicerApplication) -> None:
    """When the PET is deleted during the run, the result comes and the sentence says so."""
    study = chooseStudy(app)
    _runAndDelete(app, study, study.pet)
    require('PET "Story PET" was removed' in app.status, f"the panel says {app.status!r}")
    require(_resultOf(app, "Story CT tumor") is not None, "there is no result")


def deletedReferenceKeepsTheResult(app: SlicerApplication) -> None:
    """When the reference is deleted during the run, the result comes, and Compare waits for another reference."""
    study = chooseStudy(app, withReference=True)
    _runAndDelete(app, study, study.reference)
    require(_resultOf(app, "Story CT tumor") is not None, f"there is no result; the panel says {app.status!r}")
    require("Choose a reference" in app.ui.CompareWaitLabel.text, f"Compare says {app.ui.CompareWaitLabel.text!r}")


def deletedOutputGivesANewSegmentation(app: SlicerApplication) -> None:
    """When the segmentation to be replaced is deleted during the run, the result goes into a new one."""
    study = chooseStudy(app)
    output = app.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "To be replaced")
    app.ui.outputSelector.setCurrentNode(output)
    _runAndDelete(app, study, output)
    require('The result is in "Story CT tumor"' in app.status, f"the panel says {app.status!r}")


def deletedExtraVolumeChangesNothing(app: SlicerApplication) -> None:
    """When the additional volume is deleted during the run, the result comes all the same."""
    study = chooseStudy(app)
    extra = volumeNodeFromImage(app.scene, imageFromVolumeNode(study.pet), "Story MR", "MR")
    app.ui.extraSelector.setCurrentNode(extra)
    require("does not use" in app.ui.modelNoteLabel.text, f"the panel says {app.ui.modelNoteLabel.text!r} of the MR")
    _runAndDelete(app, study, extra)
    require(_resultOf(app, "Story CT tumor") is not None, f"there is no result; the panel says {app.status!r}")


def deletedEditedSegmentationChangesNothing(app: SlicerApplication) -> None:
    """When the segmentation in the editor is deleted during the run, the result takes its place."""
    study = chooseStudy(app)
    app.panel.editor.edit(study.reference, study.ct)
    _runAndDelete(app, study, study.reference)
    require(app.panel.editor.segmentation() is _resultOf(app, "Story CT tumor"), "the result is not in the editor")


def leavingTheModuleLetsTheRunGoOn(app: SlicerApplication) -> None:
    """The module is left during a run and entered after it: the result is there."""
    study = chooseStudy(app)
    drawing = Drawing(app, study)
    app.click(app.ui.applyButton)
    waitForProgress(app)
    app.widget.exit()
    app.wait(lambda: not app.panel.runner.busy, "the run ends")
    app.widget.enter()
    require(_resultOf(app, "Story CT tumor") is not None, f"there is no result; the panel says {app.status!r}")
    require(app.ui.applyButton.text == "Apply", "Cancel did not turn back into Apply")
    drawing.requireIntact()


def reloadingTheModuleDuringARun(app: SlicerApplication) -> None:
    """The module is reloaded during a run: the worker goes with it, what was drawn stays, and Apply works again."""
    study = chooseStudy(app)
    drawing = Drawing(app, study)
    model = app.ui.modelSelector.currentIndex
    app.click(app.ui.applyButton)
    waitForProgress(app)
    app.reload()
    require(app.panel.bench.study.ct is study.ct, "the scene's own choice of the CT is not shown after a reload")
    require(app.ui.petSelector.currentNode() is study.pet, "the scene's own choice of the PET is not shown")
    require(app.ui.modelSelector.currentIndex == model, "the model is another one after a reload")
    drawing.requireIntact()
    app.click(app.ui.applyButton)
    waitForResult(app)
    drawing.requireIntact()


def closingTheSceneAfterAResult(app: SlicerApplication) -> None:
    """The scene is closed while a result is compared and edited: nothing is left, and the next study works."""
    chooseStudy(app, withReference=True)
    app.click(app.ui.applyButton)
    waitForResult(app)
    app.scene.Clear(False)
    require(app.panel.editor.segmentation() is None, "a segmentation of the closed scene is in the editor")
    require(app.ui.comparisonTable.rowCount == 0, "numbers of the closed scene are shown")
    require(not app.ui.applyButton.enabled, "Apply is possible without a study")


def twoStudiesOneAfterAnother(app: SlicerApplication) -> None:
    """A second study is loaded into the scene: each has its own result, and the first one stays as it was."""
    chooseStudy(app)
    app.click(app.ui.applyButton)
    first = Result(app, waitForResult(app))
    other = addStudy(app.scene)
    other.ct.SetName("Second CT")
    other.pet.SetName("Second PET")
    app.ui.ctSelector.setCurrentNode(other.ct)
    app.ui.petSelector.setCurrentNode(other.pet)
    app.click(app.ui.applyButton)
    second = waitForResult(app)
    require(second.GetName() == "Second CT tumor", f"the second result is {second.GetName()!r}")
    require(second is not first.node, "the second result replaced the first")
    first.requireUnchanged()


def hiddenTransformThatIsHardened(app: SlicerApplication) -> None:
    """The study hangs below a hidden transform that is hardened during the run: the result lies where the CT lies."""
    import vtk

    study = chooseStudy(app)
    transform = app.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Registration")
    transform.SetHideFromEditors(True)
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 40.0)
    transform.SetMatrixTransformToParent(matrix)
    for node in (study.ct, study.pet):
        node.SetAndObserveTransformNodeID(transform.GetID())
    app.click(app.ui.applyButton)
    waitForProgress(app)
    study.ct.HardenTransform()
    Result(app, waitForResult(app)).requireUnchanged()


def movedPetIsRefusedBeforeApply(app: SlicerApplication) -> None:
    """The PET is moved off the CT: the verdict refuses before Apply, and says ready again when it is moved back."""
    import vtk

    study = chooseStudy(app)
    transform = app.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Far away")
    study.pet.SetAndObserveTransformNodeID(transform.GetID())
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(2, 3, 5000.0)
    transform.SetMatrixTransformToParent(matrix)
    app.wait(lambda: "do not overlap" in app.ui.verdictLabel.text, "the verdict follows the transform", 5)
    require(not app.ui.applyButton.enabled, "Apply is possible although the volumes do not overlap")
    transform.SetMatrixTransformToParent(vtk.vtkMatrix4x4())
    app.wait(lambda: app.ui.applyButton.enabled, "the verdict follows the transform back", 5)
    require("resampled" in app.ui.verdictLabel.text, f"the verdict is {app.ui.verdictLabel.text!r}")


class Result:
    """A result and what the network said; on the CT's grid they are the same voxels."""

    def __init__(self, app: SlicerApplication, node: Any) -> None:
        self.node = node
        self._labels = app.panel.bench.results.of(node).labels

    def requireUnchanged(self) -> None:
        """The segment has exactly the voxels of the network's answer, at the place of the CT."""
        segmentId = self.node.GetSegmentation().GetNthSegmentID(0)
        shown = sitk.GetArrayFromImage(segmentImage(self.node, segmentId, self._labels))
        said = sitk.GetArrayFromImage(self._labels) == 1
        require(
            np.array_equal(shown != 0, said), f"{np.count_nonzero((shown != 0) != said)} voxels of a result changed"
        )


def _runAndDelete(app: SlicerApplication, study: StudyNodes, node: Any) -> None:
    """Run, delete a node while windows are computed, wait for the end; what was drawn must be there."""
    drawing = Drawing(app, study)
    app.click(app.ui.applyButton)
    waitForProgress(app)
    app.scene.RemoveNode(node)
    app.wait(lambda: not app.panel.runner.busy, "the run ends")
    drawing.requireIntact()
    require(app.ui.applyButton.text == "Apply", "Cancel did not turn back into Apply")


def _resultOf(app: SlicerApplication, name: str) -> Any:
    return app.scene.GetFirstNode(name, "vtkMRMLSegmentationNode")


def _shifted(mask: sitk.Image, voxels: int) -> sitk.Image:
    moved = sitk.GetImageFromArray(np.roll(sitk.GetArrayViewFromImage(mask), voxels, axis=2))
    moved.CopyInformation(mask)
    return moved


STORIES = (
    editsDuringARunAreKept,
    deletedPetKeepsTheResult,
    deletedReferenceKeepsTheResult,
    deletedOutputGivesANewSegmentation,
    deletedExtraVolumeChangesNothing,
    deletedEditedSegmentationChangesNothing,
    leavingTheModuleLetsTheRunGoOn,
    reloadingTheModuleDuringARun,
    closingTheSceneAfterAResult,
    twoStudiesOneAfterAnother,
    hiddenTransformThatIsHardened,
    movedPetIsRefusedBeforeApply,
)
