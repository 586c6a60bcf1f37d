"""What the panel's sections share: the workbench, the application's settings and the keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.parameters import MachineSettings

from .machine import readMachine
from .segmenteditor import EmbeddedEditor
from .settings_panel import keepMachine
from .shortcuts import Shortcuts


@dataclass
class DesktopBench(Workbench):
    """Made by the panel."""

    editor: EmbeddedEditor
    settings: Any = field(kw_only=True)
    """The application's `QSettings`."""
    shortcuts: Shortcuts = field(default_factory=Shortcuts)
    """Sections add the keys of what they do."""

    def readMachine(self) -> MachineSettings:
        """The choices of this computer, which Slicer's own settings page may have changed."""
        return readMachine(self.settings)

    def keepMachine(self, machine: MachineSettings) -> None:
        """Keep them for the next time too."""
        keepMachine(self.settings, machine)
