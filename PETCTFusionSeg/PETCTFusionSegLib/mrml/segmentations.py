"""Segmentation nodes: made from a label image, read back as masks, edited, and recognised as edited."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.models.card import LabelSpec
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.labels import resample_labels
from PETCTFusionSegLib.i18n import _

from .headless import importSlicer, moduleLogic
from .labelmaps import maskInFrame, orientedLabelmap, placeOnGrid, segmentVoxels
from .terminology import NEOPLASM, loadTerminology, setTerminology
from .transforms import Matrix, ijkToRasOfGeometry
from .volumes import geometryOfVolumeNode, ijkToRasOfNode, imageFromVolumeNode

if TYPE_CHECKING:
    from slicer import (
        vtkMRMLDisplayableNode,
        vtkMRMLNode,
        vtkMRMLScene,
        vtkMRMLSegmentationNode,
        vtkMRMLVolumeNode,
        vtkSegment,
    )

ATTRIBUTE_PREFIX = "PETCTFusionSeg."
TOKEN_ATTRIBUTE = ATTRIBUTE_PREFIX + "Token"


def createSegmentation(
    scene: vtkMRMLScene,
    labels: sitk.Image,
    labelSpecs: Iterable[LabelSpec],
    referenceVolumeNode: vtkMRMLVolumeNode,
    name: str,
    provenance: Mapping[str, str],
) -> vtkMRMLSegmentationNode:
    """A new segmentation with one segment per label, empty ones included.

    `labels` lies in world space (LPS), as `imageFromVolumeNode` gave the volumes. On the reference volume's grid no
    voxel changes; from another grid the labels are resampled, so that the segments have the reference's geometry. The
    node hangs below the same parent transform as the reference volume, so both move together. `provenance` ("Model",
    "Version", "Device", "Date", "Inputs", "Sha256", ...) becomes node attributes `PETCTFusionSeg.*`, and tags of every
    segment because a .seg.nrrd file keeps those only.
    """
    context = loadTerminology()
    labels = resample_labels(labels, geometryOfVolumeNode(referenceVolumeNode))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(name))
    node.CreateDefaultDisplayNodes()
    # The transform comes first: the geometry parameter is kept in the segmentation's own frame.
    node.SetAndObserveTransformNodeID(referenceVolumeNode.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(referenceVolumeNode)
    node.SetSourceRepresentationToBinaryLabelmap()
    for key, value in provenance.items():
        node.SetAttribute(ATTRIBUTE_PREFIX + key, str(value))
    for spec in labelSpecs:
        _addSegment(node, labels, context, spec, referenceVolumeNode, provenance)
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    node.SetAttribute(TOKEN_ATTRIBUTE, contentToken(node))
    placeInSubjectHierarchy(scene, node, referenceVolumeNode)
    return node


def addContour(
    scene: vtkMRMLScene, mask: sitk.Image, ct: vtkMRMLVolumeNode, name: str, color: tuple[int, int, int]
) -> vtkMRMLSegmentationNode:
    """A segmentation with one segment of this mask (non-zero is inside), which no run replaces."""
    spec = LabelSpec(value=1, name=_("Tumor"), terminology=NEOPLASM, color=color)
    node = createSegmentation(scene, sitk.Cast(mask != 0, sitk.sitkUInt8), [spec], ct, name, {})
    node.RemoveAttribute(TOKEN_ATTRIBUTE)
    return node


def segmentImage(
    node: vtkMRMLSegmentationNode, segmentId: str, reference: sitk.Image | vtkMRMLVolumeNode
) -> sitk.Image:
    """A segment as a mask (uint8, 0 and 1) on the world grid of `reference`, parent transforms honoured."""
    grid = Geometry.of(reference) if isinstance(reference, sitk.Image) else geometryOfVolumeNode(reference)
    segment = _segment(node, segmentId)
    found = segmentVoxels(node.GetBinaryLabelmapInternalRepresentation(segmentId), segment)
    if found is None:
        return grid.empty()
    return grid.image(placeOnGrid(*found, node, grid))


def setSegmentImage(node: vtkMRMLSegmentationNode, segmentId: str, mask: sitk.Image) -> None:
    """Replace the voxels of a segment by those of `mask` (non-zero is inside) that lies in world space.

    On the grid of the segmentation's reference volume no voxel changes, from another grid the mask is resampled to it.
    Other segments, also those that share the segment's layer, keep their voxels.
    """
    _segment(node, segmentId)
    volume = _referenceVolume(node)
    if volume is not None and volume.GetTransformNodeID() == node.GetTransformNodeID():
        mask = resample_labels(mask != 0, geometryOfVolumeNode(volume))
    voxels, ijkToRas = maskInFrame(mask, node, _ownGrid(volume, mask))
    segmentation = node.GetSegmentation()
    segmentation.SeparateSegmentLabelmap(segmentId)
    if not voxels.any():
        segmentation.ClearSegment(segmentId)
        return
    logic = importSlicer().vtkSlicerSegmentationsModuleLogic
    labelmap = orientedLabelmap(voxels, ijkToRas)
    if not logic.SetBinaryLabelmapToSegment(labelmap, node, segmentId, logic.MODE_REPLACE):
        raise BadInputError(
            _('The segment "{segment}" could not be written.').format(segment=segmentId),
            _("Undo the last edit and try again."),
        )


def referenceMask(
    node: vtkMRMLNode, reference: sitk.Image | vtkMRMLVolumeNode, segmentId: str | None = None
) -> sitk.Image:
    """A contour to compare with, on the world grid of `reference` (uint8).

    `node` is a segmentation (one segment, or all of them joined but for rejected lesions) or a label map volume (every
    label joined).
    """
    if node is None or not (node.IsA("vtkMRMLSegmentationNode") or node.IsA("vtkMRMLScalarVolumeNode")):
        raise BadInputError(_("The reference contour is missing."), _("Choose a segmentation or a label map volume."))
    grid = Geometry.of(reference) if isinstance(reference, sitk.Image) else geometryOfVolumeNode(reference)
    if node.IsA("vtkMRMLScalarVolumeNode"):
        return resample_labels(imageFromVolumeNode(node) != 0, grid)
    from .rejected import contourIds

    chosen = [segmentId] if segmentId else contourIds(node)
    joined = np.zeros(grid.shape, dtype=np.uint8)
    for one in chosen:
        joined |= sitk.GetArrayFromImage(segmentImage(node, one, grid.empty()))
    return grid.image(joined)


def contentToken(node: vtkMRMLSegmentationNode) -> str:
    """What the segments contain, as a short JSON text: voxels and place, not names, colours, layers or extents."""
    content: dict[str, dict[str, Any]] = {}
    segmentation = node.GetSegmentation()
    for segmentId in segmentation.GetSegmentIDs():
        labelmap = node.GetBinaryLabelmapInternalRepresentation(segmentId)
        found = segmentVoxels(labelmap, segmentation.GetSegment(segmentId))
        if found is None:
            content[segmentId] = {"voxels": "", "place": []}
            continue
        mask, matrix = found
        digest = hashlib.sha256(str(mask.shape).encode() + np.packbits(mask).tobytes()).hexdigest()
        content[segmentId] = {"voxels": digest, "place": matrix[:3].ravel().tolist()}
    return json.dumps(content)


def editedSince(node: vtkMRMLSegmentationNode, token: str) -> list[str]:
    """IDs of segments whose voxels differ from `token` (of `contentToken`), the added and removed ones included.

    Undo back to the old content counts as not edited; a rename or a new colour never counts.
    """
    before, now = json.loads(token), json.loads(contentToken(node))
    changed = [key for key in before if key not in now]
    return changed + [key for key, content in now.items() if not _sameContent(content, before.get(key))]


def isEdited(node: vtkMRMLSegmentationNode) -> bool:
    """True when a segment was edited since the node was made here; a node made by others always counts as edited."""
    token = node.GetAttribute(TOKEN_ATTRIBUTE)
    return token is None or bool(editedSince(node, token))


def placeInSubjectHierarchy(scene: vtkMRMLScene, node: vtkMRMLNode, referenceNode: vtkMRMLNode) -> None:
    """Put the node beside the reference volume: below the same study or patient.

    The desktop's plugins make items by themselves; headless they are made here.
    """
    tree = importSlicer().vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if tree is None:
        return
    reference = tree.GetItemByDataNode(referenceNode) or tree.CreateItem(tree.GetSceneItemID(), referenceNode)
    parent = tree.GetItemParent(reference) or tree.GetSceneItemID()
    item = tree.GetItemByDataNode(node)
    if item:
        tree.SetItemParent(item, parent)
    else:
        tree.CreateItem(parent, node)


def removeNode(scene: vtkMRMLScene, node: vtkMRMLDisplayableNode | None) -> None:
    """Take a node with its display and its place in the subject hierarchy out of the scene, if it is there."""
    if node is None or not scene.IsNodePresent(node):
        return
    display = node.GetDisplayNode()
    tree = importSlicer().vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = tree.GetItemByDataNode(node) if tree is not None else 0
    if item:
        # The item alone: the tree would take the node out behind its own back, and complain of that.
        tree.RemoveItem(item, False, False)
    for one in (node, display):
        if one is not None and scene.IsNodePresent(one):
            scene.RemoveNode(one)


def _addSegment(
    node: vtkMRMLSegmentationNode,
    labels: sitk.Image,
    context: str,
    spec: LabelSpec,
    referenceNode: vtkMRMLVolumeNode,
    provenance: Mapping[str, str],
) -> None:
    fallback = (ijkToRasOfNode(referenceNode), referenceNode.GetImageData().GetDimensions())
    voxels, ijkToRas = maskInFrame(labels == spec.value, node, fallback)
    segmentation = node.GetSegmentation()
    color = tuple(part / 255.0 for part in spec.color)
    segmentId = segmentation.GenerateUniqueSegmentID(spec.name)
    if voxels.any():
        labelmap = orientedLabelmap(voxels, ijkToRas)
        segmentId = node.AddSegmentFromBinaryLabelmapRepresentation(labelmap, spec.name, color, segmentId)
    else:
        segmentId = segmentation.AddEmptySegment(segmentId, spec.name, color)
    segment = segmentation.GetSegment(segmentId)
    segment.NameAutoGeneratedOff()
    segment.ColorAutoGeneratedOff()
    setTerminology(segment, context, spec.terminology)
    status = moduleLogic("segmentations")
    status.SetSegmentStatus(segment, status.InProgress)
    for key, value in provenance.items():
        segment.SetTag(ATTRIBUTE_PREFIX + key, str(value))


def _segment(node: vtkMRMLSegmentationNode, segmentId: str) -> vtkSegment:
    segment = node.GetSegmentation().GetSegment(segmentId)
    if segment is None:
        raise BadInputError(
            _('The segmentation "{name}" has no segment "{segment}".').format(name=node.GetName(), segment=segmentId),
            _("Choose a segment that exists."),
        )
    return segment


def _referenceVolume(node: vtkMRMLSegmentationNode) -> vtkMRMLVolumeNode | None:
    """The volume whose geometry the segmentation follows, when it is still there."""
    volume = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    return volume if volume is not None and volume.GetImageData() is not None else None


def _ownGrid(volume: vtkMRMLVolumeNode | None, mask: sitk.Image) -> tuple[Matrix, tuple[int, int, int]]:
    """Where to sample a mask that arrives through a bending transform: the reference volume's own grid."""
    if volume is not None:
        return ijkToRasOfNode(volume), volume.GetImageData().GetDimensions()
    return ijkToRasOfGeometry(Geometry.of(mask)), mask.GetSize()


def _sameContent(content: dict[str, Any], before: dict[str, Any] | None) -> bool:
    """Places are compared within 0.01 mm, because a file keeps them in fewer digits."""
    if before is None or content["voxels"] != before["voxels"]:
        return False
    return len(content["place"]) == len(before["place"]) and bool(
        np.allclose(content["place"], before["place"], atol=0.01, rtol=0)
    )
