"""The effect's options as widgets; every change goes to the editor's node at once, and comes back from there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PETCTFusionSegLib.i18n import _

from .options import CT, OUTPUTS, PET, ROI, RULES, SHAPES, TOOLS, EffectOptions

_FORM = Path(__file__).resolve().parents[2] / "Resources" / "UI" / "FusionEffect.ui"


class EffectForm:
    """`Resources/UI/FusionEffect.ui` in the editor's options frame."""

    def __init__(self, scriptedEffect: Any, runBox: Callable[[], None], newBox: Callable[[], None]) -> None:
        import slicer

        self._effect = scriptedEffect
        self._filling = False
        self.root = slicer.util.loadUI(_FORM.as_posix())
        self.ui = slicer.util.childWidgetVariables(self.root)
        self.root.setMRMLScene(slicer.mrmlScene)
        scriptedEffect.addOptionsWidget(self.root)
        for widget, name, choices in self._choosers():
            widget.connect("currentIndexChanged(int)", _slot(self._setChoice, name, choices))
        for widget, name in self._numbers():
            widget.connect("valueChanged(double)", _slot(self._setNumber, name))
        for widget, name in self._nodes():
            widget.connect("currentNodeChanged(vtkMRMLNode*)", _slot(self._setNode, name))
        self.ui.fusionRunButton.connect("clicked()", runBox)
        self.ui.fusionNewBoxButton.connect("clicked()", newBox)

    def show(self, options: EffectOptions, busy: bool) -> None:
        """Show the choices, and only what belongs to the chosen tool."""
        ui, self._filling = self.ui, True
        try:
            ui.fusionToolSelector.currentIndex = TOOLS.index(options.tool)
            ui.fusionRuleSelector.currentIndex = RULES.index(options.rule.kind)
            ui.fusionShapeSelector.currentIndex = SHAPES.index(options.shape)
            ui.fusionOutputSelector.currentIndex = OUTPUTS.index(options.output)
            ui.fusionDiameter.value = options.diameterMm
            ui.fusionSuv.value = options.rule.suv
            ui.fusionPercent.value = options.rule.percent
            ui.fusionCtSelector.setCurrentNode(options.ct)
            ui.fusionPetSelector.setCurrentNode(options.pet)
            ui.fusionRoiSelector.setCurrentNode(options.roi)
        finally:
            self._filling = False
        ui.fusionBrushFrame.visible = options.tool == "brush"
        ui.fusionSuv.visible = options.rule.kind == "fixed"
        ui.fusionPercent.visible = options.rule.kind == "percent"
        ui.fusionBoxFrame.visible = options.tool == "box" or busy
        ui.fusionRunButton.text = _("Cancel") if busy else _("Run the network in the box")
        ui.fusionRunButton.enabled = busy or options.roi is not None
        ui.fusionRunButton.toolTip = (
            _("Runs in the background with the model chosen in PETCTFusionSeg. Nothing outside the box changes.")
            if busy or options.roi is not None
            else _('Choose a box, or click "New box".')
        )

    def say(self, sentence: str) -> None:
        """One line under the options."""
        self.ui.fusionStatusLabel.text = sentence

    def _choosers(self) -> list[tuple[Any, str, tuple[str, ...]]]:
        ui = self.ui
        return [
            (ui.fusionToolSelector, "Tool", TOOLS),
            (ui.fusionRuleSelector, "Rule", RULES),
            (ui.fusionShapeSelector, "Shape", SHAPES),
            (ui.fusionOutputSelector, "Output", OUTPUTS),
        ]

    def _numbers(self) -> list[tuple[Any, str]]:
        return [(self.ui.fusionDiameter, "DiameterMm"), (self.ui.fusionSuv, "Suv"), (self.ui.fusionPercent, "Percent")]

    def _nodes(self) -> list[tuple[Any, str]]:
        ui = self.ui
        return [(ui.fusionCtSelector, CT), (ui.fusionPetSelector, PET), (ui.fusionRoiSelector, ROI)]

    def _setChoice(self, name: str, choices: tuple[str, ...], index: int) -> None:
        if self._writable():
            self._effect.setParameter(name, choices[index])

    def _setNumber(self, name: str, value: float) -> None:
        if self._writable():
            self._effect.setParameter(name, f"{value:g}")

    def _setNode(self, name: str, node: Any) -> None:
        if self._writable():
            self._effect.setNodeReference(name, node)

    def _writable(self) -> bool:
        return not self._filling and self._effect.parameterSetNode() is not None


def _slot(function: Callable[..., None], *first: Any) -> Callable[[Any], None]:
    """A plain function of one argument, which is what PythonQt counts."""
    bound = partial(function, *first)

    def slot(value: Any) -> None:
        bound(value)

    return slot
