"""The View section: the usual hanging, windows of CT and PET, how much of the PET lies over the CT, and the keys."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import Any

from PETCTFusionSegLib.desktop.bench import DesktopBench
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml import window_presets
from PETCTFusionSegLib.workbench.viewing import Viewing, presetTip

_BUTTONS = {
    "softTissueButton": window_presets.SOFT_TISSUE,
    "lungButton": window_presets.LUNG,
    "boneButton": window_presets.BONE,
    "suv5Button": window_presets.SUV_5,
    "suv10Button": window_presets.SUV_10,
    "suv15Button": window_presets.SUV_15,
}


class ViewSection(Section):
    """How the study is looked at."""

    name = "View"

    def __init__(self, bench: DesktopBench, ui: Any) -> None:
        super().__init__(bench, ui)
        self._filling = False
        self.viewing = Viewing(bench, self._show)
        self.viewing.addKeys(bench.shortcuts)
        ui.hangingButton.connect("clicked()", self.viewing.hang)
        ui.hangingButton.toolTip = _("Fused slices of CT and PET, linked, and the projection of the PET (H).")
        for name, preset in _BUTTONS.items():
            button = getattr(ui, name)
            button.text = preset.text()
            button.toolTip = presetTip(preset)
            button.connect("clicked()", partial(self.viewing.apply, preset))
        ui.petOpacitySlider.connect("valueChanged(int)", self._onOpacity)
        ui.keyboardButton.connect("toggled(bool)", self._onKeyboard)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("View")

    def waitsFor(self) -> str:
        """A volume to look at."""
        return self.viewing.waitsFor()

    def refresh(self) -> None:
        """Follow the windows of the volumes chosen now."""
        self.viewing.refresh()

    def sceneCloses(self) -> None:
        """No observer stays at a node that goes."""
        self.viewing.close()

    def enter(self) -> None:
        """The module's keys work from now on."""
        import slicer

        self.bench.shortcuts.activate(slicer.util.mainWindow() or self.ui.hangingButton.window())
        self._showKeys()
        self._show()

    def exit(self) -> None:
        """Other modules have other keys."""
        self.bench.shortcuts.deactivate()

    def cleanup(self) -> None:
        """No key and no observer stays behind."""
        self.bench.shortcuts.deactivate()
        self.viewing.close()

    def _onOpacity(self, percent: int) -> None:
        if not self._filling:
            self.viewing.setOpacity(percent / 100)

    def _show(self) -> None:
        """Which windows and which opacity there are now."""
        viewing, ui = self.viewing, self.ui
        shown = viewing.presets
        for name, preset in _BUTTONS.items():
            button = getattr(ui, name)
            button.checked = preset in shown
            button.enabled = viewing.nodeOf(preset) is not None
        opacity = viewing.opacity
        self._filling = True
        ui.petOpacitySlider.enabled = opacity is not None
        ui.petOpacitySlider.value = round(100 * (opacity or 0.0))
        ui.petOpacityLabel.text = "" if opacity is None else f"{round(100 * opacity)} %"
        self._filling = False

    def _showKeys(self) -> None:
        rows = (
            f"<tr><td><b>{escape(key)}</b>&nbsp;&nbsp;</td><td>{escape(what)}</td></tr>"
            for key, what in self.bench.shortcuts.rows()
        )
        self.ui.keyboardLabel.text = f"<table>{''.join(rows)}</table>"

    def _onKeyboard(self, opened: bool) -> None:
        import qt

        self.ui.keyboardButton.arrowType = qt.Qt.DownArrow if opened else qt.Qt.RightArrow
        self.ui.keyboardLabel.visible = opened
