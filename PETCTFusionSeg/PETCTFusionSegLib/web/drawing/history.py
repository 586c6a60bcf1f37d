"""Undo and redo for a segmentation, whichever tool changed it; a step costs memory for what it changed, as bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from PETCTFusionSegLib.mrml.labelmaps import orientedLabelmap, segmentVoxels
from PETCTFusionSegLib.mrml.live_source import SegmentSource
from PETCTFusionSegLib.mrml.transforms import Matrix

STEPS = 50


@dataclass(frozen=True)
class _Voxels:
    """A tight box of a segment's voxels, eight in a byte, and the box's index-to-RAS matrix below the node."""

    bits: NDArray[np.uint8]
    shape: tuple[int, ...]
    ijkToRas: Matrix

    def mask(self) -> NDArray[np.bool_]:
        """The voxels (z, y, x)."""
        count = int(np.prod(self.shape))
        return np.unpackbits(self.bits, count=count).view(np.bool_).reshape(self.shape)


@dataclass(frozen=True)
class _Segment:
    """`described` holds name, colour and tags; no voxels are an empty segment."""

    described: Any
    voxels: _Voxels | None


_State = Mapping[str, _Segment]


class History:
    """The states of one segmentation node. Voxels that did not change between two states are kept once."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self._undo: list[_State] = []
        self._redo: list[_State] = []
        self._seen: dict[str, tuple[Any, _Voxels | None]] = {}

    @property
    def canUndo(self) -> bool:
        """True when there is a state to go back to."""
        return bool(self._undo)

    @property
    def canRedo(self) -> bool:
        """True after an undo, until something else is changed."""
        return bool(self._redo)

    def save(self) -> None:
        """Call before a change: `undo` comes back to now."""
        self._undo = [*self._undo, self._now()][-STEPS:]
        self._redo = []

    def dropSaved(self) -> None:
        """Nothing has changed since `save` after all."""
        self._undo = self._undo[:-1]

    def look(self) -> None:
        """Read what has changed, at a time when nobody waits, so that the next `save` costs nothing."""
        self._now()

    def undo(self) -> bool:
        """Back to the last saved state; False when there is none."""
        return self._go(self._undo, self._redo)

    def redo(self) -> bool:
        """What `undo` took back; False when there is nothing."""
        return self._go(self._redo, self._undo)

    def _go(self, source: list[_State], target: list[_State]) -> bool:
        if not source:
            return False
        now = self._now()
        wanted = source.pop()
        target.append(now)
        self._restore(now, wanted)
        return True

    def _now(self) -> _State:
        segmentation = self.node.GetSegmentation()
        return {
            str(identifier): _Segment(_described(segmentation.GetSegment(identifier)), self._voxels(str(identifier)))
            for identifier in segmentation.GetSegmentIDs()
        }

    def _voxels(self, identifier: str) -> _Voxels | None:
        print_ = _fingerprint(self.node, identifier)
        known = self._seen.get(identifier)
        if known is not None and known[0] == print_:
            return known[1]
        segment = self.node.GetSegmentation().GetSegment(identifier)
        found = segmentVoxels(self.node.GetBinaryLabelmapInternalRepresentation(identifier), segment)
        voxels = None if found is None else _Voxels(np.packbits(found[0]), found[0].shape, found[1])
        self._seen[identifier] = (print_, voxels)
        return voxels

    def _restore(self, now: _State, wanted: _State) -> None:
        segmentation = self.node.GetSegmentation()
        for identifier in now:
            if identifier not in wanted:
                segmentation.RemoveSegment(identifier)
        for identifier, saved in wanted.items():
            if identifier not in now:
                name, color = saved.described.GetName(), saved.described.GetColor()
                segmentation.AddEmptySegment(identifier, name, color)
            before = now.get(identifier)
            if before is None or before.voxels is not saved.voxels:
                self._write(identifier, saved.voxels)
            segment = segmentation.GetSegment(identifier)
            label = segment.GetLabelValue()
            segment.DeepCopyMetadata(saved.described)
            # The layer in which the voxels are now decides it, not the one of then.
            segment.SetLabelValue(label)
            self._seen[identifier] = (_fingerprint(self.node, identifier), saved.voxels)
        for place, identifier in enumerate(wanted):
            segmentation.SetSegmentIndex(identifier, place)

    def _write(self, identifier: str, voxels: _Voxels | None) -> None:
        segmentation = self.node.GetSegmentation()
        segmentation.SeparateSegmentLabelmap(identifier)
        if voxels is None:
            segmentation.ClearSegment(identifier)
            return
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        labelmap = orientedLabelmap(voxels.mask(), voxels.ijkToRas)
        logic.SetBinaryLabelmapToSegment(labelmap, self.node, identifier, logic.MODE_REPLACE)


def _fingerprint(node: Any, identifier: str) -> Any:
    """Differs whenever voxels may have changed; costs nothing."""
    return SegmentSource(node, [identifier]).fingerprint()


def _described(segment: Any) -> Any:
    copy = slicer.vtkSegment()
    copy.DeepCopyMetadata(segment)
    return copy
