"""The threshold slider: a segment follows the network's probability, and what the user drew by hand stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from petctfusion.inference.levels import CleanUp, ProbabilityLevels
from petctfusion.models.card import AnyCard

from .segment_grid import SegmentGrid
from .segmentations import ATTRIBUTE_PREFIX

if TYPE_CHECKING:
    from slicer import vtkMRMLSegmentationNode

Bools = NDArray[np.bool_]
LOWEST = 0.05
# The editor undoes twenty steps, and each has a state before and one after it.
_STATES = 42


@dataclass(frozen=True, eq=False)
class _State:
    """How the candidates were once: at which threshold, which were inside, and which were the user's own doing."""

    threshold: float
    inside: Bools
    byHand: Bools


class SegmentThreshold:
    """Moves one segment between thresholds of its probability.

    What differs from the network's mask was done by hand (brush, click, any tool) and stays at every later threshold.
    States are remembered, because Undo may bring any of them back.
    """

    def __init__(self, segment: SegmentGrid, levels: ProbabilityLevels, threshold: float) -> None:
        """The segment shows, up to edits, the mask at `threshold`."""
        self.segment = segment
        self._levels = levels
        inside = levels.inside(threshold)
        self._states = [_State(threshold, inside, np.zeros_like(inside))]

    @property
    def threshold(self) -> float:
        """The threshold that the segment shows now, after undo and redo too."""
        return self._nearest(self._now()).threshold

    @property
    def untouched(self) -> bool:
        """True while the segment is as the last move left it."""
        return np.array_equal(self._states[-1].inside, self._now())

    def move(self, threshold: float, newStep: bool = True, save: Callable[[], None] = lambda: None) -> int:
        """Show the mask at another threshold; gives how many voxels changed.

        `save` is called before the first voxel changes. `newStep` False goes on with the move before, as a slider does
        while it is dragged: then nothing is saved, and Undo takes both back.
        """
        now = self._now()
        state = self._nearest(now)
        byHand = state.byHand | (now != state.inside)
        wanted = np.where(byHand, now, self._levels.inside(threshold))
        changed = np.flatnonzero(wanted != now)
        if newStep and changed.size:
            save()
            self._states.append(_State(state.threshold, now, byHand))
        elif np.array_equal(state.inside, now):
            self._states.remove(state)
        self.segment.change(self._levels.indices[:, changed], wanted[changed])
        self._states = [*self._states, _State(threshold, wanted, byHand)][-_STATES:]
        return int(changed.size)

    def _now(self) -> Bools:
        return self.segment.values(self._levels.indices)

    def _nearest(self, now: Bools) -> _State:
        """The remembered state with the fewest other voxels; of equal ones the latest."""
        if np.array_equal(self._states[-1].inside, now):
            return self._states[-1]
        return min(reversed(self._states), key=lambda state: np.count_nonzero(state.inside != now))


def cleanUpOf(card: AnyCard, voxel_ml: float) -> CleanUp:
    """What the worker does to a mask of this model after the threshold."""
    return CleanUp(card.smallest_component_ml / voxel_ml, card.smallest_component_share, card.fill_holes)


def resultSegmentId(node: vtkMRMLSegmentationNode) -> str:
    """The segment that the network made, by the tag that it was given; empty when it was removed."""
    segmentation = node.GetSegmentation()
    for segmentId in segmentation.GetSegmentIDs():
        if segmentation.GetSegment(segmentId).HasTag(ATTRIBUTE_PREFIX + "Model"):
            return str(segmentId)
    return ""
