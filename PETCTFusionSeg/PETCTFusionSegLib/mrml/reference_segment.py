"""Which segment of a reference is meant, where it has several: kept with the node, and so with the scene."""

from __future__ import annotations

from typing import Any

from .rejected import contourIds
from .segmentations import ATTRIBUTE_PREFIX

_ATTRIBUTE = ATTRIBUTE_PREFIX + "ReferenceSegment"


def segmentChoices(node: Any) -> dict[str, str]:
    """The names of a segmentation's segments by id; empty where there is nothing to choose."""
    if node is None or not node.IsA("vtkMRMLSegmentationNode"):
        return {}
    segmentation = node.GetSegmentation()
    names = {str(key): str(segmentation.GetSegment(key).GetName()) for key in contourIds(node)}
    return names if len(names) > 1 else {}


def referenceSegment(node: Any) -> str:
    """The id of the segment that was chosen and is there; empty for "the one of the same name, else all joined"."""
    chosen = chosenReferenceSegment(node)
    return chosen if chosen in segmentChoices(node) else ""


def chosenReferenceSegment(node: Any) -> str:
    """The id that was chosen, whether or not it is there; empty for none."""
    return str(node.GetAttribute(_ATTRIBUTE) or "") if node is not None else ""


def chooseReferenceSegment(node: Any, segmentId: str) -> None:
    """Compare with this segment from now on, and show it; empty for none in particular, and then all are shown."""
    if segmentId:
        node.SetAttribute(_ATTRIBUTE, segmentId)
    else:
        node.RemoveAttribute(_ATTRIBUTE)
    display = node.GetDisplayNode()
    for one in [segmentId] if segmentId else segmentChoices(node):
        if display is not None:
            display.SetSegmentVisibility(one, True)
