"""The Compare section: Dice, HD95, NSD and volumes that follow the brush, and the ways to the worst place."""

from __future__ import annotations

from typing import Any

from PETCTFusionSegLib.desktop.bench import DesktopBench
from PETCTFusionSegLib.desktop.comparison_table import DetailTables, SegmentTable
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.comparing import Comparing
from PETCTFusionSegLib.workbench.comparison_texts import legend
from PETCTFusionSegLib.workbench.pace import DESKTOP


class CompareSection(Section):
    """Numbers against the reference, while the contour is edited."""

    name = "Compare"

    def __init__(self, bench: DesktopBench, ui: Any) -> None:
        super().__init__(bench, ui)
        self.comparing = Comparing(bench, self._show, DESKTOP)
        self._table = SegmentTable(ui.comparisonTable)
        self._details = DetailTables(ui, self.comparing)
        ui.overlayLegend.text = _legendHtml()
        ui.overlayLegend.visible = False
        ui.compareButton.connect("clicked()", self.comparing.recompute)
        ui.liveCheckBox.connect("toggled(bool)", self._onLive)
        ui.overlayCheckBox.connect("toggled(bool)", self._onOverlay)
        ui.comparisonTable.connect("itemSelectionChanged()", self._onRow)
        ui.worstPointButton.connect("clicked()", self.comparing.jumpToWorstPoint)
        ui.worstSliceButton.connect("clicked()", self.comparing.jumpToWorstSlice)
        ui.distanceButton.connect("clicked()", self.comparing.showDistances)
        ui.tablesButton.connect("clicked()", self.comparing.showTables)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Compare")

    def waitsFor(self) -> str:
        """A reference, and a segmentation that is not the reference."""
        return self.comparing.waitsFor()

    def refresh(self) -> None:
        """Follow the nodes chosen now."""
        self.comparing.refresh()

    def sceneOpened(self) -> None:
        """Show the scene's own choice."""
        self.ui.liveCheckBox.checked = self.bench.study.live

    def sceneCloses(self) -> None:
        """No observer stays at a node that goes."""
        self.comparing.close()

    def cleanup(self) -> None:
        """As when the scene closes."""
        self.sceneCloses()

    def _onLive(self, live: bool) -> None:
        self.comparing.follow(bool(live))

    def _onOverlay(self, shown: bool) -> None:
        if bool(shown) != self.comparing.overlayShown:
            self.comparing.showOverlay(bool(shown))

    def _onRow(self) -> None:
        self.comparing.choose(self._table.chosen)

    def _show(self) -> None:
        comparing, ui = self.comparing, self.ui
        self._table.fill(comparing)
        self._details.show(comparing.details)
        for button in (ui.worstPointButton, ui.worstSliceButton, ui.distanceButton):
            button.enabled = comparing.current
        ui.tablesButton.enabled = bool(comparing.rows)
        ui.comparisonLabel.text = comparing.sentence
        ui.overlayCheckBox.checked = comparing.overlayShown
        ui.overlayLegend.visible = comparing.overlayShown


def _legendHtml() -> str:
    parts = (f'<span style="color:{colour}">\u25a0</span> {text}' for colour, text in legend())
    return "&nbsp;&nbsp; ".join(parts)
