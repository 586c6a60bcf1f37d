"""The panel: what the widgets show, and what a click does. The work itself is done elsewhere."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

from petctfusion.errors import CancelledError, FusionError
from petctfusion.models import InstalledModel, list_models
from PETCTFusionSegLib.mrml.imports import SegmentationResult, StudyJob, importResult
from PETCTFusionSegLib.mrml.statistics_plugin import registerStatisticsPlugin

from . import inputs, install
from .compare import ComparisonTable
from .parameters import MachineSettings, StudyParameters, readMachine, readStudy, writeMachine, writeStudy
from .progress import Progress, progressText
from .runner import RunResult, WorkerRunner
from .segmenteditor import EmbeddedEditor

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("PETCTFusionSeg")

_UNITS = (None, "SUVbw", "BQML")
_PROGRESS_STEPS = 1000
_CANCELLED = "Cancelled."
_CLICK_INSTALL = 'Click "Check and install..." under Computer.'


class Panel:
    """Wires the widgets of `PETCTFusionSeg.ui` to scene, worker and table."""

    def __init__(self, root: Any, ui: Any, parameterNode: Callable[[], Any]) -> None:
        """`parameterNode` gives the module's parameter node of the scene as it is now."""
        import slicer

        self.root = root
        self.ui = ui
        self._parameterNode = parameterNode
        self._settings = slicer.app.settings()
        self._job: StudyJob | None = None
        self._model: InstalledModel | None = None
        self._models: list[InstalledModel] = []
        self._filling = False
        self._sceneOpen = True
        self._cancelSentence = _CANCELLED
        self.runner = WorkerRunner(
            self._onProgress, self._onResult, self._onError, onNote=self._add, onDevices=self._onDevices
        )
        self.editor = EmbeddedEditor(ui.segmentEditorWidget, self._onNodesChanged)
        self.comparison = ComparisonTable(ui, self._comparedNodes)
        root.setMRMLScene(slicer.mrmlScene)
        self._fillModels()
        self._fillDevices(readMachine(self._settings), {})
        self._connectWidgets()
        registerStatisticsPlugin()
        self.sceneOpened()

    # --- scene and module come and go

    def sceneOpened(self) -> None:
        """Take the scene's own choices; at the start, and after a scene was closed or loaded."""
        import slicer

        self._sceneOpen = True
        self.editor.connectScene(slicer.mrmlScene)
        self._showParameters(readStudy(self._parameterNode()))
        self._onNodesChanged()

    def sceneCloses(self) -> None:
        """Stop a run whose study is about to go, and let go of every node."""
        self._sceneOpen = False
        if self.runner.busy:
            self._cancelSentence = "The scene was closed, so the run was stopped."
            self.runner.cancel()
        self.comparison.stop()
        self.editor.letGo()

    def enter(self) -> None:
        """The module became visible."""
        self.editor.enter()
        self._fillModels()

    def exit(self) -> None:
        """The module is left; a run goes on."""
        self.editor.exit()

    def cleanup(self) -> None:
        """The module or the application ends: no worker and no observer stays behind."""
        self.runner.shutdown()
        self.comparison.stop()
        self.editor.letGo()

    # --- what the user does

    def apply(self) -> None:
        """Start a run, or cancel the one that is under way."""
        if self.runner.busy:
            self._say("Stopping...")
            self.runner.cancel()
            return
        try:
            self._start()
        except Exception as error:
            self._onError(error)

    def _start(self) -> None:
        parameters, machine = self._chosen(), self._chosenMachine()
        _requirePackages(machine)
        self._cancelSentence = _CANCELLED
        self._model = self._chosenModel()
        images = inputs.collectImages(parameters.ct, parameters.pet)
        self._job = StudyJob.started(
            parameters.ct,
            parameters.pet,
            parameters.output,
            {"Model": self._model.reference, "PETUnits": images.petUnits},
        )
        for note in images.notes:
            log.info(note)
        self.ui.progressBar.value = 0
        self._say("Starting the worker..." if not self.runner.warm else "Preparing...")
        self.runner.run(images, self._model, machine)
        self._showState()

    def compare(self) -> None:
        """Recompute the table now."""
        self.comparison.recompute()

    def installPackages(self) -> None:
        """Say what is missing, and install it when the user agrees."""
        import slicer

        plan = install.currentPlan()
        if plan.complete:
            self._say(plan.sentence())
            return
        if not slicer.util.confirmOkCancelDisplay(plan.sentence(), windowTitle="PETCTFusionSeg"):
            self._say("Nothing was installed.")
            return
        try:
            install.install(plan)
        except FusionError as error:
            self._onError(error)
            return
        self.runner.shutdown()
        self._say("The packages are installed.")

    def _onUnitsChosen(self, index: int) -> None:
        pet = self.ui.petSelector.currentNode()
        if pet is not None and not self._filling:
            inputs.declareUnits(pet, _UNITS[index])
            self._onNodesChanged()

    def _onNodesChanged(self) -> None:
        """A selector or the edited segmentation changed: keep the choice, show what follows from it."""
        if self._filling or not self._sceneOpen:
            return
        writeStudy(self._parameterNode(), self._chosen())
        self._showUnits()
        self.comparison.live = bool(self.ui.liveCheckBox.checked)
        self.comparison.follow()
        self._showState()

    def _onMachineChanged(self) -> None:
        if not self._filling:
            writeMachine(self._settings, self._chosenMachine())

    # --- what the worker says

    def _onProgress(self, progress: Progress) -> None:
        self.ui.progressBar.value = round(progress.fraction * _PROGRESS_STEPS)
        self._say(progressText(progress))

    def _onResult(self, result: RunResult) -> None:
        import slicer

        job, model, self._job = self._job, self._model, None
        try:
            if job is None or model is None:
                return
            provenance = {"Model": model.name, "Version": model.version, **result.provenance}
            if model.card.members:
                provenance["Members"] = ", ".join(member.reference for member in model.card.members)
            outcome = importResult(
                slicer.mrmlScene,
                job,
                SegmentationResult(result.labels, model.card.labels, f"{job.ct.name} tumor", provenance),
            )
            if outcome.node is not None:
                self.ui.progressBar.value = _PROGRESS_STEPS
                self.editor.edit(outcome.node, job.ct.nodeIn(slicer.mrmlScene))
            else:
                self.ui.progressBar.value = 0
            self._say(" ".join([outcome.sentence, *result.notes]))
        except Exception as error:
            self._onError(error)
        self._showState()

    def _onError(self, error: BaseException) -> None:
        """One line in the panel; the traceback goes to the log."""
        self._job = None
        self.ui.progressBar.value = 0
        if isinstance(error, CancelledError):
            self._say(self._cancelSentence)
        elif isinstance(error, FusionError):
            log.warning("%s", error)
            self._say(str(error))
        else:
            log.error("%s", "".join(traceback.format_exception(type(error), error, error.__traceback__)))
            self._say(f"This should not have happened: {error}. The details are in the log.")
        self._showState()

    # --- what the widgets hold and show

    def _comparedNodes(self) -> tuple[Any, Any, Any]:
        if not self._sceneOpen:
            return None, None, None
        edited = self.editor.segmentation()
        reference = self.ui.referenceSelector.currentNode()
        return edited if edited is not reference else None, reference, self.ui.ctSelector.currentNode()

    def _chosen(self) -> StudyParameters:
        ui = self.ui
        return StudyParameters(
            ui.ctSelector.currentNode(),
            ui.petSelector.currentNode(),
            ui.referenceSelector.currentNode(),
            ui.outputSelector.currentNode(),
            self._models[ui.modelSelector.currentIndex].reference if self._models else "",
            bool(ui.liveCheckBox.checked),
        )

    def _chosenModel(self) -> InstalledModel:
        return self._models[self.ui.modelSelector.currentIndex]

    def _chosenMachine(self) -> MachineSettings:
        device = self.ui.deviceSelector.itemData(self.ui.deviceSelector.currentIndex)
        return MachineSettings(str(device or "auto"), str(self.ui.pythonEdit.text).strip())

    def _fillModels(self) -> None:
        """List the models again, keeping the chosen one. Runs at the start and whenever the module is entered."""
        selector = self.ui.modelSelector
        chosen = self._models[selector.currentIndex].reference if self._models else ""
        self._filling = True
        self._models = list_models()
        selector.clear()
        for model in self._models:
            selector.addItem(f"{model.card.title} ({model.reference})")
        self._chooseModel(chosen)
        self._filling = False

    def _chooseModel(self, reference: str) -> None:
        known = [model.reference for model in self._models]
        if reference in known:
            self.ui.modelSelector.currentIndex = known.index(reference)

    def _fillDevices(self, machine: MachineSettings, found: dict[str, str]) -> None:
        """`found` maps the devices to their names; a chosen one stays in the list even when it is not there now."""
        self._filling = True
        choices = {"auto": "Automatic", "cpu": "CPU", **found}
        choices.setdefault(machine.device, machine.device)
        self.ui.deviceSelector.clear()
        for value, text in choices.items():
            self.ui.deviceSelector.addItem(text, value)
        self.ui.deviceSelector.currentIndex = list(choices).index(machine.device)
        self.ui.pythonEdit.text = machine.python
        self._filling = False

    def _onDevices(self, devices: list[dict[str, Any]]) -> None:
        """The worker knows which devices there are, and how much memory is free on them."""
        self._fillDevices(self._chosenMachine(), {str(device["id"]): _deviceText(device) for device in devices})

    def _connectWidgets(self) -> None:
        ui = self.ui
        ui.applyButton.connect("clicked()", self.apply)
        ui.compareButton.connect("clicked()", self.compare)
        ui.installButton.connect("clicked()", self.installPackages)
        ui.petUnitsSelector.connect("currentIndexChanged(int)", self._onUnitsChosen)
        for selector in (ui.ctSelector, ui.petSelector, ui.referenceSelector, ui.outputSelector):
            selector.connect("currentNodeChanged(vtkMRMLNode*)", self._onNodesChanged)
        ui.modelSelector.connect("currentIndexChanged(int)", self._onNodesChanged)
        ui.liveCheckBox.connect("toggled(bool)", self._onNodesChanged)
        ui.deviceSelector.connect("currentIndexChanged(int)", self._onMachineChanged)
        ui.pythonEdit.connect("editingFinished()", self._onMachineChanged)

    def _showParameters(self, parameters: StudyParameters) -> None:
        self._filling = True
        self.ui.ctSelector.setCurrentNode(parameters.ct)
        self.ui.petSelector.setCurrentNode(parameters.pet)
        self.ui.referenceSelector.setCurrentNode(parameters.reference)
        self.ui.outputSelector.setCurrentNode(parameters.output)
        self.ui.liveCheckBox.checked = parameters.live
        self._chooseModel(parameters.model)
        self._filling = False

    def _showUnits(self) -> None:
        pet = self.ui.petSelector.currentNode()
        declared = inputs.declaredUnits(pet)
        self._filling = True
        self.ui.petUnitsFrame.visible = declared is not None or inputs.unitsAreUnknown(pet)
        self.ui.petUnitsSelector.currentIndex = _UNITS.index(declared) if declared in _UNITS else 0
        self._filling = False

    def _whyNot(self) -> str:
        """Why Apply is not possible now; empty when it is."""
        ct, pet = self.ui.ctSelector.currentNode(), self.ui.petSelector.currentNode()
        if ct is None or pet is None:
            return "Choose a CT and a PET volume."
        if ct is pet:
            return "CT and PET are the same volume."
        if inputs.unitsAreUnknown(pet):
            return "Say what the units of the PET are."
        return "" if self._models else "No model is installed."

    def _showState(self) -> None:
        busy, reason = self.runner.busy, self._whyNot()
        self.ui.applyButton.text = "Cancel" if busy else "Apply"
        self.ui.applyButton.enabled = busy or not reason
        self.ui.applyButton.toolTip = "Stop the run." if busy else (reason or "Segment the tumor in the background.")
        self.ui.modelSelector.toolTip = _modelText(self._chosenModel()) if self._models else "No model is installed."
        self.ui.compareButton.enabled = self.comparison.ready
        self.ui.progressBar.visible = busy
        for name in ("ctSelector", "petSelector", "outputSelector", "modelSelector", "deviceSelector", "pythonEdit"):
            getattr(self.ui, name).enabled = not busy
        self.ui.installButton.enabled = not busy

    def _add(self, sentence: str) -> None:
        self._say(f"{self.ui.statusLabel.text} {sentence}".strip())

    def _say(self, sentence: str) -> None:
        self.ui.statusLabel.text = sentence


def _requirePackages(machine: MachineSettings) -> None:
    """An external Python has its own packages; in Slicer's own one the user is told what a click would install."""
    plan = install.currentPlan()
    if machine.python or plan.complete:
        return
    missing = ", ".join([*map(install.nameOf, plan.packages), *(["torch"] if plan.torch else [])])
    raise install.InstallError(f"The worker needs packages that are missing: {missing}.", _CLICK_INSTALL)


def _modelText(model: InstalledModel) -> str:
    """What a model is, what an ensemble is made of, and what it must not be used for."""
    members = [f"{member.reference} (weight {member.weight:g})" for member in model.card.members]
    mean = [f"The mean of {', '.join(members)}."] if members else []
    return "\n".join([f"{model.card.title} ({model.reference})", *mean, "Not for:", *model.card.not_for])


def _deviceText(device: dict[str, Any]) -> str:
    name, free = str(device.get("name") or device["id"]), device.get("free_bytes")
    return f"{name} ({free / 2**30:.1f} GB free)" if free else name
