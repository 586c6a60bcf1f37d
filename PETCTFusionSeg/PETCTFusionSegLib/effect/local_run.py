"""Runs the network in a box of the study, in the worker; the rest of the application goes on meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import SimpleITK as sitk

from petctfusion.errors import BadInputError, CancelledError
from petctfusion.models import InstalledModel, default_model, find_model
from PETCTFusionSegLib.desktop.machine import readMachine
from PETCTFusionSegLib.desktop.worker_process import makeRunner
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.transforms import Matrix
from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.local_study import contextMm, studyAround
from PETCTFusionSegLib.workbench.parameters import StudyParameters, readStudy
from PETCTFusionSegLib.workbench.progress import Progress, progressText
from PETCTFusionSegLib.workbench.runner import Listener, RunResult, WorkerRunner

MODULE = "PETCTFusionSeg"


@dataclass(frozen=True)
class LocalResult:
    """Label map and probability (uint8, 255 = 1) on the part of the CT around the box, and the model that ran."""

    labels: sitk.Image
    probability: sitk.Image
    model: InstalledModel
    provenance: dict[str, str]
    notes: tuple[str, ...]


class LocalRun:
    """One run at a time. In the module's own editor it uses the panel's worker, elsewhere one of its own."""

    def __init__(
        self,
        say: Callable[[str], None],
        changed: Callable[[], None],
        attempt: Callable[[Callable[[], None]], bool],
    ) -> None:
        """`changed`: a run began or ended. `attempt` does something and turns what it raises into a sentence."""
        self.bench: Workbench | None = None
        self._say = say
        self._changed = changed
        self._attempt = attempt
        self._own: WorkerRunner | None = None
        self._running = False

    @property
    def busy(self) -> bool:
        """True from `start` until its result or error was told."""
        return self._running

    def study(self, scene: Any) -> StudyParameters:
        """The module's study in the scene; empty when the module has not been used in it."""
        if self.bench is not None:
            return self.bench.study
        node = scene.GetSingletonNode(MODULE, "vtkMRMLScriptedModuleNode") if scene is not None else None
        return readStudy(node) if node is not None else StudyParameters()

    def start(self, ct: Any, pet: Any, corners: Matrix, onResult: Callable[[LocalResult], None]) -> None:
        """Run the study's model around LPS points (N, 3). Raises `FusionError` when it cannot begin."""
        import slicer

        if ct is None or pet is None:
            raise BadInputError(_("The network needs a CT and a PET."), _("Choose them in the effect's options."))
        study = self.study(ct.GetScene())
        model = find_model(study.model) if study.model else default_model()
        images = studyAround(ct, pet, study.extra, corners, contextMm(model))
        self._say(_("Preparing..."))
        listener = Listener(partial(self._onResult, model, onResult), self._onError, self._onProgress)
        self._runner().run(lambda: images, model, readMachine(slicer.app.settings()), listener)
        self._setRunning(True)

    def cancel(self) -> None:
        """Stop the run."""
        if self._running:
            self._say(_("Stopping..."))
            self._runner().cancel()

    def shutdown(self) -> None:
        """End the worker that was started here; the panel's own one stays."""
        import slicer

        if self._own is not None:
            slicer.app.disconnect("aboutToQuit()", self.shutdown)
            self._own.shutdown()
        self._own = None
        self._running = False

    def _runner(self) -> WorkerRunner:
        import slicer

        if self.bench is not None:
            return self.bench.runner
        if self._own is None:
            self._own = makeRunner(self._say, lambda _devices: None)
            slicer.app.connect("aboutToQuit()", self.shutdown)
        return self._own

    def _onProgress(self, progress: Progress) -> None:
        self._say(progressText(progress))

    def _onResult(self, model: InstalledModel, tell: Callable[[LocalResult], None], result: RunResult) -> None:
        self._setRunning(False)
        provenance = {"Model": model.name, "Version": model.version, **result.provenance}
        found = LocalResult(result.labels, result.probability, model, provenance, result.notes)
        self._attempt(lambda: tell(found))

    def _onError(self, error: BaseException) -> None:
        self._setRunning(False)
        self._say(_("Cancelled.") if isinstance(error, CancelledError) else str(error))

    def _setRunning(self, running: bool) -> None:
        self._running = running
        self._changed()
        if self.bench is not None:
            self.bench.changed()
