"""The View section: the usual hanging, windows of CT and PET, how much of the PET lies over the CT, and the keys."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.desktop.bench import Workbench
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml import window_presets
from PETCTFusionSegLib.mrml.hanging import (
    PET_OPACITY,
    fitSlices,
    hangStudy,
    hottestPlace,
    lesionPlace,
    petOpacity,
    setPetOpacity,
)
from PETCTFusionSegLib.mrml.mip import followWindow, lookFromFront
from PETCTFusionSegLib.mrml.window_presets import WindowPreset, applyPreset, presetOf

_OPACITY_STEP = 0.1
_BUTTONS = {
    "softTissueButton": (window_presets.SOFT_TISSUE, "F2"),
    "lungButton": (window_presets.LUNG, "F3"),
    "boneButton": (window_presets.BONE, "F4"),
    "suv5Button": (window_presets.SUV_5, "F6"),
    "suv10Button": (window_presets.SUV_10, "F7"),
    "suv15Button": (window_presets.SUV_15, "F8"),
}


class ViewSection(Section):
    """How the study is looked at."""

    name = "View"

    def __init__(self, bench: Workbench, ui: Any) -> None:
        super().__init__(bench, ui)
        self._filling = False
        self._observed: list[tuple[Any, int]] = []
        self._hiddenOpacity = PET_OPACITY
        self._addKeys()
        ui.hangingButton.connect("clicked()", self.hang)
        ui.hangingButton.toolTip = _("Fused slices of CT and PET, linked, and the projection of the PET (H).")
        for name, (preset, key) in _BUTTONS.items():
            button = getattr(ui, name)
            button.text = preset.text()
            button.toolTip = f"{_tip(preset)} ({key})"
            button.connect("clicked()", self._shower(preset))
        ui.petOpacitySlider.connect("valueChanged(int)", self._onOpacity)
        ui.keyboardButton.connect("toggled(bool)", self._onKeyboard)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("View")

    def waitsFor(self) -> str:
        """A volume to look at."""
        study = self.bench.study
        return _("Waits for a CT or a PET.") if study.ct is None and study.pet is None else ""

    def refresh(self) -> None:
        """Follow the windows of the volumes chosen now."""
        study = self.bench.study
        wanted = [node.GetDisplayNode() for node in (study.ct, study.pet) if node is not None]
        if [node for node, _tag in self._observed] != wanted:
            self._observe(wanted)
        self._show()

    def sceneCloses(self) -> None:
        """No observer stays at a node that goes."""
        self._observe([])

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
        self._observe([])

    def hang(self) -> None:
        """Show the study as readers expect it, cut through the lesion, otherwise where the uptake is highest."""
        import qt

        study = self.bench.study
        if self.waitsFor():
            self.bench.say(_("Choose a CT or a PET first."))
            return
        try:
            sentence = hangStudy(self.bench.scene, study.ct, study.pet, lesionPlace(self.bench.segmentation()))
        except FusionError as error:
            self.bench.fail(error)
            return
        self.bench.say(sentence or _("Usual hanging. Another layout of the toolbar takes it back."))
        self.refresh()
        # New views get their size when the layout is drawn; only then can the study be fitted to them.
        qt.QTimer.singleShot(0, self._fit)

    def apply(self, preset: WindowPreset) -> None:
        """Show CT or PET in a window."""
        node = self.bench.study.ct if preset.modality == "CT" else self.bench.study.pet
        try:
            applyPreset(node, preset)
        except FusionError as error:
            self.bench.fail(error)
        self.refresh()

    def changeOpacity(self, step: float) -> None:
        """Make the PET more opaque, or less."""
        self._setOpacity((petOpacity(self.bench.scene, self.bench.study.pet) or 0.0) + step)

    def togglePet(self) -> None:
        """Take the PET away from the CT, or put it back as it was."""
        opacity = petOpacity(self.bench.scene, self.bench.study.pet)
        if opacity:
            self._hiddenOpacity = opacity
        self._setOpacity(0.0 if opacity else self._hiddenOpacity)

    def _addKeys(self) -> None:
        keys = self.bench.shortcuts
        keys.add("H", _("Usual hanging"), self.hang)
        for preset, key in _BUTTONS.values():
            keys.add(key, f"{preset.modality}: {preset.text()}", self._shower(preset))
        keys.add("P", _("PET on or off"), self.togglePet)
        keys.add("U", _("More PET over the CT"), lambda: self.changeOpacity(_OPACITY_STEP))
        keys.add("D", _("Less PET over the CT"), lambda: self.changeOpacity(-_OPACITY_STEP))

    def _shower(self, preset: WindowPreset) -> Callable[[], None]:
        return lambda: self.apply(preset)

    def _fit(self) -> None:
        study = self.bench.study
        if self.bench.sceneOpen:
            place = lesionPlace(self.bench.segmentation()) or hottestPlace(study.pet)
            fitSlices(self.bench.scene, study.ct if study.ct is not None else study.pet, place)
            lookFromFront(self.bench.scene, study.pet)

    def _onOpacity(self, percent: int) -> None:
        if not self._filling:
            self._setOpacity(percent / 100)

    def _setOpacity(self, opacity: float) -> None:
        if petOpacity(self.bench.scene, self.bench.study.pet) is None:
            self.bench.say(_("The PET does not lie over the CT: press Usual hanging first."))
        setPetOpacity(self.bench.scene, self.bench.study.pet, opacity)
        self._show()

    def _show(self) -> None:
        """Which windows and which opacity there are now."""
        study, ui = self.bench.study, self.ui
        shown = {presetOf(study.ct, "CT"), presetOf(study.pet, "PET")}
        for name, (preset, _key) in _BUTTONS.items():
            button = getattr(ui, name)
            button.checked = preset in shown
            button.enabled = (study.ct if preset.modality == "CT" else study.pet) is not None
        opacity = petOpacity(self.bench.scene, study.pet)
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

    def _observe(self, displays: list[Any]) -> None:
        import vtk

        for node, tag in self._observed:
            if node is not None:
                node.RemoveObserver(tag)
        event = vtk.vtkCommand.ModifiedEvent
        self._observed = [
            (node, node.AddObserver(event, self._onWindow) if node is not None else 0) for node in displays
        ]

    def _onWindow(self, _caller: Any, _event: str) -> None:
        if self.bench.sceneOpen and self.bench.study.pet is not None:
            followWindow(self.bench.study.pet)
        self._show()


def _tip(preset: WindowPreset) -> str:
    if preset.modality == "CT":
        return _("Level {level:g}, width {width:g} HU").format(level=preset.level, width=preset.width)
    return _("From {low:g} to {high:g} SUV").format(low=preset.low, high=preset.high)
