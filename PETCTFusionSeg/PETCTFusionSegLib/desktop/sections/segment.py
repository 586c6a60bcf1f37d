"""The Segment section: which model, where to, Apply that turns into Cancel, and how far the run is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from petctfusion.errors import CancelledError
from petctfusion.models import InstalledModel, list_models
from PETCTFusionSegLib.desktop import inputs, install
from PETCTFusionSegLib.desktop.bench import Workbench
from PETCTFusionSegLib.desktop.model_card import cardHtml, cardTooltip
from PETCTFusionSegLib.desktop.parameters import readMachine
from PETCTFusionSegLib.desktop.progress import Progress, durationText, progressText
from PETCTFusionSegLib.desktop.results import StudyOutcome
from PETCTFusionSegLib.desktop.runner import Listener, RunResult
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.desktop.settings_panel import keepMachine
from PETCTFusionSegLib.desktop.widgets import makeQuiet, makeTimer
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.imports import SegmentationResult, StudyJob, importResult

_PROGRESS_STEPS = 1000
_TICK_MS = 1000
# Half of the last digit that the threshold's box shows.
_SAME_THRESHOLD = 5e-4


@dataclass(frozen=True)
class _Run:
    """What a run was started with."""

    job: StudyJob
    model: InstalledModel
    threshold: float
    startedS: float


class SegmentSection(Section):
    """Starts runs and brings their results into the scene."""

    name = "Segment"

    def __init__(self, bench: Workbench, ui: Any) -> None:

        super().__init__(bench, ui)
        self.models: list[InstalledModel] = []
        self._modelChanges = 0
        self._run: _Run | None = None
        self._cardOf: InstalledModel | None = None
        self._filling = False
        self._sceneClosed = False
        self._clock = makeTimer(_TICK_MS, False, self._showElapsed)
        self._fillModels()
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
        self._filling = True
        self.ui.outputSelector.setCurrentNode(self.bench.study.output)
        self._chooseModel(self.bench.study.model)
        self._filling = False
        self.bench.study.model = self.chosenModel().reference if self.models else ""

    def sceneCloses(self) -> None:
        """Stop a run whose study is about to go."""
        if self.bench.runner.busy:
            self._sceneClosed = True
            self.bench.runner.cancel()

    def enter(self) -> None:
        """Models may have come or gone meanwhile."""
        self._fillModels()
        self.refresh()

    def cleanup(self) -> None:
        """Nothing ticks any more."""
        self._clock.stop()

    def refresh(self) -> None:
        """Apply or Cancel, and why not; the card of the chosen model."""
        if self._modelChanges != self.bench.modelChanges:
            self._fillModels()
        busy, reason, ui = self.bench.runner.busy, self.whyNot(), self.ui
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
            self.bench.say(_("Stopping..."))
            self.bench.runner.cancel()
            return
        try:
            self._start()
        except Exception as error:
            self._onError(error)

    def _start(self) -> None:
        study, machine = self.bench.study, readMachine(self.bench.settings)
        install.requirePackages(machine.python)
        self._sceneClosed = False
        model, threshold = self.chosenModel(), self.chosenThreshold()
        snapshot = inputs.takeSnapshot(study.ct, study.pet, study.extra if _takesExtra(model) else None)
        parameters = {"Model": model.reference, "PETUnits": snapshot.petUnits, "Threshold": f"{threshold:g}"}
        job = StudyJob.started(study.ct, study.pet, study.output, parameters)
        self.ui.progressBar.value = 0
        self.bench.say(_("Preparing...") if self.bench.runner.warm else _("Starting the worker..."))
        listener = Listener(self._onResult, self._onError, self._onProgress)
        self.bench.runner.run(snapshot.checked, model, machine, listener, threshold)
        self._run = _Run(job, model, threshold, time.monotonic())
        self._showElapsed()
        self._clock.start()
        self.bench.changed()

    def whyNot(self) -> str:
        """Why Apply is not possible now; empty when it is."""
        ct, pet, units, verdict = self.bench.study.ct, self.bench.study.pet, self.bench.units, self.bench.verdict
        if ct is None or pet is None:
            return _("Choose a CT and a PET volume.")
        if ct is pet:
            return _("CT and PET are the same volume.")
        if verdict is not None and verdict.status == "refused":
            return _("The volumes cannot be segmented together: see the reason under Study.")
        if units is not None and units.state == "ask":
            return _("Say what the units of the PET are.")
        if units is not None and units.state == "refused":
            return _("The PET is in {units}.").format(units=units.text)
        return "" if self.models else _("No model is installed.")

    # --- what the worker says

    def _onProgress(self, progress: Progress) -> None:
        self.ui.progressBar.value = round(progress.fraction * _PROGRESS_STEPS)
        self.bench.say(progressText(progress))

    def _onResult(self, result: RunResult) -> None:
        run = self._ended()
        try:
            if run is not None:
                self._import(run, result)
        except Exception as error:
            self.bench.fail(error)
        self.bench.changed()

    def _import(self, run: _Run, result: RunResult) -> None:
        model, job, editor = run.model, run.job, self.bench.editor
        provenance = {"Model": model.name, "Version": model.version, **result.provenance}
        if model.card.members:
            provenance["Members"] = ", ".join(member.reference for member in model.card.members)
        name = _("{ct} tumor").format(ct=job.ct.name)
        outcome = importResult(
            self.bench.scene, job, SegmentationResult(result.labels, model.card.labels, name, provenance)
        )
        sentences = [outcome.sentence, *result.notes]
        if outcome.node is not None:
            self.ui.progressBar.value = _PROGRESS_STEPS
            kept = StudyOutcome(result.labels, result.probability, run.threshold, model, result.notes)
            self.bench.results.keep(outcome.node, kept)
            edited = editor.segmentation()
            if editor.working() and edited is not outcome.node:
                text = _('You are editing "{name}": choose the result in the editor when you are done.')
                sentences.append(text.format(name=edited.GetName()))
            else:
                editor.edit(outcome.node, job.ct.nodeIn(self.bench.scene))
        self.bench.say(" ".join(sentences))

    def _onError(self, error: BaseException) -> None:
        self._ended()
        if isinstance(error, CancelledError):
            closed = _("The scene was closed, so the run was stopped.")
            self.bench.say(closed if self._sceneClosed else _("Cancelled."))
        else:
            self.bench.fail(error)
        self.bench.changed()

    def _ended(self) -> _Run | None:
        run, self._run = self._run, None
        self._clock.stop()
        self.ui.progressBar.value = 0
        return run

    def _showElapsed(self) -> None:
        if self._run is not None:
            self.ui.elapsedLabel.text = durationText(time.monotonic() - self._run.startedS)

    # --- what the widgets hold

    def chosenModel(self) -> InstalledModel:
        """The model in the selector."""
        return self.models[self.ui.modelSelector.currentIndex]

    def chosenThreshold(self) -> float:
        """The threshold of the next run: the card's own, to the last digit, unless the user moved it."""
        own, shown = self.chosenModel().card.threshold, float(self.ui.runThreshold.value)
        return own if abs(own - shown) <= _SAME_THRESHOLD else shown

    def _showModel(self) -> None:
        """Card, threshold and what the model makes of the additional volume."""
        model = self.chosenModel() if self.models else None
        if model is not self._cardOf:
            self._cardOf = model
            self.ui.modelSelector.toolTip = _("No model is installed.") if model is None else cardTooltip(model)
            self.ui.modelCardLabel.text = "" if model is None else cardHtml(model)
            if model is not None:
                self.ui.runThreshold.value = model.card.threshold
        note = "" if model is None else _extraNote(model, self.bench.study.extra)
        self.ui.modelNoteLabel.text = note
        self.ui.modelNoteLabel.visible = bool(note)

    def _showCard(self, shown: bool) -> None:
        import qt

        self.ui.modelCardLabel.visible = shown
        self.ui.modelCardButton.arrowType = qt.Qt.DownArrow if shown else qt.Qt.RightArrow

    def _onChosen(self) -> None:
        if self._filling or not self.bench.sceneOpen:
            return
        self.bench.study.output = self.ui.outputSelector.currentNode()
        self.bench.study.model = self.chosenModel().reference if self.models else ""
        self.bench.changed()

    def _onDevice(self) -> None:
        if not self._filling:
            machine = readMachine(self.bench.settings)
            machine.device = str(self.ui.deviceSelector.itemData(self.ui.deviceSelector.currentIndex) or "auto")
            keepMachine(self.bench.settings, machine)

    def _fillModels(self) -> None:
        """List the models again, keeping the chosen one."""
        selector = self.ui.modelSelector
        chosen = self.chosenModel().reference if self.models else ""
        self._filling = True
        self._modelChanges = self.bench.modelChanges
        self.models = list_models()
        selector.clear()
        for model in self.models:
            selector.addItem(f"{model.card.title} ({model.reference})")
        self._chooseModel(chosen)
        self._filling = False

    def _chooseModel(self, reference: str) -> None:
        known = [model.reference for model in self.models]
        if reference in known:
            self.ui.modelSelector.currentIndex = known.index(reference)

    def showDevices(self, devices: list[dict[str, Any]]) -> None:
        """The devices the worker found; a chosen one stays in the list even when it is not there now."""
        chosen = readMachine(self.bench.settings).device
        self._filling = True
        found = {str(device["id"]): _deviceText(device) for device in devices}
        choices = {"auto": _("Automatic"), "cpu": _("CPU"), **found}
        choices.setdefault(chosen, chosen)
        self.ui.deviceSelector.clear()
        for value, text in choices.items():
            self.ui.deviceSelector.addItem(text, value)
        self.ui.deviceSelector.currentIndex = list(choices).index(chosen)
        self._filling = False


def _takesExtra(model: InstalledModel) -> bool:
    return inputs.EXTRA in model.card.modalities


def _extraNote(model: InstalledModel, extra: Any) -> str:
    if extra is not None and not _takesExtra(model):
        return _('The chosen model does not use "{name}".').format(name=extra.GetName())
    if extra is None and _takesExtra(model):
        return _("The chosen model also takes an MR; none is chosen under Study.")
    return ""


def _deviceText(device: dict[str, Any]) -> str:
    name, free = str(device.get("name") or device["id"]), device.get("free_bytes")
    return f"{name} ({free / 2**30:.1f} GB free)" if free else name
