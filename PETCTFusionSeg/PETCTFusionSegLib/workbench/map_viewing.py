"""What a Maps section does: the network is watched on the study once more, and its maps are laid over the slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from petctfusion.errors import CancelledError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.imports import StudyJob
from PETCTFusionSegLib.mrml.maps import (
    MAP_ATTRIBUTE,
    hiddenBelow,
    hideBelow,
    importMaps,
    mapsOf,
    mapText,
    showMap,
    shownMap,
)

from .bench import Workbench
from .inputs import EXTRA, takeSnapshot
from .progress import Progress, progressText
from .results import StudyOutcome
from .runner import Listener, RunResult


class MapViewing:
    """Follows the study and the segmentation in the editor; `shown` is called when anything has changed."""

    def __init__(self, bench: Workbench, shown: Callable[[], None]) -> None:
        self.bench = bench
        self.fraction = 0.0
        """How far the run is, 0 to 1."""
        self._shown = shown
        self._job: StudyJob | None = None

    def waitsFor(self) -> str:
        """A result, whose network can be watched, or maps."""
        if self._outcome() is None and not self.busy and not self.rows():
            return _("Maps show where the network looked: segment first.")
        return ""

    def whyNot(self) -> str:
        """Why no maps can be made now; empty when they can."""
        if self._outcome() is None:
            return _("Choose a result of this session under Edit.")
        if self.bench.study.ct is None or self.bench.study.pet is None:
            return _("Choose the CT and the PET.")
        return _("A run is under way.") if self.bench.runner.busy and not self.busy else ""

    @property
    def busy(self) -> bool:
        """True while the network is watched."""
        return self._job is not None

    def toggle(self) -> None:
        """Start, or cancel what runs."""
        if self.busy:
            self.bench.say(_("Stopping..."))
            self.bench.runner.cancel()
            return
        try:
            self._start()
        except Exception as error:
            self.bench.fail(error)
        self.bench.changed()

    def rows(self) -> list[tuple[str, str]]:
        """Node id and text of the maps of the study's CT."""
        if not self.bench.sceneOpen or self.bench.study.ct is None:
            return []
        return [(node.GetID(), mapText(node)) for node in mapsOf(self.bench.scene, self.bench.study.ct)]

    @property
    def chosen(self) -> str:
        """The id of the map over the slices, or nothing."""
        node = shownMap(self.bench.scene) if self.bench.sceneOpen else None
        return "" if node is None else str(node.GetID())

    def choose(self, nodeId: str) -> None:
        """Lay a map over the slices; nothing gives the PET back."""
        showMap(self.bench.scene, self.bench.scene.GetNodeByID(nodeId) if nodeId else None)
        self.bench.changed()

    @property
    def hiddenBelow(self) -> float:
        """The share of the chosen map's range that is not shown."""
        node = self._node()
        return 0.0 if node is None else hiddenBelow(node)

    def hideBelow(self, share: float) -> None:
        """Show the chosen map only above this share (0 to 1) of its range."""
        node = self._node()
        if node is not None:
            hideBelow(node, share)
            self._shown()

    def explanation(self) -> str:
        """What the chosen map shows, and what it does not."""
        node = self._node()
        if node is None:
            return ""
        if node.GetAttribute(MAP_ATTRIBUTE) == "uncertainty":
            return _("Bright where the network is unsure whether there is tumor; 100 % is a coin's toss.")
        return _("Bright where this attention of the network is high. It does not say why, and it is no finding.")

    def sceneCloses(self) -> None:
        """Stop a run whose study is about to go."""
        if self.busy:
            self.bench.runner.cancel()

    def _start(self) -> None:
        study, outcome, reason = self.bench.study, self._outcome(), self.whyNot()
        if reason or outcome is None:
            self.bench.say(reason)
            return
        takesExtra = EXTRA in outcome.model.card.modalities
        snapshot = takeSnapshot(study.ct, study.pet, study.extra if takesExtra else None)
        job = StudyJob.started(study.ct, study.pet)
        listener = Listener(self._onResult, self._onError, self._onProgress)
        machine = self.bench.readMachine()
        self.bench.runner.run(snapshot.checked, outcome.model, machine, listener, outcome.threshold, maps=True)
        self._job, self.fraction = job, 0.0
        self.bench.say(_("Preparing..."))

    def _onProgress(self, progress: Progress) -> None:
        self.fraction = progress.fraction
        self.bench.say(progressText(progress))
        self._shown()

    def _onResult(self, result: RunResult) -> None:
        job, self._job = self._job, None
        try:
            self._import(job, result)
        except Exception as error:
            self.bench.fail(error)
        self.bench.changed()

    def _import(self, job: StudyJob | None, result: RunResult) -> None:
        nodes = importMaps(self.bench.scene, job, result.maps) if job is not None else []
        if not nodes:
            self.bench.say(_("The CT was removed meanwhile, so the maps were dropped."))
            return
        attention = [node for node in nodes if node.GetAttribute(MAP_ATTRIBUTE) == "attention"]
        showMap(self.bench.scene, (attention or nodes)[0])
        sentence = _("There are {count} maps: choose one under Maps.").format(count=len(nodes))
        self.bench.say(" ".join([sentence, *result.notes]))

    def _onError(self, error: BaseException) -> None:
        self._job = None
        if isinstance(error, CancelledError):
            self.bench.say(_("Cancelled."))
        else:
            self.bench.fail(error)
        self.bench.changed()

    def _outcome(self) -> StudyOutcome | None:
        return self.bench.results.of(self.bench.segmentation())

    def _node(self) -> Any:
        return shownMap(self.bench.scene) if self.bench.sceneOpen else None
