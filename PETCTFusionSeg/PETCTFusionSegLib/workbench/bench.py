"""What all sections share: the study, the editor, the worker, the results, and one line to the user."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from petctfusion.errors import FusionError
from petctfusion.volumes import Verdict
from PETCTFusionSegLib.i18n import _

from .editor import Editor
from .inputs import UnitsBadge
from .parameters import MachineSettings, StudyParameters
from .results import ResultStore
from .runner import WorkerRunner
from .timers import MakeTimer

_log = logging.getLogger("PETCTFusionSeg")


@dataclass
class Workbench:
    """Sections read it, and tell it with `changed` that others should look again."""

    study: StudyParameters
    editor: Editor
    runner: WorkerRunner
    say: Callable[[str], None]
    """Shows a sentence in the one line to the user."""
    changed: Callable[[], None]
    """Nodes, the edited segmentation, results or a run changed: every section's `refresh` is called."""
    makeTimer: MakeTimer
    results: ResultStore = field(default_factory=ResultStore)
    verdict: Verdict | None = None
    """Whether the chosen volumes can be segmented; None while CT or PET is missing."""
    units: UnitsBadge | None = None
    """What is known of the PET's units; None while there is no PET."""
    modelChanges: int = 0
    """Counts how often models were added or removed, so that lists of them are filled again."""
    sceneOpen: bool = True
    machine: MachineSettings = field(default_factory=MachineSettings)
    """The choices of this computer, where nothing keeps them longer than the bench; ask `readMachine`."""

    @property
    def scene(self) -> Any:
        """The application's scene."""
        import slicer

        return slicer.mrmlScene

    def readMachine(self) -> MachineSettings:
        """The choices that belong to the computer, as they are now."""
        return self.machine

    def keepMachine(self, machine: MachineSettings) -> None:
        """Make these the choices from now on."""
        self.machine = machine

    def segmentation(self) -> Any:
        """The segmentation in the editor, or None."""
        return self.editor.segmentation() if self.sceneOpen else None

    def log(self, sentence: str) -> None:
        """A line for the log alone."""
        _log.info("%s", sentence)

    def fail(self, error: BaseException) -> None:
        """One sentence to the user; the traceback of what nobody expected goes to the log."""
        if isinstance(error, FusionError):
            _log.warning("%s", error)
            self.say(str(error))
            return
        _log.error("%s", "".join(traceback.format_exception(type(error), error, error.__traceback__)))
        self.say(_("This should not have happened: {error}. The details are in the log.").format(error=error))
