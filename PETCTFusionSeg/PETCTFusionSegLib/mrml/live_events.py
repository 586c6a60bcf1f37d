"""Hears of every edit of segmentations, volumes and their transforms, and of nodes that leave the scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import vtk

from .headless import importSlicer


class EditObserver:
    """Calls back after whatever may have changed one of the watched nodes.

    Undo and redo fire only SegmentModified, brushes only the representation events, a rename also SegmentModified; one
    stroke fires several. So all are observed, nothing is concluded from which one came, and `changed` is meant to start
    a single-shot timer: what changed is found by looking at the voxels.
    """

    def __init__(self, changed: Callable[[], None], sceneClosed: Callable[[], None] | None = None) -> None:
        self._changed = changed
        self._sceneClosed = sceneClosed
        self._tags: list[tuple[Any, int]] = []

    def watch(self, scene: Any, *nodes: Any) -> None:
        """Observe these nodes and no others; None is skipped."""
        self.stop()
        slicer = importSlicer()
        for node in {id(node): node for node in nodes if node is not None}.values():
            self._tags += [(node, node.AddObserver(event, self._onEvent)) for event in _events(node)]
        kind = slicer.vtkMRMLScene
        for event in (kind.NodeRemovedEvent, kind.EndBatchProcessEvent):
            self._tags.append((scene, scene.AddObserver(event, self._onEvent)))
        self._tags.append((scene, scene.AddObserver(kind.StartCloseEvent, self._onClose)))

    def stop(self) -> None:
        """Observe nothing."""
        for subject, tag in self._tags:
            subject.RemoveObserver(tag)
        self._tags = []

    # The third argument is missing when an event carries no segment id.
    def _onEvent(self, _caller: Any, _event: str, _data: Any = None) -> None:
        self._changed()

    def _onClose(self, _caller: Any, _event: str, _data: Any = None) -> None:
        if self._sceneClosed is not None:
            self._sceneClosed()


def _events(node: Any) -> list[int]:
    slicer = importSlicer()
    events = [slicer.vtkMRMLTransformableNode.TransformModifiedEvent]
    if node.IsA("vtkMRMLSegmentationNode"):
        kind = slicer.vtkSegmentation
        events += [kind.SourceRepresentationModified, kind.RepresentationModified, kind.SegmentModified]
        events += [kind.SegmentAdded, kind.SegmentRemoved, kind.ContainedRepresentationNamesModified]
        own = slicer.vtkMRMLSegmentationNode
        events += [own.SegmentationChangedEvent, own.ReferenceImageGeometryChangedEvent]
    else:
        events += [slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, vtk.vtkCommand.ModifiedEvent]
    return events
