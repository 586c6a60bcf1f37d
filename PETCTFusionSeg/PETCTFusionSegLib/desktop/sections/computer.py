"""The Computer section: the Python that runs the worker, and its packages."""

from __future__ import annotations

from typing import Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.desktop import install
from PETCTFusionSegLib.desktop.bench import Workbench
from PETCTFusionSegLib.desktop.parameters import readMachine, writeMachine
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.i18n import _


class ComputerSection(Section):
    """Machine-level choices; they stay on the machine and are not in the scene."""

    name = "Computer"
    collapsed = True

    def __init__(self, bench: Workbench, ui: Any) -> None:
        super().__init__(bench, ui)
        ui.pythonEdit.text = readMachine(bench.settings).python
        ui.pythonEdit.connect("editingFinished()", self._onPython)
        ui.installButton.connect("clicked()", self.installPackages)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Computer")

    def refresh(self) -> None:
        """Nothing of the machine changes during a run."""
        for widget in (self.ui.pythonEdit, self.ui.installButton):
            widget.enabled = not self.bench.runner.busy

    def installPackages(self) -> None:
        """Say what is missing, and install it when the user agrees."""
        import slicer

        plan = install.currentPlan()
        if plan.complete:
            self.bench.say(plan.sentence())
            return
        if not slicer.util.confirmOkCancelDisplay(plan.sentence(), windowTitle="PETCTFusionSeg"):
            self.bench.say(_("Nothing was installed."))
            return
        try:
            install.install(plan)
        except FusionError as error:
            self.bench.fail(error)
            return
        self.bench.runner.shutdown()
        self.bench.say(_("The packages are installed."))

    def _onPython(self) -> None:
        machine = readMachine(self.bench.settings)
        machine.python = str(self.ui.pythonEdit.text).strip()
        writeMachine(self.bench.settings, machine)
