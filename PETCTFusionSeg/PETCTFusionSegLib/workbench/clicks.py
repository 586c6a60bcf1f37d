"""Clicks answered by the worker, one after the other: only what a click can reach travels, and only that changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import CancelledError, FusionError
from petctfusion.inference.clicks import Click
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.boxes import boxAround, subGrid
from PETCTFusionSegLib.mrml.click_points import ClickPoints, PlacedPoint
from PETCTFusionSegLib.mrml.labelmaps import Mask
from PETCTFusionSegLib.mrml.segment_grid import Box, SegmentGrid

from .bench import Workbench
from .click_guide import clickGuide, sentMm
from .result_binding import ResultBinding
from .runner import Listener, RunResult


@dataclass(frozen=True)
class _Asked:
    """A click that is being answered: the box of the grid that was sent, and the segment in it at that moment."""

    point: PlacedPoint
    click: Click
    segment: SegmentGrid
    box: Box
    sent: Mask


class ClickRefinement:
    """Takes the points that the user places, asks the worker, and changes the segment; every click can be undone."""

    def __init__(
        self, bench: Workbench, binding: Callable[[], ResultBinding | None], showMode: Callable[[], None]
    ) -> None:
        """`binding` gives the result that clicks act on now; `showMode` is called when placing begins or ends."""
        self._bench = bench
        self._binding = binding
        self._showMode = showMode
        self._points: ClickPoints | None = None
        self._asked: _Asked | None = None
        self._answered: tuple[SegmentGrid | None, list[Click]] = (None, [])
        self._sceneClosed = False
        # Slicer still handles the click when a point is placed, and the worker its end when it fails.
        self._timer = bench.makeTimer(0, True, self._next)

    def openScene(self) -> None:
        """Listen to the scene's mouse mode."""
        self.close()
        self._sceneClosed = False
        self._points = ClickPoints(self._bench.scene, self._timer.start, self._showMode)

    def close(self) -> None:
        """Let go of the scene; an answer that is still under way is dropped."""
        self._timer.stop()
        self._sceneClosed = True
        self._answered = None, []
        if self._points is not None:
            self._points.close()
        self._points = None

    @property
    def placing(self) -> bool | None:
        """True or False while the next click places tumor or no tumor, otherwise None."""
        return self._points.placing if self._points is not None else None

    def place(self, foreground: bool | None) -> None:
        """The next click into a view places a point; None ends that."""
        if self._points is None:
            return
        if foreground is None:
            self._points.stop()
        else:
            self._bench.editor.putAwayEffect()
            self._points.start(foreground)
            self._bench.say(_("Click into a slice view."))

    def goOn(self) -> None:
        """Answer what waits; called when a run has ended or another segmentation is edited."""
        if self._points is not None and self._asked is None and self._points.waiting():
            self._timer.start()

    def _next(self) -> None:
        if self._points is None or self._asked is not None:
            return
        waiting = self._points.waiting()
        if not waiting:
            return
        binding = self._binding()
        if binding is None:
            self._points.clear()
            self._bench.say(_("There is no result that a click could change."))
        elif self._bench.runner.busy:
            self._bench.say(_("The click waits until the run is done."))
        else:
            self._ask(waiting[0], binding)

    def _ask(self, point: PlacedPoint, binding: ResultBinding) -> None:
        try:
            segment = binding.segment
            z, y, x = segment.indexOf(point.pointRas)
            place = segment.grid.points(np.array([[x, y, z]], dtype=np.float64))
            box = boxAround(segment.grid, place, sentMm(binding.outcome))
            assert box is not None, "the voxel lies in the grid"
            sent = segment.box(box)
            part = subGrid(segment.grid, box)
            values = sitk.GetArrayViewFromImage(binding.outcome.probability)[box]
            click = Click((float(place[0][0]), float(place[0][1]), float(place[0][2])), point.foreground)
            guide = clickGuide(self._bench.study, binding.outcome, place)
            self._asked = _Asked(point, click, segment, box, sent)
            self._bench.say(_("Refining around the click..."))
            self._bench.runner.refine(
                part.image(np.ascontiguousarray(values)),
                part.image(sent.astype(np.uint8)),
                [*self._earlier(segment), click] if guide is not None else [click],
                binding.threshold,
                self._bench.readMachine(),
                Listener(self._onResult, self._onError),
                guide=guide,
            )
        except FusionError as error:
            self._over(point)
            self._bench.fail(error)
        self._bench.changed()

    def _onResult(self, result: RunResult) -> None:
        asked, self._asked = self._asked, None
        if asked is None or self._sceneClosed:
            return
        self._over(asked.point)
        self._answered = asked.segment, [*self._earlier(asked.segment), asked.click]
        try:
            self._bench.say(self._apply(asked, sitk.GetArrayViewFromImage(result.labels) != 0))
        except FusionError as error:
            self._bench.fail(error)
        self._bench.changed()

    def _earlier(self, segment: SegmentGrid) -> list[Click]:
        """The clicks that this segment was corrected by, undone ones too: their voxels tell."""
        corrected, clicks = self._answered
        return clicks if corrected is segment else []

    def _apply(self, asked: _Asked, answer: Mask) -> str:
        segment = asked.segment
        if segment.node.GetScene() is None or not segment.exists:
            return _("The segment was removed meanwhile, so the click changed nothing.")
        # Only these are written, so what was drawn meanwhile stays; a voxel that both changed has one value for both.
        changed = answer != asked.sent
        if not changed.any():
            return _("The click changed nothing.")
        if self._bench.segmentation() is segment.node:
            self._bench.editor.saveStateForUndo()
        first = np.array([[part.start] for part in asked.box])
        segment.change(np.stack(np.nonzero(changed)) + first, answer[changed])
        volume = f"{np.count_nonzero(changed) * segment.grid.voxel_ml:.1f}"
        if asked.point.foreground:
            return _("The click added {ml} ml.").format(ml=volume)
        return _("The click removed {ml} ml.").format(ml=volume)

    def _onError(self, error: BaseException) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            self._over(asked.point)
        if self._sceneClosed or self._points is None:
            return
        if isinstance(error, CancelledError):
            self._points.clear()
            self._bench.say(_("Cancelled: the click changed nothing."))
        else:
            self._bench.fail(error)
        self._bench.changed()

    def _over(self, point: PlacedPoint) -> None:
        self._asked = None
        if self._points is not None:
            self._points.remove(point)
            self._timer.start()
