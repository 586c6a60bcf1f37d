"""Click a tumor to add it, or a region to give it up: the network's probability around the click decides how far."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.inference.clicks import REACH_MM, Click, refine_labels
from petctfusion.volumes.geometry import Geometry
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.boxes import RAS_LPS_SIGNS
from PETCTFusionSegLib.mrml.volumes import geometryOfVolumeNode

from .brush import Point
from .edits import SegmentEdits, Target
from .local_run import LocalResult, LocalRun
from .options import EffectOptions

# A little more than a click reaches is read, so that a region's border is seen.
_READ_MM = REACH_MM + 4.0


class ClickTool:
    """Clicks are hard constraints on what the segment holds when they take effect, so edits made meanwhile stay."""

    def __init__(self, edits: SegmentEdits, run: LocalRun, say: Callable[[str], None]) -> None:
        self._edits = edits
        self._run = run
        self._say = say

    def click(self, options: EffectOptions, point: Point, foreground: bool) -> None:
        """Answer a click at a world point (RAS mm). Raises `FusionError`.

        A foreground click uses the probability that the module keeps for this segmentation; where there is none, the
        network runs around the click first. A background click needs none.
        """
        target = self._edits.target()
        x, y, z = (float(value) for value in np.asarray(point) * RAS_LPS_SIGNS)
        click = Click((x, y, z), foreground)
        grid = self._edits.grid(target)
        box = grid.around(np.asarray([click.point]), _READ_MM)
        if box is None:
            raise BadInputError(_("This place lies outside the segmentation's grid."), _("Click inside the volume."))
        known = self._known(target, options)
        if not foreground:
            self._apply(target, click, grid.geometry(box).empty(), 0.5)
        elif known is not None:
            self._apply(target, click, *known)
        else:
            corners = grid.geometry(box).corners()
            self._run.start(options.ct, options.pet, corners, partial(self._found, target, click))

    def _known(self, target: Target, options: EffectOptions) -> tuple[sitk.Image, float] | None:
        """The probability and threshold of the run that made this segmentation, while the CT lies where it lay then."""
        outcome = self._run.bench.results.of(self._edits.node(target)) if self._run.bench is not None else None
        if outcome is None or options.ct is None:
            return None
        same = Geometry.of(outcome.probability).same_grid(geometryOfVolumeNode(options.ct))
        return (outcome.probability, outcome.threshold) if same else None

    def _found(self, target: Target, click: Click, found: LocalResult) -> None:
        self._apply(target, click, found.probability, float(found.model.card.threshold))

    def _apply(self, target: Target, click: Click, probability: sitk.Image, threshold: float) -> None:
        grid = self._edits.grid(target)
        box = grid.around(np.asarray([click.point]), _READ_MM)
        if box is None:
            raise BadInputError(_("The segmentation was moved meanwhile."), _("Click again."))
        geometry = grid.geometry(box)
        share = _onGrid(probability, geometry)
        now = geometry.image(self._edits.mask(target, geometry).astype(np.uint8))
        wanted = sitk.GetArrayFromImage(refine_labels(share, now, [click], threshold)) != 0
        self._say(self._edits.changeText(target, self._edits.change(target, grid, box, wanted)))


def _onGrid(image: sitk.Image, grid: Geometry) -> Any:
    """A probability (uint8) on a small grid, linear, 0 outside."""
    size = list(grid.size)
    return sitk.Resample(
        image, size, sitk.Transform(), sitk.sitkLinear, grid.origin, grid.spacing, grid.direction, 0.0, sitk.sitkUInt8
    )
