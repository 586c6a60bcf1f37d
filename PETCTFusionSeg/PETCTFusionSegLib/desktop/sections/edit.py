"""The Edit section: threshold slider, clicks for tumor and no tumor, undo for all, and the embedded Segment Editor."""

from __future__ import annotations

from typing import Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.desktop.bench import Workbench
from PETCTFusionSegLib.desktop.clicks import ClickRefinement
from PETCTFusionSegLib.desktop.result_binding import ResultBinding
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.desktop.widgets import makeTimer
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.live_events import EditObserver

# A slider that rests this long has been let go: the next move is a step of its own for Undo.
STEP_PAUSE_MS = 800
_POLL_MS, _POLL_WAIT_S = 30, 0.01
_LOOK_MS = 100


class EditSection(Section):
    """Changes the result without a new run, and leaves alone what the user drew."""

    name = "Edit"

    def __init__(self, bench: Workbench, ui: Any) -> None:
        super().__init__(bench, ui)
        self._bindings: list[ResultBinding] = []
        self._binding: ResultBinding | None = None
        self._watched: Any = None
        self._filling = False
        self._stepOpen = False
        self._edits = EditObserver(self._onEdited)
        self.clicks = ClickRefinement(bench, lambda: self._binding, self._showMode)
        self._stepTimer = makeTimer(STEP_PAUSE_MS, True, self._endStep)
        self._lookTimer = makeTimer(_LOOK_MS, True, self.refresh)
        self._pollTimer = makeTimer(_POLL_MS, False, self._poll)
        ui.editThresholdSlider.connect("valueChanged(int)", self._onSlider)
        ui.editThresholdSpinBox.connect("valueChanged(double)", self._onSpinBox)
        ui.editResetButton.connect("clicked()", self.resetThreshold)
        ui.editAddButton.connect("clicked(bool)", self._onAdd)
        ui.editRemoveButton.connect("clicked(bool)", self._onRemove)
        ui.editUndoButton.connect("clicked()", bench.editor.undo)
        ui.editRedoButton.connect("clicked()", bench.editor.redo)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Edit")

    def waitsFor(self) -> str:
        """A segmentation, or a CT to draw on."""
        if self.bench.segmentation() is not None or self.bench.study.ct is not None:
            return ""
        return _("Waits for a result, or for a CT to draw on.")

    # --- scene and module come and go

    def sceneOpened(self) -> None:
        """Find or make the editor's node."""
        self.bench.editor.connectScene(self.bench.scene)
        self.clicks.openScene()

    def sceneCloses(self) -> None:
        """Forget every node."""
        for timer in (self._stepTimer, self._lookTimer, self._pollTimer):
            timer.stop()
        self._edits.stop()
        self.clicks.close()
        self._bindings, self._binding, self._watched, self._stepOpen = [], None, None, False
        self.bench.editor.letGo()

    def enter(self) -> None:
        """Effects may listen to the views; the module's own effect shares the study, the results and the worker."""
        fusion = self.ui.segmentEditorWidget.effectByName("PETCTFusion")
        if fusion is not None:
            fusion.self().useBench(self.bench)
        self.bench.editor.enter()

    def exit(self) -> None:
        """No tool stays active behind the user's back."""
        self.clicks.place(None)
        self.bench.editor.exit()

    def cleanup(self) -> None:
        """Forget every node."""
        self.sceneCloses()

    def refresh(self) -> None:
        """Follow the segmentation that is edited now, and say what can be done with it."""
        node = self.bench.segmentation()
        if node is not self._watched:
            self._watched = node
            self._endStep()
            self._edits.watch(self.bench.scene, node)
        reason = self._bind(node)
        if self._binding is not None and self._binding.slider is None:
            reason = _("The probability could not be prepared; the details are in the log.")
            if not self._binding.failed:
                reason = _("The probability is being prepared...")
                self._pollTimer.start()
        self._enable(reason)
        for button in (self.ui.editUndoButton, self.ui.editRedoButton):
            button.enabled = node is not None
        self.clicks.goOn()
        self._showThreshold()

    # --- the threshold

    def resetThreshold(self) -> None:
        """Back to the threshold of the run."""
        if self._binding is not None:
            self._move(self._binding.outcome.threshold)
            self._showThreshold()

    def _onSlider(self, percent: int) -> None:
        if not self._filling:
            self._show(percent / 100)
            self._move(percent / 100)

    def _onSpinBox(self, threshold: float) -> None:
        if not self._filling:
            self._show(threshold)
            self._move(threshold)

    def _move(self, threshold: float) -> None:
        slider = self._binding.slider if self._binding is not None else None
        if slider is None:
            return
        try:
            slider.move(threshold, not self._stepOpen or not slider.untouched, self._openStep)
        except FusionError as error:
            self.bench.fail(error)
            return
        self._stepTimer.start()
        self._showVolume()

    def _openStep(self) -> None:
        self.bench.editor.saveStateForUndo()
        self._stepOpen = True

    def _endStep(self) -> None:
        self._stepOpen = False

    # --- clicks

    def _onAdd(self, checked: bool) -> None:
        self.clicks.place(True if checked else None)

    def _onRemove(self, checked: bool) -> None:
        self.clicks.place(False if checked else None)

    def _showMode(self) -> None:
        placing = self.clicks.placing
        self.ui.editAddButton.checked = placing is True
        self.ui.editRemoveButton.checked = placing is False

    # --- what belongs to the edited segmentation

    def _bind(self, node: Any) -> str:
        """Find or make the binding of the node; gives why there is none, empty when there is one."""
        outcome = self.bench.results.of(node)
        self._bindings = [kept for kept in self._bindings if kept.segment.node.GetScene() is not None]
        self._binding = None
        if node is None:
            return _("There is no segmentation yet: press Apply, or add one in the editor.")
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
            self.bench.fail(error)
        if ready:
            self._pollTimer.stop()
            self.refresh()

    def _onEdited(self) -> None:
        """Undo and redo bring another threshold; a stroke another volume."""
        self._lookTimer.start()

    # --- what is shown

    def _enable(self, reason: str) -> None:
        ready = not reason
        ui = self.ui
        for widget in (ui.editThresholdSlider, ui.editThresholdSpinBox, ui.editResetButton):
            widget.enabled = ready
        for button in (ui.editAddButton, ui.editRemoveButton):
            button.enabled = ready
        if not ready:
            self.clicks.place(None)
        ui.editHintLabel.text = reason
        ui.editHintLabel.visible = bool(reason) and not self.waitsFor()
        ui.editVolumeLabel.visible = ready

    def _showThreshold(self) -> None:
        if self._binding is not None:
            self._show(self._binding.threshold)
            self._showVolume()

    def _show(self, threshold: float) -> None:
        self._filling = True
        self.ui.editThresholdSlider.value = round(threshold * 100)
        self.ui.editThresholdSpinBox.value = threshold
        self._filling = False

    def _showVolume(self) -> None:
        segment = self._binding.segment if self._binding is not None else None
        if segment is None or not segment.exists:
            return
        name = segment.node.GetSegmentation().GetSegment(segment.segmentId).GetName()
        self.ui.editVolumeLabel.text = _('"{segment}": {ml} ml').format(segment=name, ml=f"{segment.volumeMl:.1f}")
