"""The first-use page: which packages the worker needs, which are there, what a click would bring, and where it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.i18n import _

from . import install
from .widgets import fillTable, fitHeight, setHeaders


class InstallPage:
    """Unfolds itself while something is missing; installs on a click, which is the user's answer to what it says."""

    def __init__(self, ui: Any, python: Callable[[], str], installed: Callable[[], None]) -> None:
        """`python` is the external Python chosen now; `installed` is called after packages came."""
        self._ui = ui
        self._python = python
        self._installed = installed
        self._wasComplete: bool | None = None
        setHeaders(
            ui.computerPackagesTable, [_("Package"), _("Wanted"), _("Present"), _("Download"), _("Installed by")]
        )
        ui.installButton.connect("clicked()", self.installMissing)
        ui.computerPackagesCheckButton.connect("clicked()", self.refresh)

    def refresh(self) -> None:
        """Look again; the page unfolds when something is found missing, and folds when nothing is any more."""
        needed = install.currentPackages()
        plan = install.planFor(needed)
        fillTable(self._ui.computerPackagesTable, [_cells(package) for package in needed])
        fitHeight(self._ui.computerPackagesTable, len(needed))
        self._ui.installButton.visible = not plan.complete
        complete = plan.complete or bool(self._python())
        self._say(self._sentence(plan))
        if complete != self._wasComplete:
            self._ui.computerPackagesButton.collapsed = complete
            if not complete:
                self._ui.ComputerSection.collapsed = False
        self._wasComplete = complete

    def installMissing(self) -> None:
        """Install what is missing; the interface waits meanwhile, as pip wants the main thread."""
        import slicer

        plan = install.currentPlan()
        if plan.complete:
            self.refresh()
            return
        self._ui.installButton.enabled = False
        self._say(_("Installing {names}... Slicer does not answer until it is done.").format(names=plan.names))
        slicer.app.processEvents()
        try:
            sentence = install.install(plan)
        except FusionError as error:
            self._say(str(error))
            return
        finally:
            self._ui.installButton.enabled = True
        self._installed()
        self.refresh()
        self._say(sentence)

    def _sentence(self, plan: install.Plan) -> str:
        if self._python():
            return _("The worker runs in the Python chosen below; Slicer's own needs nothing.")
        if plan.complete:
            return _("Everything is there. Nothing will be installed.")
        sentence = _(
            "First use: the background worker needs {names}. A click installs them, and what they depend on, into "
            "{folder}. What Slicer ships (numpy, SimpleITK, ...) is never replaced, and no data leave this computer."
        )
        return sentence.format(names=plan.names, folder=install.installFolder())

    def _say(self, sentence: str) -> None:
        self._ui.computerPackagesLabel.text = sentence


def _cells(package: install.Package) -> tuple[str, ...]:
    wanted = package.requirement.removeprefix(package.name)
    present = package.present or _("missing")
    if package.present and package.missing:
        present = _("{version} (too old)").format(version=package.present)
    return package.name, wanted, present, package.download if package.missing else "", package.installer
