"""The Maps section: where the network looked and how unsure it is, laid over the slices."""

from __future__ import annotations

from typing import Any

from PETCTFusionSegLib.desktop.bench import DesktopBench
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.desktop.widgets import makeQuiet
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.map_viewing import MapViewing


class MapsSection(Section):
    """The widgets around `MapViewing`."""

    name = "Maps"
    collapsed = True

    def __init__(self, bench: DesktopBench, ui: Any) -> None:
        super().__init__(bench, ui)
        self.viewing = MapViewing(bench, self._show)
        self._filling = False
        makeQuiet(ui.mapExplanationLabel)
        ui.mapsButton.connect("clicked()", self.viewing.toggle)
        ui.mapSelector.connect("currentIndexChanged(int)", self._onChosen)
        ui.mapThresholdSlider.connect("valueChanged(int)", self._onThreshold)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Maps")

    def waitsFor(self) -> str:
        """A result whose network can be watched, or maps."""
        return self.viewing.waitsFor()

    def sceneCloses(self) -> None:
        """A run for a study that goes is stopped."""
        self.viewing.sceneCloses()

    def refresh(self) -> None:
        """The maps of the study chosen now, and whether new ones can be made."""
        selector, rows = self.ui.mapSelector, self.viewing.rows()
        self._filling = True
        selector.clear()
        for nodeId, text in [("", _("None (the PET)")), *rows]:
            selector.addItem(text, nodeId)
        selector.enabled = bool(rows)
        ids = ["", *(nodeId for nodeId, _text in rows)]
        selector.currentIndex = ids.index(self.viewing.chosen) if self.viewing.chosen in ids else 0
        self._filling = False
        self._show()

    def _show(self) -> None:
        viewing, ui, reason = self.viewing, self.ui, self.viewing.whyNot()
        running = _("Cancel ({percent} %)").format(percent=round(100 * viewing.fraction))
        ui.mapsButton.text = running if viewing.busy else _("Show where the network looked")
        ui.mapsButton.enabled = viewing.busy or not reason
        tip = _("Runs the network once more and keeps what it attends to and how unsure it is. Nothing else changes.")
        ui.mapsButton.toolTip = _("Stop the run.") if viewing.busy else reason or tip
        percent = round(100 * viewing.hiddenBelow)
        self._filling = True
        ui.mapThresholdSlider.enabled = bool(viewing.chosen)
        ui.mapThresholdSlider.value = percent
        self._filling = False
        ui.mapThresholdLabel.text = f"{percent} %" if viewing.chosen else ""
        ui.mapExplanationLabel.text = viewing.explanation()
        ui.mapExplanationLabel.visible = bool(viewing.chosen)

    def _onChosen(self, index: int) -> None:
        if not self._filling and self.bench.sceneOpen and index >= 0:
            self.viewing.choose(str(self.ui.mapSelector.itemData(index) or ""))

    def _onThreshold(self, percent: int) -> None:
        if not self._filling:
            self.viewing.hideBelow(percent / 100)
