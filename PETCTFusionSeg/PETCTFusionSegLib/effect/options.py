"""What the user chose in the effect's frame; kept in the editor's node, so each editor and scene has its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from PETCTFusionSegLib.mrml.suv_brush import RuleKind, SuvRule

TOOLS = ("brush", "add", "remove", "box")
RULES = ("fixed", "percent", "gradient")
SHAPES = ("sphere", "circle")
OUTPUTS = ("segment", "new")
CT, PET, ROI = "CT", "PET", "Box"
LEAST_MM, MOST_MM = 2.0, 200.0
_DEFAULTS = {
    "Tool": TOOLS[0],
    "Rule": "percent",
    "Shape": SHAPES[0],
    "DiameterMm": "30",
    "Suv": "4",
    "Percent": "40",
    "Output": OUTPUTS[0],
}


@dataclass(frozen=True)
class EffectOptions:
    """The choices; nodes are None where nothing was chosen. Lengths in mm."""

    tool: str
    rule: SuvRule
    shape: str
    diameterMm: float
    output: str
    ct: Any
    pet: Any
    roi: Any


def writeDefaults(scriptedEffect: Any) -> None:
    """Fill in what the editor's node does not know yet."""
    for name, value in _DEFAULTS.items():
        scriptedEffect.setParameterDefault(name, value)


def readOptions(scriptedEffect: Any) -> EffectOptions:
    """The choices in the editor's node; what is missing or not understood there has its default."""
    from PETCTFusionSegLib.mrml.suv_brush import SuvRule

    text = {name: _known(scriptedEffect, name) for name in _DEFAULTS}
    kind = cast("RuleKind", _among(text["Rule"], RULES, "Rule"))
    return EffectOptions(
        _among(text["Tool"], TOOLS, "Tool"),
        SuvRule(kind, _number(text["Suv"], "Suv"), _number(text["Percent"], "Percent")),
        _among(text["Shape"], SHAPES, "Shape"),
        min(max(_number(text["DiameterMm"], "DiameterMm"), LEAST_MM), MOST_MM),
        _among(text["Output"], OUTPUTS, "Output"),
        scriptedEffect.nodeReference(CT),
        scriptedEffect.nodeReference(PET),
        scriptedEffect.nodeReference(ROI),
    )


def _known(scriptedEffect: Any, name: str) -> str:
    return str(scriptedEffect.parameter(name)) if scriptedEffect.parameterDefined(name) else _DEFAULTS[name]


def _among(text: str, choices: tuple[str, ...], name: str) -> str:
    return text if text in choices else _DEFAULTS[name]


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    # Scenes of others may hold anything, also "nan".
    return value if 0 < value < float("inf") else float(_DEFAULTS[name])
