"""A structure set as a segmentation: a segment for every region, of which one is what a result is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from petctfusion.volumes.regions import Regions, tumor_region

from .reference_segment import chooseReferenceSegment
from .segmentations import TOKEN_ATTRIBUTE, createSegmentation, setSegmentImage
from .terminology import NEOPLASM, loadTerminology, setTerminology
from .volumes import geometryOfVolumeNode

if TYPE_CHECKING:
    from slicer import vtkMRMLScene, vtkMRMLSegmentationNode, vtkMRMLVolumeNode


def addRegions(
    scene: vtkMRMLScene, regions: Regions, ct: vtkMRMLVolumeNode, name: str, tumorColor: tuple[int, int, int]
) -> vtkMRMLSegmentationNode:
    """A segmentation with one segment a region, which no run replaces.

    The only region whose name means a gross tumour is chosen as the reference, and the others are hidden.
    """
    grid, tumor = geometryOfVolumeNode(ct), tumor_region(regions.boxes)
    node = createSegmentation(scene, grid.empty(), [], ct, name, {})
    segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
    for region, mask in regions.masks(grid):
        color = [part / 255.0 for part in tumorColor] if region == tumor else None
        segmentId = segmentation.AddEmptySegment(segmentation.GenerateUniqueSegmentID(region), region, color)
        setSegmentImage(node, segmentId, mask)
        if region == tumor:
            setTerminology(segmentation.GetSegment(segmentId), loadTerminology(), NEOPLASM)
            chooseReferenceSegment(node, segmentId)
        elif tumor is not None:
            display.SetSegmentVisibility(segmentId, False)
    node.RemoveAttribute(TOKEN_ATTRIBUTE)
    return node
