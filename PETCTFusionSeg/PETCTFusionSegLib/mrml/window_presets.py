"""Window presets as readers name them: soft tissue, lung and bone for CT in HU, three ranges for PET in SUV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.i18n import _

from .volumes import petUnitsOfNode

_SAME = 0.01
SUV_UNITS = ("SUVbw", "GML")
"""Units in which a range of SUV means what it says."""


@dataclass(frozen=True)
class WindowPreset:
    """A range of values from black to white; HU for CT, SUV for PET."""

    identifier: str
    modality: Literal["CT", "PET"]
    low: float
    high: float

    def text(self) -> str:
        """What a person calls it."""
        return _TEXTS[self.identifier]()

    @property
    def level(self) -> float:
        """The middle of the range."""
        return (self.low + self.high) / 2

    @property
    def width(self) -> float:
        """From black to white."""
        return self.high - self.low


def _ct(identifier: str, level: float, width: float) -> WindowPreset:
    return WindowPreset(identifier, "CT", level - width / 2, level + width / 2)


SOFT_TISSUE = _ct("softTissue", 40, 400)
LUNG = _ct("lung", -600, 1500)
BONE = _ct("bone", 400, 1800)
SUV_5 = WindowPreset("suv5", "PET", 0, 5)
SUV_10 = WindowPreset("suv10", "PET", 0, 10)
SUV_15 = WindowPreset("suv15", "PET", 0, 15)
PRESETS = (SOFT_TISSUE, LUNG, BONE, SUV_5, SUV_10, SUV_15)
_TEXTS = {
    "softTissue": lambda: _("Soft tissue"),
    "lung": lambda: _("Lung"),
    "bone": lambda: _("Bone"),
    "suv5": lambda: _("SUV 0-5"),
    "suv10": lambda: _("SUV 0-10"),
    "suv15": lambda: _("SUV 0-15"),
}


def applyPreset(node: Any, preset: WindowPreset) -> None:
    """Show a volume node in a preset's window.

    Raises `BadInputError` without a volume, and for a PET whose values are not SUV: a range in SUV would show
    something else there.
    """
    if node is None:
        raise BadInputError(_("There is no {modality} to show.").format(modality=preset.modality), _("Choose one."))
    if preset.modality == "PET":
        _requireSuv(node)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    changing = display.StartModify()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(preset.low, preset.high)
    display.EndModify(changing)


def presetOf(node: Any, modality: str) -> WindowPreset | None:
    """The preset whose window a volume node has now; None for any other window."""
    display = node.GetDisplayNode() if node is not None else None
    if display is None:
        return None
    low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    for preset in PRESETS:
        if preset.modality == modality and abs(preset.low - low) < _SAME and abs(preset.high - high) < _SAME:
            return preset
    return None


def _requireSuv(node: Any) -> None:
    found = petUnitsOfNode(node)
    if found.units in SUV_UNITS:
        return
    units = found.units or _("unknown units")
    raise BadInputError(
        _('The PET "{name}" is in {units}, so a range in SUV says nothing.').format(name=node.GetName(), units=units),
        _("Say its units under Study, or set its window in the Volumes module."),
    )
