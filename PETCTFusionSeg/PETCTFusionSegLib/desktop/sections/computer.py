"""The Computer section: packages, the Python and the devices of the worker, models, and the log."""

from __future__ import annotations

from typing import Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.desktop import install, log
from PETCTFusionSegLib.desktop.bench import DesktopBench
from PETCTFusionSegLib.desktop.install_page import InstallPage
from PETCTFusionSegLib.desktop.models_page import ModelsPage
from PETCTFusionSegLib.desktop.python_check import PythonCheck, PythonVerdict
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.desktop.widgets import makeTimer
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.runner import Listener

_LOG_MS = 500
_GOOD, _BAD, _NONE = "✔", "✖", "-"


class ComputerSection(Section):
    """Machine-level choices; they stay on the machine and are not in the scene."""

    name = "Computer"
    collapsed = True

    def __init__(self, bench: DesktopBench, ui: Any) -> None:
        super().__init__(bench, ui)
        self.lines = log.LogLines()
        self.lines.attach()
        self.packages = InstallPage(ui, self._python, self._onInstalled)
        self.models = ModelsPage(ui, self._python, self._onModels)
        self.pythonCheck = PythonCheck(self._onPythonVerdict)
        self._shownLines = -1
        self._logTimer = makeTimer(_LOG_MS, False, self._showLog)
        self._coolTimer = makeTimer(0, True, self._cool)
        ui.pythonEdit.text = self._python()
        ui.pythonEdit.connect("editingFinished()", self._onPython)
        ui.computerPythonBrowseButton.connect("clicked()", self._choosePython)
        ui.computerPythonCheckButton.connect("clicked()", self.checkPython)
        ui.computerProbeButton.connect("clicked()", self.probe)
        ui.computerLogCopyButton.connect("clicked()", self.copyLog)
        self._logTimer.start()

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Computer")

    # --- the panel's events

    def refresh(self) -> None:
        """Nothing of the machine changes during a run; the worker goes after it where the user wants it so."""
        idle = not self.bench.runner.busy
        ui = self.ui
        for widget in (ui.pythonEdit, ui.computerPythonBrowseButton, ui.installButton, ui.computerProbeButton):
            widget.enabled = idle
        self.lines.hide(log.namesInScene(self.bench.scene))
        if idle and self.bench.runner.warm and not self.bench.readMachine().warm:
            # Not here: this is called while the worker's last answer is still being read.
            self._coolTimer.start()

    def enter(self) -> None:
        """The settings may have been changed, and packages or models may have come."""
        self.ui.pythonEdit.text = self._python()
        self.packages.refresh()
        self.models.fill()

    def sceneCloses(self) -> None:
        """The last moment in which the nodes' names are known."""
        self.lines.hide(log.namesInScene(self.bench.scene))

    def cleanup(self) -> None:
        """No process, timer or handler stays behind."""
        self._logTimer.stop()
        self._coolTimer.stop()
        self.pythonCheck.stop()
        self.models.cleanup()
        self.lines.detach()

    # --- what the user does

    def checkPython(self) -> None:
        """Ask the chosen Python what it is and has, without running anything of it in this process."""
        self.ui.computerPythonLabel.text = _("Asking...")
        self.pythonCheck.start(self._python())

    def probe(self) -> None:
        """Let the worker try every device; the verdicts come below the button."""
        try:
            install.requirePackages(self._python())
            listener = Listener(self._onVerdicts, self._onProbeError)
            self.bench.runner.probe(self.bench.readMachine(), listener)
        except FusionError as error:
            self._onProbeError(error)
            return
        self.ui.computerProbeLabel.text = _("Trying the devices...")
        self.bench.changed()

    def copyLog(self) -> None:
        """Put versions and log on the clipboard, without the names of nodes."""
        import slicer

        self.lines.hide(log.namesInScene(self.bench.scene))
        slicer.app.clipboard().setText(log.report(self.lines, self.bench.runner.facts))
        self.ui.computerLogLabel.text = _("Copied, with versions and without names of nodes.")

    # --- what comes back

    def _onVerdicts(self, values: dict[str, Any]) -> None:
        lines = [
            f"{_mark(verdict)} {verdict['sentence']} {verdict['hint']}".strip()
            for verdict in values.get("verdicts", [])
        ]
        self.ui.computerProbeLabel.text = "\n".join(lines)
        for line in lines:
            self.bench.log(line)
        self.bench.changed()

    def _onProbeError(self, error: BaseException) -> None:
        self.ui.computerProbeLabel.text = f"{_BAD} {error}"
        self.bench.changed()

    def _onPythonVerdict(self, verdict: PythonVerdict) -> None:
        self.ui.computerPythonLabel.text = f"{_GOOD if verdict.usable else _BAD} {verdict.sentence}"
        self.bench.log(verdict.sentence)

    def _onInstalled(self) -> None:
        self.bench.runner.shutdown()
        self.bench.changed()

    def _onModels(self) -> None:
        self.bench.modelChanges += 1
        self.bench.changed()

    def _python(self) -> str:
        return self.bench.readMachine().python

    def _onPython(self) -> None:
        machine, chosen = self.bench.readMachine(), str(self.ui.pythonEdit.text).strip()
        if chosen == machine.python:
            return
        machine.python = chosen
        self.bench.keepMachine(machine)
        self.packages.refresh()
        self.pythonCheck.stop()
        self.ui.computerPythonLabel.text = ""
        if chosen:
            self.checkPython()

    def _choosePython(self) -> None:
        import qt
        import slicer

        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("A Python 3.10 or newer"), "", "")
        if path:
            self.ui.pythonEdit.text = str(path)
            self._onPython()

    def _cool(self) -> None:
        if not self.bench.runner.busy:
            self.bench.runner.shutdown()

    def _showLog(self) -> None:
        """New lines, while somebody looks; what the user has scrolled up to stays in sight."""
        ui = self.ui
        if ui.computerLogButton.collapsed or ui.ComputerSection.collapsed or self._shownLines == self.lines.count:
            return
        self._shownLines = self.lines.count
        bar = ui.computerLogText.verticalScrollBar()
        followed, position = bar.value >= bar.maximum, bar.value
        ui.computerLogText.setPlainText(self.lines.text())
        bar.value = bar.maximum if followed else position


def _mark(verdict: dict[str, Any]) -> str:
    """A GPU that does not exist is nothing bad."""
    if verdict["usable"]:
        return _GOOD
    return _NONE if verdict["id"] == "cuda" else _BAD
