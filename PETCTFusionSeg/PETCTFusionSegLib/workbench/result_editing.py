"""The edited segmentation and its result: the threshold that can be moved, and the steps that Undo knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.live_events import EditObserver

from .bench import Workbench
from .clicks import ClickRefinement
from .result_binding import ResultBinding

# A slider that rests this long has been let go: the next move is a step of its own for Undo.
STEP_PAUSE_MS = 800
_POLL_MS, _POLL_WAIT_S = 30, 0.01
_LOOK_MS = 100


class ResultEditing:
    """Follows the edited segmentation; `show` is called when what is said of it here may have changed."""

    def __init__(self, bench: Workbench, show: Callable[[], None], showMode: Callable[[], None]) -> None:
        """`showMode` is called when placing a click begins or ends."""
        self._bench = bench
        self._show = show
        self._bindings: list[ResultBinding] = []
        self._binding: ResultBinding | None = None
        self._watched: Any = None
        self._stepOpen = self._held = False
        self._edits = EditObserver(self._onEdited)
        self._stepTimer = bench.makeTimer(STEP_PAUSE_MS, True, self._endStep)
        self._lookTimer = bench.makeTimer(_LOOK_MS, True, self.look)
        self._pollTimer = bench.makeTimer(_POLL_MS, False, self._poll)
        self.clicks = ClickRefinement(bench, lambda: self._binding, showMode)
        self.reason = ""
        """Why threshold and clicks can change nothing now; empty when they can."""

    def sceneOpened(self) -> None:
        """A scene is there."""
        self.clicks.openScene()

    def sceneCloses(self) -> None:
        """Forget every node."""
        for timer in (self._stepTimer, self._lookTimer, self._pollTimer):
            timer.stop()
        self._edits.stop()
        self.clicks.close()
        self._bindings, self._binding, self._watched, self._stepOpen = [], None, None, False

    def look(self) -> None:
        """Follow the segmentation that is edited now."""
        node = self._bench.segmentation()
        if node is not self._watched:
            self._watched = node
            self._endStep()
            self._edits.watch(self._bench.scene, node)
        self.reason = self._bind(node)
        if self._binding is not None and self._binding.slider is None:
            self.reason = _("The probability could not be prepared; the details are in the log.")
            if not self._binding.failed:
                self.reason = _("The probability is being prepared...")
                self._pollTimer.start()
        if self.reason:
            self.clicks.place(None)
        self._show()
        self.clicks.goOn()

    @property
    def threshold(self) -> float | None:
        """The threshold that the segment shows; None without a result."""
        return self._binding.threshold if self._binding is not None else None

    @property
    def volumeText(self) -> str:
        """The segment's name and volume; empty without a result."""
        segment = self._binding.segment if self._binding is not None else None
        if segment is None or not segment.exists:
            return ""
        name = segment.node.GetSegmentation().GetSegment(segment.segmentId).GetName()
        return _('"{segment}": {ml} ml').format(segment=name, ml=f"{segment.volumeMl:.1f}")

    def move(self, threshold: float) -> None:
        """Show the segment at another threshold; what was drawn by hand stays."""
        slider = self._binding.slider if self._binding is not None else None
        if slider is None:
            return
        try:
            slider.move(threshold, not self._stepOpen or not slider.untouched, self._openStep)
        except FusionError as error:
            self._bench.fail(error)
            return
        if not self._held:
            self._stepTimer.start()
        self._show()

    def hold(self, held: bool) -> None:
        """The slider was taken or let go: what is moved in between is one step, however slowly it comes."""
        self._held = held
        self._stepTimer.stop()
        if held:
            self._endStep()
        else:
            self._stepTimer.start()

    def reset(self) -> None:
        """Back to the threshold of the run; a step of its own, however soon after the slider was let go."""
        if self._binding is not None:
            self._endStep()
            self.move(self._binding.outcome.threshold)
            self._stepTimer.stop()
            self._endStep()

    def _openStep(self) -> None:
        self._bench.editor.saveStateForUndo()
        self._stepOpen = True

    def _endStep(self) -> None:
        self._stepOpen = False

    def _bind(self, node: Any) -> str:
        """Find or make the binding of the node; gives why there is none, empty when there is one."""
        outcome = self._bench.results.of(node)
        self._bindings = [kept for kept in self._bindings if kept.segment.node.GetScene() is not None]
        self._binding = None
        if node is None:
            return _("There is no segmentation yet: press Apply, or draw one.")
        if outcome is None:
            return _("This segmentation has no probability: press Apply for one that threshold and clicks can change.")
        known = next((kept for kept in self._bindings if kept.shows(node, outcome)), None)
        try:
            if known is None:
                known = ResultBinding(node, outcome)
                self._bindings = [kept for kept in self._bindings if kept.segment.node is not node] + [known]
            # Raises when the segment is gone or has other voxels by now.
            known.segment.check()
        except FusionError as error:
            return str(error)
        self._binding = known
        return ""

    def _poll(self) -> None:
        binding = self._binding
        try:
            ready = binding is None or binding.poll(_POLL_WAIT_S)
        except Exception as error:
            ready = True
            self._bench.fail(error)
        if ready:
            self._pollTimer.stop()
            self.look()

    def _onEdited(self) -> None:
        """Undo and redo bring another threshold; a stroke another volume."""
        self._lookTimer.start()
