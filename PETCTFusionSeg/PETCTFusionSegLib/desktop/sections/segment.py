"""The Segment section: which model, where to, Apply that turns into Cancel, and how far the run is."""

from __future__ import annotations

from typing import Any

from petctfusion.errors import CancelledError
from petctfusion.models import InstalledModel, list_models
from PETCTFusionSegLib.desktop import inputs, install
from PETCTFusionSegLib.desktop.bench import Workbench
from PETCTFusionSegLib.desktop.parameters import MachineSettings, readMachine, writeMachine
from PETCTFusionSegLib.desktop.progress import Progress, progressText
from PETCTFusionSegLib.desktop.results import StudyOutcome
from PETCTFusionSegLib.desktop.runner import Listener, RunResult
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.imports import SegmentationResult, StudyJob, importResult

_PROGRESS_STEPS = 1000
_DEFAULT_THRESHOLD = 0.5


class SegmentSection(Section):
    """Starts runs and brings their results into the scene."""

    name = "Segment"

    def __init__(self, bench: Workbench, ui: Any) -> None:
        super().__init__(bench, ui)
        self.models: list[InstalledModel] = []
        self._job: StudyJob | None = None
        self._model: InstalledModel | None = None
        self._filling = False
        self._sceneClosed = False
        self._fillModels()
        self.showDevices([])
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

    def refresh(self) -> None:
        """Apply or Cancel, and why not."""
        busy, reason, ui = self.bench.runner.busy, self.whyNot(), self.ui
        ui.applyButton.text = _("Cancel") if busy else _("Apply")
        ui.applyButton.enabled = busy or not reason
        ui.applyButton.toolTip = _("Stop the run.") if busy else (reason or _("Segment the tumor in the background."))
        ui.modelSelector.toolTip = _modelText(self.chosenModel()) if self.models else _("No model is installed.")
        ui.progressBar.visible = busy
        for widget in (ui.outputSelector, ui.modelSelector, ui.deviceSelector):
            widget.enabled = not busy

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
        _requirePackages(machine)
        self._sceneClosed = False
        self._model = self.chosenModel()
        images = inputs.collectImages(study.ct, study.pet)
        self._job = StudyJob.started(
            study.ct, study.pet, study.output, {"Model": self._model.reference, "PETUnits": images.petUnits}
        )
        for note in images.notes:
            self.bench.log(note)
        self.ui.progressBar.value = 0
        self.bench.say(_("Preparing...") if self.bench.runner.warm else _("Starting the worker..."))
        self.bench.runner.run(images, self._model, machine, Listener(self._onResult, self._onError, self._onProgress))
        self.bench.changed()

    def whyNot(self) -> str:
        """Why Apply is not possible now; empty when it is."""
        ct, pet = self.bench.study.ct, self.bench.study.pet
        if ct is None or pet is None:
            return _("Choose a CT and a PET volume.")
        if ct is pet:
            return _("CT and PET are the same volume.")
        if inputs.unitsBadge(pet).state == "ask":
            return _("Say what the units of the PET are.")
        return "" if self.models else _("No model is installed.")

    # --- what the worker says

    def _onProgress(self, progress: Progress) -> None:
        self.ui.progressBar.value = round(progress.fraction * _PROGRESS_STEPS)
        self.bench.say(progressText(progress))

    def _onResult(self, result: RunResult) -> None:
        job, model, self._job = self._job, self._model, None
        try:
            if job is None or model is None:
                return
            provenance = {"Model": model.name, "Version": model.version, **result.provenance}
            if model.card.members:
                provenance["Members"] = ", ".join(member.reference for member in model.card.members)
            name = _("{ct} tumor").format(ct=job.ct.name)
            found = SegmentationResult(result.labels, model.card.labels, name, provenance)
            outcome = importResult(self.bench.scene, job, found)
            self.ui.progressBar.value = 0 if outcome.node is None else _PROGRESS_STEPS
            if outcome.node is not None:
                kept = StudyOutcome(result.labels, result.probability, _threshold(model), model, result.notes)
                self.bench.results.keep(outcome.node, kept)
                self.bench.editor.edit(outcome.node, job.ct.nodeIn(self.bench.scene))
            self.bench.say(" ".join([outcome.sentence, *result.notes]))
        except Exception as error:
            self._onError(error)
        self.bench.changed()

    def _onError(self, error: BaseException) -> None:
        self._job = None
        self.ui.progressBar.value = 0
        if isinstance(error, CancelledError):
            closed = _("The scene was closed, so the run was stopped.")
            self.bench.say(closed if self._sceneClosed else _("Cancelled."))
        else:
            self.bench.fail(error)
        self.bench.changed()

    # --- what the widgets hold

    def chosenModel(self) -> InstalledModel:
        """The model in the selector."""
        return self.models[self.ui.modelSelector.currentIndex]

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
            writeMachine(self.bench.settings, machine)

    def _fillModels(self) -> None:
        """List the models again, keeping the chosen one."""
        selector = self.ui.modelSelector
        chosen = self.chosenModel().reference if self.models else ""
        self._filling = True
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


def _threshold(model: InstalledModel) -> float:
    return float(getattr(model.card, "threshold", _DEFAULT_THRESHOLD))


def _requirePackages(machine: MachineSettings) -> None:
    """An external Python has its own packages; in Slicer's own one the user is told what a click would install."""
    plan = install.currentPlan()
    if machine.python or plan.complete:
        return
    missing = ", ".join([*map(install.nameOf, plan.packages), *(["torch"] if plan.torch else [])])
    raise install.InstallError(
        _("The worker needs packages that are missing: {names}.").format(names=missing),
        _('Click "Check and install..." under Computer.'),
    )


def _modelText(model: InstalledModel) -> str:
    """What a model is, what an ensemble is made of, and what it must not be used for."""
    members = [f"{member.reference} (weight {member.weight:g})" for member in model.card.members]
    mean = [_("The mean of {members}.").format(members=", ".join(members))] if members else []
    return "\n".join([f"{model.card.title} ({model.reference})", *mean, _("Not for:"), *model.card.not_for])


def _deviceText(device: dict[str, Any]) -> str:
    name, free = str(device.get("name") or device["id"]), device.get("free_bytes")
    return f"{name} ({free / 2**30:.1f} GB free)" if free else name
