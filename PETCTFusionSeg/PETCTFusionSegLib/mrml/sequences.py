"""Volumes that follow each other, such as the phases of a breath, as Slicer's sequence with a browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import SimpleITK as sitk

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.i18n import _

from .headless import moduleLogic
from .volumes import Kind, fillVolumeNode, volumeNodeFromImage

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLScene, vtkMRMLSequenceBrowserNode, vtkMRMLSequenceNode


@dataclass(frozen=True)
class VolumeSequence:
    """The stored volumes, the browser that steps through them, and the volume in the scene that shows one of them."""

    sequence: vtkMRMLSequenceNode
    browser: vtkMRMLSequenceBrowserNode
    shown: vtkMRMLScalarVolumeNode


def addVolumeSequence(
    scene: vtkMRMLScene, images: Sequence[sitk.Image], percents: Sequence[int], name: str, kind: Kind
) -> VolumeSequence:
    """Put the images (LPS, mm) into the scene as phases of a breath, numbered in percent; the first one is shown.

    Raises `BadInputError` when there are no images, or not one percentage an image.
    """
    if not images or len(images) != len(percents):
        raise BadInputError(
            _("{volumes} volumes and {phases} phases make no sequence.").format(
                volumes=len(images), phases=len(percents)
            ),
            _("Give one phase a volume."),
        )
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", scene.GenerateUniqueName(f"{name} phases"))
    sequence.SetIndexName("phase")
    sequence.SetIndexUnit("%")
    sequence.SetIndexType(sequence.NumericIndex)
    for image, percent in zip(images, percents, strict=True):
        stored = scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
        stored.UnRegister(None)
        stored.SetName(f"{name} {percent} %")
        fillVolumeNode(stored, image)
        sequence.SetDataNodeAtValue(stored, str(percent))
    shown = volumeNodeFromImage(scene, images[0], name, kind)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", scene.GenerateUniqueName(f"{name} browser"))
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.AddProxyNode(shown, sequence, False)
    browser.SetPlaybackRateFps(len(images) / 4.0)
    showPhase(browser, 0)
    return VolumeSequence(sequence, browser, shown)


def showPhase(browser: vtkMRMLSequenceBrowserNode, number: int) -> None:
    """Let the shown volumes be those of the phase `number`, counted from 0."""
    browser.SetSelectedItemNumber(number)
    moduleLogic("sequences").UpdateProxyNodesFromSequences(browser)
