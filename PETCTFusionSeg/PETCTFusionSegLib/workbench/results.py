"""What the network said of each segmentation, kept beside the scene so that thresholds and clicks need no new run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import SimpleITK as sitk

from petctfusion.models import InstalledModel
from PETCTFusionSegLib.mrml.imports import NodeHandle


@dataclass(frozen=True)
class StudyOutcome:
    """A finished run: label map and probability (uint8, 255 = 1) on the CT's grid in world space (LPS)."""

    labels: sitk.Image
    probability: sitk.Image
    threshold: float
    model: InstalledModel
    notes: tuple[str, ...] = ()


class ResultStore:
    """The latest outcome of every segmentation in the scene."""

    def __init__(self) -> None:
        self._kept: list[tuple[NodeHandle, StudyOutcome]] = []

    def keep(self, segmentation: Any, outcome: StudyOutcome) -> None:
        """Remember the outcome that this segmentation shows; an older one of the same node is forgotten."""
        self._kept = [(handle, kept) for handle, kept in self._kept if not self._is(handle, segmentation)]
        self._kept.append((NodeHandle(segmentation), outcome))

    def of(self, segmentation: Any) -> StudyOutcome | None:
        """The outcome shown by this segmentation, or None."""
        if segmentation is None:
            return None
        return next((outcome for handle, outcome in self._kept if self._is(handle, segmentation)), None)

    def clear(self) -> None:
        """Forget everything; the scene is closing."""
        self._kept.clear()

    def _is(self, handle: NodeHandle, segmentation: Any) -> bool:
        scene = segmentation.GetScene()
        return scene is not None and handle.nodeIn(scene) is segmentation
