"""Hears of every change of any segmentation's voxels or looks, also of those that Slicer draws no new frame for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from PETCTFusionSegLib.mrml.live_events import EditObserver

_CLASS = "vtkMRMLSegmentationNode"


class ContourWatch:
    """`edited` is called while the change still happens, so it should only ask for a frame or start a timer."""

    def __init__(self, scene: Any, edited: Callable[[], None]) -> None:
        self._scene, self._edited = scene, edited
        # A label map that was written in place tells its segmentation, and no view.
        self._edits = EditObserver(edited)
        kind = slicer.vtkMRMLScene
        self._tags = [
            scene.AddObserver(event, self._onNodes)
            for event in (kind.NodeAddedEvent, kind.NodeRemovedEvent, kind.EndBatchProcessEvent, kind.EndCloseEvent)
        ]
        self._displayTags: list[tuple[Any, int]] = []
        self._watch()

    def nodes(self) -> list[Any]:
        """All segmentations of the scene."""
        number = self._scene.GetNumberOfNodesByClass(_CLASS)
        return [self._scene.GetNthNodeByClass(place, _CLASS) for place in range(number)]

    def stop(self) -> None:
        """Observe nothing."""
        self._forget()
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []

    def _watch(self) -> None:
        self._forget()
        nodes = self.nodes()
        self._edits.watch(self._scene, *nodes)
        event = slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent
        self._displayTags = [(node, node.AddObserver(event, lambda *_event: self._edited())) for node in nodes]

    def _forget(self) -> None:
        self._edits.stop()
        for node, tag in self._displayTags:
            node.RemoveObserver(tag)
        self._displayTags = []

    def _onNodes(self, *_event: Any) -> None:
        if self._scene.IsBatchProcessing():
            return
        if [node for node, _tag in self._displayTags] != self.nodes():
            self._watch()
            self._edited()
