"""The Study section: which volumes, in which units, and the reference to compare with."""

from __future__ import annotations

from typing import Any

from PETCTFusionSegLib.desktop import inputs
from PETCTFusionSegLib.desktop.bench import Workbench
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.i18n import _

_UNITS = (None, "SUVbw", "BQML")


class StudySection(Section):
    """CT, PET, its units, and the reference."""

    name = "Study"

    def __init__(self, bench: Workbench, ui: Any) -> None:
        super().__init__(bench, ui)
        self._filling = False
        ui.petUnitsSelector.connect("currentIndexChanged(int)", self._onUnitsChosen)
        for selector in (ui.ctSelector, ui.petSelector, ui.referenceSelector):
            selector.connect("currentNodeChanged(vtkMRMLNode*)", self._onChosen)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Study")

    def sceneOpened(self) -> None:
        """Show the scene's own choice."""
        self._filling = True
        study = self.bench.study
        self.ui.ctSelector.setCurrentNode(study.ct)
        self.ui.petSelector.setCurrentNode(study.pet)
        self.ui.referenceSelector.setCurrentNode(study.reference)
        self._filling = False

    def refresh(self) -> None:
        """Ask for the units when the PET does not say them."""
        pet = self.bench.study.pet
        declared = inputs.declaredUnits(pet)
        self._filling = True
        self.ui.petUnitsFrame.visible = declared is not None or pet is not None and inputs.unitsBadge(pet).state == "ask"
        self.ui.petUnitsSelector.currentIndex = _UNITS.index(declared) if declared in _UNITS else 0
        self._filling = False
        for selector in (self.ui.ctSelector, self.ui.petSelector):
            selector.enabled = not self.bench.runner.busy

    def _onChosen(self) -> None:
        if self._filling or not self.bench.sceneOpen:
            return
        study = self.bench.study
        study.ct = self.ui.ctSelector.currentNode()
        study.pet = self.ui.petSelector.currentNode()
        study.reference = self.ui.referenceSelector.currentNode()
        self.bench.changed()

    def _onUnitsChosen(self, index: int) -> None:
        if self.bench.study.pet is not None and not self._filling:
            inputs.declareUnits(self.bench.study.pet, _UNITS[index])
            self.bench.changed()
