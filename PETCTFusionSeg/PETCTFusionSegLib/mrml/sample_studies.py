"""The sample studies: simulated patients with known contours, as the nodes that a user would have loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import SimpleITK as sitk

from petctfusion.models.card import Code, LabelSpec, Terminology
from petctfusion.phantom import LesionSpec, Phantom, PhantomSettings
from petctfusion.phantom.breathing import BreathingPhantom

from .headless import moduleLogic
from .segmentations import TOKEN_ATTRIBUTE, createSegmentation, setSegmentImage
from .sequences import VolumeSequence, addVolumeSequence
from .terminology import NEOPLASM
from .volumes import volumeNodeFromImage

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLScene, vtkMRMLSegmentationNode

SAMPLE_PATIENT = PhantomSettings(
    seed=7,
    field_of_view="thigh",
    ct_spacing_mm=(1.5, 1.5, 3.0),
    fine_mm=2.0,
    ct_noise_hu=20.0,
    lesions=(
        LesionSpec("thigh-right", 66.0, 8.0, necrosis=0.25, irregularity=0.2, elongation=1.4, texture=0.3),
        LesionSpec("thigh-back-right", 22.0, 7.0),
    ),
)
"""A thigh with a sarcoma and, behind it, a deposit that is too small for the shipped models."""
_TARGET = Code("99PETCT", "RTTARGET", "Radiotherapy target volume")
_GTV = Terminology(_TARGET, Code("99PETCT", "GTV", "Gross tumor volume (GTV)"))
_IGTV = Terminology(_TARGET, Code("99PETCT", "IGTV", "Internal gross tumor volume (IGTV)"))
_GREEN, _CYAN, _RED = (0, 158, 115), (86, 180, 233), (213, 94, 0)


@dataclass(frozen=True)
class SampleStudy:
    """The nodes of a sample; `ct` of a breathing one shows one phase of `phases`."""

    ct: vtkMRMLScalarVolumeNode
    pet: vtkMRMLScalarVolumeNode
    reference: vtkMRMLSegmentationNode
    phases: VolumeSequence | None = None


def addSamplePatient(scene: vtkMRMLScene, phantom: Phantom) -> SampleStudy:
    """CT, PET in SUVbw and the true contour of a phantom."""
    ct = volumeNodeFromImage(scene, phantom.ct, "Phantom CT", "CT")
    pet = volumeNodeFromImage(scene, phantom.pet, "Phantom PET", "PET")
    spec = LabelSpec(1, "Tumor", NEOPLASM, _GREEN)
    return SampleStudy(ct, pet, _reference(scene, phantom.reference, [spec], ct, "Phantom reference"))


def addBreathingPatient(scene: vtkMRMLScene, phantom: BreathingPhantom) -> SampleStudy:
    """A CT that steps through the phases, the PET of all phases together, and the true contours: the IGTV and the
    tumor of every phase."""
    phases = addVolumeSequence(scene, phantom.cts, phantom.percents, "Breathing CT", "CT")
    pet = volumeNodeFromImage(scene, phantom.pet, "Breathing PET", "PET")
    specs = [LabelSpec(1, "IGTV", _IGTV, _CYAN)]
    specs += [LabelSpec(2 + i, f"GTV {percent} %", _GTV, _RED) for i, percent in enumerate(phantom.percents)]
    reference = _reference(scene, phantom.igtv, specs, phases.shown, "Breathing reference", phantom.references)
    return SampleStudy(phases.shown, pet, reference, phases)


def _reference(
    scene: vtkMRMLScene,
    labels: sitk.Image,
    specs: list[LabelSpec],
    ct: vtkMRMLScalarVolumeNode,
    name: str,
    overlapping: Sequence[sitk.Image] = (),
) -> vtkMRMLSegmentationNode:
    """A finished segmentation; the masks `overlapping` fill the segments behind the first one, which `labels` fills."""
    node = createSegmentation(scene, labels, specs, ct, name, {"Origin": "simulated"})
    segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
    # Without the mark of an untouched result no run may replace the contour.
    node.RemoveAttribute(TOKEN_ATTRIBUTE)
    for number, mask in enumerate(overlapping, start=1):
        setSegmentImage(node, segmentation.GetNthSegmentID(number), mask)
    status = moduleLogic("segmentations")
    for number, segmentId in enumerate(segmentation.GetSegmentIDs()):
        status.SetSegmentStatus(segmentation.GetSegment(segmentId), status.Completed)
        display.SetSegmentOpacity2DFill(segmentId, 0.0)
        display.SetSegmentVisibility(segmentId, number < 2)
    return node
