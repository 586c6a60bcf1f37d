"""The Segment section: which model, where to, Apply that turns into Cancel, and how far the run is."""

from __future__ import annotations

from typing import Any

from petctfusion.errors import FusionError
from petctfusion.models import InstalledModel
from PETCTFusionSegLib.desktop import install
from PETCTFusionSegLib.desktop.bench import DesktopBench
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.desktop.widgets import makeQuiet
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.model_card import cardHtml, cardTooltip
from PETCTFusionSegLib.workbench.model_choice import ModelChoice, deviceChoices
from PETCTFusionSegLib.workbench.segmenting import Segmenting

_PROGRESS_STEPS = 1000


class SegmentSection(Section):
    """The widgets of a run."""

    name = "Segment"

    def __init__(self, bench: DesktopBench, ui: Any) -> None:
        super().__init__(bench, ui)
        self.choice = ModelChoice()
        self.segmenting = Segmenting(bench, self._showProgress)
        self._modelChanges = bench.modelChanges
        self._cardOf: InstalledModel | None = None
        self._filling = False
        self._showModels()
        self.showDevices([])
        ui.modelCardLabel.visible = False
        makeQuiet(ui.whyNotLabel)
        ui.modelCardButton.connect("toggled(bool)", self._showCard)
        ui.applyButton.connect("clicked()", self.apply)
        ui.outputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onChosen)
        ui.modelSelector.connect("currentIndexChanged(int)", self._onChosen)
        ui.deviceSelector.connect("currentIndexChanged(int)", self._onDevice)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Segment")

    # --- scene and module come and go

    def sceneOpened(self) -> None:
        """Show the scene's own choice."""
        self.choice.choose(self.bench.study.model)
        self.bench.study.model = self.choice.reference
        self._filling = True
        self.ui.outputSelector.setCurrentNode(self.bench.study.output)
        self._filling = False
        self._showModels()

    def sceneCloses(self) -> None:
        """Stop a run whose study is about to go."""
        self.segmenting.sceneCloses()

    def enter(self) -> None:
        """Models may have come or gone meanwhile."""
        self._listModels()
        self.refresh()

    def cleanup(self) -> None:
        """Nothing ticks any more."""
        self.segmenting.cleanup()

    def refresh(self) -> None:
        """Apply or Cancel, and why not; the card of the chosen model."""
        if self._modelChanges != self.bench.modelChanges:
            self._listModels()
        busy, reason, ui = self.bench.runner.busy, self.segmenting.whyNot(self.choice.model), self.ui
        ui.applyButton.text = _("Cancel") if busy else _("Apply")
        ui.applyButton.enabled = busy or not reason
        ui.applyButton.toolTip = _("Stop the run.") if busy else (reason or _("Segment the tumor in the background."))
        ui.whyNotLabel.text = reason
        ui.whyNotLabel.visible = bool(reason) and not busy
        ui.progressBar.visible = busy
        ui.elapsedLabel.visible = busy
        for widget in (ui.outputSelector, ui.modelSelector, ui.deviceSelector, ui.runThreshold):
            widget.enabled = not busy
        self._showModel()

    # --- what the user does

    def apply(self) -> None:
        """Start a run, or cancel the one that is under way."""
        if self.bench.runner.busy:
            self.segmenting.cancel()
            return
        try:
            install.requirePackages(self.bench.readMachine().python)
        except FusionError as error:
            self.bench.fail(error)
            return
        if self.choice.model is not None:
            self.segmenting.start(self.choice.model, self.choice.threshold(float(self.ui.runThreshold.value)))

    def _onChosen(self) -> None:
        if self._filling or not self.bench.sceneOpen:
            return
        if self.choice.models:
            self.choice.choose(self.choice.models[self.ui.modelSelector.currentIndex].reference)
        self.bench.study.output = self.ui.outputSelector.currentNode()
        self.bench.study.model = self.choice.reference
        self.bench.changed()

    def _onDevice(self) -> None:
        if not self._filling:
            machine = self.bench.readMachine()
            machine.device = str(self.ui.deviceSelector.itemData(self.ui.deviceSelector.currentIndex) or "auto")
            self.bench.keepMachine(machine)

    # --- what the widgets show

    def _showProgress(self) -> None:
        self.ui.progressBar.value = round(self.segmenting.fraction * _PROGRESS_STEPS)
        self.ui.elapsedLabel.text = self.segmenting.elapsed

    def _showModel(self) -> None:
        """Card, threshold and what the model makes of the additional volume."""
        model = self.choice.model
        if model is not self._cardOf:
            self._cardOf = model
            self.ui.modelSelector.toolTip = _("No model is installed.") if model is None else cardTooltip(model)
            self.ui.modelCardLabel.text = "" if model is None else cardHtml(model)
            if model is not None:
                self.ui.runThreshold.value = model.card.threshold
        note = self.choice.note(self.bench.study.extra)
        self.ui.modelNoteLabel.text = note
        self.ui.modelNoteLabel.visible = bool(note)

    def _showCard(self, shown: bool) -> None:
        import qt

        self.ui.modelCardLabel.visible = shown
        self.ui.modelCardButton.arrowType = qt.Qt.DownArrow if shown else qt.Qt.RightArrow

    def _listModels(self) -> None:
        self._modelChanges = self.bench.modelChanges
        self.choice.list()
        self._showModels()

    def _showModels(self) -> None:
        selector, models = self.ui.modelSelector, self.choice.models
        self._filling = True
        selector.clear()
        for model in models:
            selector.addItem(f"{model.card.title} ({model.reference})")
        if self.choice.model is not None:
            selector.currentIndex = models.index(self.choice.model)
        self._filling = False

    def showDevices(self, devices: list[dict[str, Any]]) -> None:
        """The devices the worker found."""
        chosen, selector = self.bench.readMachine().device, self.ui.deviceSelector
        choices = deviceChoices(devices, chosen)
        self._filling = True
        selector.clear()
        for value, text in choices.items():
            selector.addItem(text, value)
        selector.currentIndex = list(choices).index(chosen)
        self._filling = False
