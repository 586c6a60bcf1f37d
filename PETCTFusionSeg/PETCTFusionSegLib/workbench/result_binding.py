"""A network's result and the segment that shows it: what the threshold slider and the clicks of the panel work on."""

from __future__ import annotations

import threading
from typing import Any

import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.inference.levels import ProbabilityLevels
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.imports import NodeHandle
from PETCTFusionSegLib.mrml.probability import LOWEST, SegmentThreshold, cleanUpOf, resultSegmentId
from PETCTFusionSegLib.mrml.segment_grid import SegmentGrid

from .results import StudyOutcome


class ResultBinding:
    """Made when a result is first shown. Its probability is prepared in a thread; `poll` says when that is done."""

    def __init__(self, node: Any, outcome: StudyOutcome) -> None:
        """Raises `BadInputError` when the segmentation cannot follow the probability."""
        if outcome.probability.GetNumberOfComponentsPerPixel() != 1:
            raise BadInputError(
                _("This model has several labels: its threshold cannot be changed here."),
                _("Use the tools of the editor."),
            )
        segmentId = resultSegmentId(node)
        if not segmentId:
            raise BadInputError(_("The network's segment was removed."), _("Undo that, or press Apply again."))
        self.outcome = outcome
        self.segment = SegmentGrid(node, segmentId, Geometry.of(outcome.probability))
        self.slider: SegmentThreshold | None = None
        """None until the probability is prepared."""
        self.failed = False
        """True once `poll` raised: there will be no slider."""
        self._handle = NodeHandle(node)
        self._levels: ProbabilityLevels | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._prepare, name="probability levels", daemon=True)
        self._thread.start()

    def shows(self, node: Any, outcome: StudyOutcome) -> bool:
        """True when this is the binding of that node and that outcome."""
        scene = node.GetScene()
        return self.outcome is outcome and scene is not None and self._handle.nodeIn(scene) is node

    @property
    def threshold(self) -> float:
        """The threshold that the segment shows now."""
        return self.slider.threshold if self.slider is not None else self.outcome.threshold

    def poll(self, wait_s: float = 0.0) -> bool:
        """True once the slider can be moved. Raises, once, what went wrong in the thread."""
        self._thread.join(wait_s)
        if self.slider is None and self._levels is not None:
            self.slider = SegmentThreshold(self.segment, self._levels, self.outcome.threshold)
        if self._error is not None and not self.failed:
            self.failed = True
            raise self._error
        return self.slider is not None

    def _prepare(self) -> None:
        outcome = self.outcome
        try:
            self._levels = ProbabilityLevels(
                sitk.GetArrayViewFromImage(outcome.probability),
                min(LOWEST, outcome.threshold),
                cleanUpOf(outcome.model.card, self.segment.grid.voxel_ml),
            )
        except Exception as error:
            self._error = error
