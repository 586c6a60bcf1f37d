"""A run from Apply to its segmentation in the scene."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from petctfusion.errors import CancelledError
from petctfusion.models import InstalledModel
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.imports import SegmentationResult, StudyJob, importResult

from . import inputs
from .bench import Workbench
from .model_choice import takesExtra
from .progress import Progress, durationText, progressText
from .results import StudyOutcome
from .runner import Listener, RunResult

_TICK_MS = 1000


@dataclass(frozen=True)
class _Run:
    """What a run was started with."""

    job: StudyJob
    model: InstalledModel
    threshold: float
    startedS: float


class Segmenting:
    """One run at a time. `show` is called when `fraction` or `elapsed` has changed."""

    def __init__(self, bench: Workbench, show: Callable[[], None]) -> None:
        self._bench = bench
        self._show = show
        self._run: _Run | None = None
        self._sceneClosed = False
        self._clock = bench.makeTimer(_TICK_MS, False, self._tick)
        self.fraction = 0.0
        """Share of the run that is done; 1 after one that brought a result, until the next one begins."""
        self.elapsed = ""
        """How long the run has taken so far, in words."""

    def whyNot(self, model: InstalledModel | None) -> str:
        """Why no run is possible now; empty when one is."""
        bench = self._bench
        ct, pet, units, verdict = bench.study.ct, bench.study.pet, bench.units, bench.verdict
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
        return "" if model is not None else _("No model is installed.")

    def start(self, model: InstalledModel, threshold: float) -> None:
        """Start a run of the chosen study; whatever is in its way becomes a sentence."""
        study, machine, bench = self._bench.study, self._bench.readMachine(), self._bench
        self._sceneClosed = False
        try:
            snapshot = inputs.takeSnapshot(study.ct, study.pet, study.extra if takesExtra(model) else None)
            parameters = {"Model": model.reference, "PETUnits": snapshot.petUnits, "Threshold": f"{threshold:g}"}
            job = StudyJob.started(study.ct, study.pet, study.output, parameters)
            bench.say(_("Preparing...") if bench.runner.warm else _("Starting the worker..."))
            listener = Listener(self._onResult, self._onError, self._onProgress)
            bench.runner.run(snapshot.checked, model, machine, listener, threshold)
        except Exception as error:
            self._onError(error)
            return
        self._run = _Run(job, model, threshold, time.monotonic())
        self.fraction = 0.0
        self._tick()
        self._clock.start()
        bench.changed()

    def cancel(self) -> None:
        """Ask the run to stop."""
        self._bench.say(_("Stopping..."))
        self._bench.runner.cancel()

    def sceneCloses(self) -> None:
        """Stop a run whose study is about to go."""
        if self._bench.runner.busy:
            self._sceneClosed = True
            self._bench.runner.cancel()

    def cleanup(self) -> None:
        """Nothing ticks any more."""
        self._clock.stop()

    # --- what the worker says

    def _onProgress(self, progress: Progress) -> None:
        self.fraction = progress.fraction
        self._show()
        self._bench.say(progressText(progress))

    def _onResult(self, result: RunResult) -> None:
        run = self._ended(1.0)
        try:
            if run is not None:
                self._import(run, result)
        except Exception as error:
            self._bench.fail(error)
        self._bench.changed()

    def _import(self, run: _Run, result: RunResult) -> None:
        model, job, editor, scene = run.model, run.job, self._bench.editor, self._bench.scene
        provenance = {"Model": model.name, "Version": model.version, **result.provenance}
        if model.card.members:
            provenance["Members"] = ", ".join(member.reference for member in model.card.members)
        name = _("{ct} tumor").format(ct=job.ct.name)
        outcome = importResult(scene, job, SegmentationResult(result.labels, model.card.labels, name, provenance))
        sentences = [outcome.sentence, *result.notes]
        if outcome.node is not None:
            kept = StudyOutcome(result.labels, result.probability, run.threshold, model, result.notes)
            self._bench.results.keep(outcome.node, kept)
            edited = editor.segmentation()
            if editor.working() and edited is not outcome.node:
                text = _('You are editing "{name}": choose the result in the editor when you are done.')
                sentences.append(text.format(name=edited.GetName()))
            else:
                editor.edit(outcome.node, job.ct.nodeIn(scene))
        self._bench.say(" ".join(sentences))

    def _onError(self, error: BaseException) -> None:
        self._ended(0.0)
        if isinstance(error, CancelledError):
            closed = _("The scene was closed, so the run was stopped.")
            self._bench.say(closed if self._sceneClosed else _("Cancelled."))
        else:
            self._bench.fail(error)
        self._bench.changed()

    def _ended(self, fraction: float) -> _Run | None:
        run, self._run = self._run, None
        self._clock.stop()
        self.fraction = fraction
        self._show()
        return run

    def _tick(self) -> None:
        if self._run is not None:
            self.elapsed = durationText(time.monotonic() - self._run.startedS)
        self._show()
