"""A result comes home: into the scene as it is now, which may not be the scene the run started from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import SimpleITK as sitk
import vtk

from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry

from .segmentations import ATTRIBUTE_PREFIX, createSegmentation, isEdited
from .volumes import geometryOfVolumeNode

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLScene, vtkMRMLSegmentationNode, vtkMRMLVolumeNode


class NodeHandle:
    """A node by ID that notices when the node is gone, even when a new node in a cleared scene got the same ID."""

    def __init__(self, node: vtkMRMLNode) -> None:
        self.nodeId = str(node.GetID())
        self.name = str(node.GetName())
        self._weak = vtk.vtkWeakReference()
        self._weak.Set(node)

    def nodeIn(self, scene: vtkMRMLScene) -> Any | None:
        """The node when it is still in the scene, otherwise None."""
        node = self._weak.Get()
        return node if node is not None and scene.GetNodeByID(self.nodeId) is node else None


@dataclass(frozen=True)
class StudyJob:
    """What a run was started with: handles of the input nodes, the CT's world grid at that moment, and parameters."""

    ct: NodeHandle
    pet: NodeHandle
    ctGrid: Geometry
    output: NodeHandle | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def started(
        cls,
        ct: vtkMRMLVolumeNode,
        pet: vtkMRMLVolumeNode,
        output: vtkMRMLSegmentationNode | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> StudyJob:
        """A job on these nodes as they are now; `output` is a segmentation to replace, if the user asked for that."""
        return cls(
            NodeHandle(ct),
            NodeHandle(pet),
            geometryOfVolumeNode(ct),
            NodeHandle(output) if output is not None else None,
            dict(parameters or {}),
        )


@dataclass(frozen=True)
class SegmentationResult:
    """What a run brought: a label image in world space (LPS), what its values mean, and where it came from."""

    labels: sitk.Image
    labelSpecs: Sequence[LabelSpec]
    name: str
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ImportOutcome:
    """The node with the result, or None, and one sentence for the user."""

    node: vtkMRMLSegmentationNode | None
    sentence: str


def importResult(scene: vtkMRMLScene, job: StudyJob, result: SegmentationResult) -> ImportOutcome:
    """Bring a finished run into the scene, whatever happened to the scene meanwhile.

    Always a new segmentation, unless the job names one to replace and nobody edited that. When the CT is gone the
    result is dropped and the sentence says so; nothing in the scene is touched. When the CT was moved by a transform
    during the run, the result moves with it.
    """
    ct = job.ct.nodeIn(scene)
    if ct is None:
        return ImportOutcome(None, _goneSentence(scene, job))
    labels, moved = _followed(ct, job, result.labels)
    replaced = job.output.nodeIn(scene) if job.output is not None else None
    node = createSegmentation(scene, labels, result.labelSpecs, ct, result.name, result.provenance)
    for key, value in job.parameters.items():
        node.SetAttribute(f"{ATTRIBUTE_PREFIX}Parameter.{key}", str(value))
    sentences = [f'The result is in "{node.GetName()}".']
    if replaced is not None and isEdited(replaced):
        sentences.append(f'"{replaced.GetName()}" was edited and is kept as it is.')
    elif replaced is not None:
        _moveInto(scene, node, replaced)
        node = replaced
        sentences = [f'The result replaced the contents of "{node.GetName()}".']
    if job.pet.nodeIn(scene) is None:
        sentences.append(f'The PET "{job.pet.name}" was removed from the scene during the run.')
    return ImportOutcome(node, " ".join([*sentences, *moved]))


def _goneSentence(scene: vtkMRMLScene, job: StudyJob) -> str:
    if job.pet.nodeIn(scene) is None:
        return "The scene was closed during the run, so the result was dropped; load the study and run it again."
    return (
        f'The CT "{job.ct.name}" was removed from the scene during the run, so the result was dropped; '
        "load it and run it again."
    )


def _followed(ct: vtkMRMLVolumeNode, job: StudyJob, labels: sitk.Image) -> tuple[sitk.Image, list[str]]:
    """Labels on the CT's grid as it lies now; a result on another grid stays where it was computed."""
    now = geometryOfVolumeNode(ct)
    if now.same_grid(job.ctGrid):
        return labels, []
    if not Geometry.of(labels).same_grid(job.ctGrid) or now.size != job.ctGrid.size:
        return labels, [f'"{ct.GetName()}" was moved during the run; the result lies where the volume was before.']
    followed = now.image(sitk.GetArrayFromImage(labels))
    return followed, [f'"{ct.GetName()}" was moved during the run; the result follows.']


def _moveInto(scene: vtkMRMLScene, source: vtkMRMLSegmentationNode, target: vtkMRMLSegmentationNode) -> None:
    """Replace the target's segments, geometry, place and attributes by those of `source`, and remove `source`."""
    role = source.GetReferenceImageGeometryReferenceRole()
    target.GetSegmentation().DeepCopy(source.GetSegmentation())
    target.SetNodeReferenceID(role, source.GetNodeReferenceID(role))
    target.SetAndObserveTransformNodeID(source.GetTransformNodeID())
    for name in source.GetAttributeNames():
        if name.startswith(ATTRIBUTE_PREFIX):
            target.SetAttribute(name, source.GetAttribute(name))
    display = source.GetDisplayNode()
    scene.RemoveNode(source)
    if display is not None and display.GetScene() is scene:
        scene.RemoveNode(display)
