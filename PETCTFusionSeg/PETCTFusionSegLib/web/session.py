"""One user's workbench: the scene, its views, the worker, and the sections of the page."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.headless import adoptApplication
from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.parameters import MachineSettings, StudyParameters
from PETCTFusionSegLib.workbench.runner import WorkerRunner

from .editor import WebEditor
from .opening import readStudy, showStudy
from .page import buildPage
from .section import PageContext, Section
from .sections.compare import CompareSection
from .sections.deliver import DeliverSection
from .sections.edit import EditSection
from .sections.lesions import LesionsSection
from .sections.maps import MapsSection
from .sections.segment import SegmentSection
from .sections.study import StudySection
from .sections.teaching import TeachingSection
from .sections.view import ViewSection
from .start import SessionStart
from .timers import makeTimer
from .transfers import FileTransfers
from .views.board import ViewBoard
from .worker_process import AsyncioProcess

_log = logging.getLogger("PETCTFusionSeg")

SECTIONS: tuple[type[Section], ...] = (
    StudySection,
    ViewSection,
    SegmentSection,
    EditSection,
    CompareSection,
    LesionsSection,
    MapsSection,
    DeliverSection,
)
TEACHING_SECTIONS: tuple[type[Section], ...] = (TeachingSection, ViewSection)


class WebSession:
    """Made once in its process, before the server starts; `open` is awaited when it runs."""

    def __init__(self, server: Any, start: SessionStart, transfers: FileTransfers) -> None:
        from trame_slicer.core import SlicerApp

        self.server, self.start = server, start
        self._changing = False
        self.app = SlicerApp()
        adoptApplication(self.app.scene, self.app.app_logic)
        # Pipelines of effects that were made before there is a view find none later.
        self.app.scene.Clear()
        self.board = ViewBoard(self.app, server)
        self.page = PageContext(server, self.board, start.folder, transfers, start.lesson)
        self.editor = WebEditor(self.board, self.changed, self.say)
        self.bench = Workbench(
            study=StudyParameters(),
            editor=self.editor,
            runner=WorkerRunner(self._add, self._onDevices, AsyncioProcess, makeTimer),
            say=self.say,
            changed=self.changed,
            machine=MachineSettings(device=start.device),
            makeTimer=makeTimer,
        )
        kinds = TEACHING_SECTIONS if start.teaching else SECTIONS
        self.sections = {kind.name: kind(self.bench, self.page) for kind in kinds}
        self.say(_("Loading..."))
        buildPage(self)

    async def open(self) -> None:
        """Bring what the session begins with into the scene."""
        self.editor.connectScene(self.app.scene)
        for section in self.sections.values():
            section.sceneOpened()
        try:
            study = await asyncio.to_thread(readStudy, self.start)
        except FusionError as error:
            self.bench.fail(error)
            study = None
        else:
            self.say("" if study is not None or self.start.teaching else _("Drop volumes onto the page to begin."))
        if study is not None:
            showStudy(self.bench, self.board, study)
            self.say(" ".join(study.references.notes))
        self.changed()

    def close(self) -> None:
        """No worker, observer or task stays behind."""
        self.bench.runner.shutdown()
        for section in self.sections.values():
            section.cleanup()
        self.editor.letGo()
        self.board.stop()

    def changed(self) -> None:
        """Let every section look again."""
        if self._changing:
            return
        self._changing = True
        try:
            with self.page.state as state:
                for section in self.sections.values():
                    state[f"{section.name}_waits"] = section.waitsFor()
                    section.refresh()
                state.can_undo, state.can_redo = self.editor.canUndo, self.editor.canRedo
        finally:
            self._changing = False

    def say(self, sentence: str) -> None:
        """Show a sentence in the line below the views."""
        with self.page.state as state:
            state.status = sentence

    def _add(self, sentence: str) -> None:
        self.say(f"{self.page.state.status} {sentence}".strip())

    def _onDevices(self, devices: list[dict[str, Any]]) -> None:
        segment = self.sections.get(SegmentSection.name)
        if isinstance(segment, SegmentSection):
            segment.showDevices(devices)
