"""The Study section: which volumes, in which units, whether they can be segmented, and what to compare with."""

from __future__ import annotations

from typing import Any

from PETCTFusionSegLib.desktop.bench import DesktopBench
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.study import UNITS, StudyCheck, unitsHtml, verdictHtml


class StudySection(Section):
    """CT, PET and its units, an additional volume, the reference, and the verdict on them."""

    name = "Study"

    def __init__(self, bench: DesktopBench, ui: Any) -> None:
        super().__init__(bench, ui)
        self._filling = False
        self._check = StudyCheck(bench, self._show)
        self._selectors = {
            "ct": ui.ctSelector,
            "pet": ui.petSelector,
            "extra": ui.extraSelector,
            "reference": ui.referenceSelector,
        }
        ui.petUnitsSelector.connect("currentIndexChanged(int)", self._onUnitsChosen)
        ui.referenceSegmentSelector.connect("currentIndexChanged(int)", self._onSegmentChosen)
        for selector in self._selectors.values():
            selector.connect("currentNodeChanged(vtkMRMLNode*)", self._onChosen)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Study")

    def sceneOpened(self) -> None:
        """Show the scene's own choice."""
        self._filling = True
        for name, selector in self._selectors.items():
            selector.setCurrentNode(getattr(self.bench.study, name))
        self._filling = False

    def sceneCloses(self) -> None:
        """No observer stays at a node that goes."""
        self._check.close()

    def cleanup(self) -> None:
        """As when the scene closes."""
        self.sceneCloses()

    def refresh(self) -> None:
        """Show units and verdict of the nodes chosen now, and watch these."""
        self._check.refresh()
        for name in ("ct", "pet", "extra"):
            self._selectors[name].enabled = not self.bench.runner.busy
        self.ui.petUnitsSelector.enabled = not self.bench.runner.busy

    def _onChosen(self) -> None:
        if not self._filling and self.bench.sceneOpen:
            self._check.choose(**{name: selector.currentNode() for name, selector in self._selectors.items()})

    def _onUnitsChosen(self, index: int) -> None:
        if not self._filling:
            self._check.declareUnits(UNITS[index])

    def _onSegmentChosen(self, index: int) -> None:
        if not self._filling and index >= 0:
            self._check.chooseSegment(list(self._check.segments)[index])

    def _showSegments(self) -> None:
        selector, segments = self.ui.referenceSegmentSelector, self._check.segments
        self._filling = True
        selector.clear()
        for name in segments.values():
            selector.addItem(name)
        if segments:
            selector.currentIndex = list(segments).index(self._check.segment)
        self._filling = False
        selector.visible = self.ui.label_referenceSegment.visible = bool(segments)

    def _show(self) -> None:
        ui, units = self.ui, self.bench.units
        self._showSegments()
        ui.verdictLabel.text = verdictHtml(self.bench.verdict)
        ui.petUnitsFrame.visible = units is not None
        ui.label_petUnits.visible = units is not None
        if units is None:
            return
        ui.petUnitsBadge.text = unitsHtml(units)
        ui.petUnitsSelector.visible = self._check.asksForUnits
        declared = self._check.declaredUnits
        self._filling = True
        ui.petUnitsSelector.currentIndex = UNITS.index(declared) if declared in UNITS else 0
        self._filling = False
