"""What a View section does: the usual hanging, windows of CT and PET, and how much of the PET lies over the CT."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from petctfusion.errors import FusionError
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

from .bench import Workbench
from .keys import Keys

PRESET_KEYS = {
    window_presets.SOFT_TISSUE: "F2",
    window_presets.LUNG: "F3",
    window_presets.BONE: "F4",
    window_presets.SUV_5: "F6",
    window_presets.SUV_10: "F7",
    window_presets.SUV_15: "F8",
}
_OPACITY_STEP = 0.1


class Viewing:
    """Follows the windows of the volumes chosen now; `shown` is called when anything has changed."""

    def __init__(self, bench: Workbench, shown: Callable[[], None]) -> None:
        self.bench = bench
        self._shown = shown
        self._observed: list[tuple[Any, int]] = []
        self._hiddenOpacity = PET_OPACITY
        # New views get their size when the layout is drawn; only then can the study be fitted to them.
        self._fitTimer = bench.makeTimer(0, True, self._fit)

    def addKeys(self, keys: Keys) -> None:
        """The keys of what a reader does here."""
        keys.add("H", _("Usual hanging"), self.hang)
        for preset, key in PRESET_KEYS.items():
            keys.add(key, f"{preset.modality}: {preset.text()}", partial(self.apply, preset))
        keys.add("P", _("PET on or off"), self.togglePet)
        keys.add("U", _("More PET over the CT"), partial(self.changeOpacity, _OPACITY_STEP))
        keys.add("D", _("Less PET over the CT"), partial(self.changeOpacity, -_OPACITY_STEP))

    def waitsFor(self) -> str:
        """A volume to look at."""
        study = self.bench.study
        return _("Waits for a CT or a PET.") if study.ct is None and study.pet is None else ""

    @property
    def presets(self) -> set[WindowPreset]:
        """The presets whose windows CT and PET have now."""
        study = self.bench.study
        found = (presetOf(study.ct, "CT"), presetOf(study.pet, "PET"))
        return {preset for preset in found if preset is not None}

    @property
    def opacity(self) -> float | None:
        """How opaque the PET lies over the CT (0 to 1); None when it does not."""
        return petOpacity(self.bench.scene, self.bench.study.pet)

    def nodeOf(self, preset: WindowPreset) -> Any:
        """The volume that a preset is for, or None."""
        return self.bench.study.ct if preset.modality == "CT" else self.bench.study.pet

    def refresh(self) -> None:
        """Follow the windows of the volumes chosen now."""
        study = self.bench.study
        wanted = [node.GetDisplayNode() for node in (study.ct, study.pet) if node is not None]
        if [node for node, _tag in self._observed] != wanted:
            self._observe(wanted)
        self._shown()

    def close(self) -> None:
        """No observer stays at a node that goes."""
        self._fitTimer.stop()
        self._observe([])

    def hang(self) -> None:
        """Show the study as readers expect it, cut through the lesion, otherwise where the uptake is highest."""
        study = self.bench.study
        if self.waitsFor():
            self.bench.say(_("Choose a CT or a PET first."))
            return
        try:
            sentence = hangStudy(self.bench.scene, study.ct, study.pet, lesionPlace(self.bench.segmentation()))
        except FusionError as error:
            self.bench.fail(error)
            return
        self.bench.say(sentence or _("Usual hanging. Another layout takes it back."))
        self.refresh()
        self._fitTimer.start()

    def apply(self, preset: WindowPreset) -> None:
        """Show CT or PET in a window."""
        try:
            applyPreset(self.nodeOf(preset), preset)
        except FusionError as error:
            self.bench.fail(error)
        self.refresh()

    def changeOpacity(self, step: float) -> None:
        """Make the PET more opaque, or less."""
        self.setOpacity((self.opacity or 0.0) + step)

    def togglePet(self) -> None:
        """Take the PET away from the CT, or put it back as it was."""
        opacity = self.opacity
        if opacity:
            self._hiddenOpacity = opacity
        self.setOpacity(0.0 if opacity else self._hiddenOpacity)

    def setOpacity(self, opacity: float) -> None:
        """Show the PET so opaquely (0 to 1) over the CT."""
        if self.opacity is None:
            self.bench.say(_("The PET does not lie over the CT: press Usual hanging first."))
        setPetOpacity(self.bench.scene, self.bench.study.pet, opacity)
        self._shown()

    def _fit(self) -> None:
        study = self.bench.study
        if self.bench.sceneOpen:
            place = lesionPlace(self.bench.segmentation()) or hottestPlace(study.pet)
            fitSlices(self.bench.scene, study.ct if study.ct is not None else study.pet, place)
            lookFromFront(self.bench.scene, study.pet)

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
        self._shown()


def presetTip(preset: WindowPreset) -> str:
    """What a preset's button says under the mouse."""
    if preset.modality == "CT":
        text = _("Level {level:g}, width {width:g} HU").format(level=preset.level, width=preset.width)
    else:
        text = _("From {low:g} to {high:g} SUV").format(low=preset.low, high=preset.high)
    return f"{text} ({PRESET_KEYS[preset]})"
