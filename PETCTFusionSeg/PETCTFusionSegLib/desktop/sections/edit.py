"""The Edit section: threshold slider, clicks for tumor and no tumor, undo for all, and the embedded Segment Editor."""

from __future__ import annotations

from typing import Any

from PETCTFusionSegLib.desktop.bench import DesktopBench
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.result_editing import ResultEditing


class EditSection(Section):
    """Changes the result without a new run, and leaves alone what the user drew."""

    name = "Edit"

    def __init__(self, bench: DesktopBench, ui: Any) -> None:
        super().__init__(bench, ui)
        self._filling = False
        self.result = ResultEditing(bench, self._show, self._showMode)
        self.clicks = self.result.clicks
        ui.editThresholdSlider.connect("valueChanged(int)", self._onSlider)
        ui.editThresholdSpinBox.connect("valueChanged(double)", self._onSpinBox)
        ui.editResetButton.connect("clicked()", self.result.reset)
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
        self.result.sceneOpened()

    def sceneCloses(self) -> None:
        """Forget every node."""
        self.result.sceneCloses()
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
        self.result.look()

    # --- what the user does

    def _onSlider(self, percent: int) -> None:
        if not self._filling:
            self._showThreshold(percent / 100)
            self.result.move(percent / 100)

    def _onSpinBox(self, threshold: float) -> None:
        if not self._filling:
            self._showThreshold(threshold)
            self.result.move(threshold)

    def _onAdd(self, checked: bool) -> None:
        self.clicks.place(True if checked else None)

    def _onRemove(self, checked: bool) -> None:
        self.clicks.place(False if checked else None)

    # --- what is shown

    def _show(self) -> None:
        reason, ui = self.result.reason, self.ui
        for widget in (ui.editThresholdSlider, ui.editThresholdSpinBox, ui.editResetButton):
            widget.enabled = not reason
        for button in (ui.editAddButton, ui.editRemoveButton):
            button.enabled = not reason
        for button in (ui.editUndoButton, ui.editRedoButton):
            button.enabled = self.bench.segmentation() is not None
        ui.editHintLabel.text = reason
        ui.editHintLabel.visible = bool(reason) and not self.waitsFor()
        ui.editVolumeLabel.visible = not reason
        ui.editVolumeLabel.text = self.result.volumeText
        if self.result.threshold is not None:
            self._showThreshold(self.result.threshold)

    def _showMode(self) -> None:
        placing = self.clicks.placing
        self.ui.editAddButton.checked = placing is True
        self.ui.editRemoveButton.checked = placing is False

    def _showThreshold(self, threshold: float) -> None:
        self._filling = True
        self.ui.editThresholdSlider.value = round(threshold * 100)
        self.ui.editThresholdSpinBox.value = threshold
        self._filling = False
