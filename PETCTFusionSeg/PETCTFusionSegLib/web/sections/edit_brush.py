"""The brush of the Edit section: paint or erase, how large, disc or sphere, and which voxels it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.suv_brush import RuleKind, SuvRule
from PETCTFusionSegLib.web.drawing.pointer_tool import LEAST_MM, MOST_MM, TOOLS, Tool
from PETCTFusionSegLib.web.editor import WebEditor
from PETCTFusionSegLib.web.section import PageContext

_ALL = "all"
# The slider's scale: half a millimetre a step at its fine end, where contours are corrected.
_SLIDER_MOST_MM = 60
_HIGHEST_SUV = 100.0


class BrushControls:
    """The widgets of the editor's brush; the keys change the same editor, so `show` follows it."""

    def __init__(self, editor: WebEditor, page: PageContext, taken: Callable[[], None]) -> None:
        """`taken` is called when the visitor takes a tool: a click is not awaited any more."""
        self._editor, self._page, self._taken = editor, page, taken
        self._rule = SuvRule()
        page.state.update(
            {
                "edit_tool": "",
                "edit_diameter": editor.brushDiameterMm,
                "edit_sphere": editor.sphere,
                "edit_rule": _ALL,
                "edit_suv": self._rule.suv,
                "edit_share": self._rule.percent,
            }
        )
        page.state.change("edit_diameter")(self._onDiameter)
        page.state.change("edit_sphere")(self._onSphere)
        page.state.change("edit_rule", "edit_suv", "edit_share")(self._onRule)

    def build(self) -> None:
        """Make the widgets."""
        tools = (
            ("paint", "mdi-brush", _("Paint"), _("Paint with the left button (1)")),
            ("erase", "mdi-eraser", _("Erase"), _("Erase with the left button (2)")),
        )
        with html.Div(classes="d-flex ga-2 mb-1"):
            for tool, icon, text, title in tools:
                v3.VBtn(
                    text,
                    prepend_icon=icon,
                    click=(self.take, f"[edit_tool === '{tool}' ? '' : '{tool}']"),
                    active=(f"edit_tool === '{tool}'",),
                    color=(f"edit_tool === '{tool}' ? 'primary' : undefined",),
                    id=f"edit_{tool}",
                    size="small",
                    classes="flex-grow-1",
                    title=title,
                )
        with html.Div(classes="pcf-slider", id="edit_diameter"):
            html.Span(_("Diameter"))
            v3.VSlider(
                v_model_number=("edit_diameter",),
                min=LEAST_MM,
                max=_SLIDER_MOST_MM,
                step=0.5,
                density="compact",
                hide_details=True,
                color="primary",
                thumb_size=14,
            )
            html.Span("{{ edit_diameter }} mm", id="edit_diameter_text")
        v3.VSwitch(
            v_model=("edit_sphere",),
            label=_("Sphere, not only this slice"),
            color="primary",
            density="compact",
            hide_details=True,
            id="edit_sphere",
        )
        self._buildRule()

    def _buildRule(self) -> None:
        rules = {
            _ALL: _("every voxel"),
            "fixed": _("above an SUV"),
            "percent": _("above % of the highest"),
            "gradient": _("hot side of the edge"),
        }
        field = {"type": "number", "density": "compact", "hide_details": True, "style": "max-width: 96px;"}
        with html.Div(classes="d-flex ga-2 mt-1"):
            v3.VSelect(
                label=_("Paints"),
                v_model=("edit_rule",),
                items=("edit_rules", [{"value": value, "title": text} for value, text in rules.items()]),
                density="compact",
                hide_details=True,
                id="edit_rule",
            )
            v3.VTextField(
                v_if=("edit_rule === 'fixed'",),
                v_model_number=("edit_suv",),
                label=_("SUV"),
                step=0.5,
                id="edit_suv",
                **field,
            )
            v3.VTextField(
                v_if=("edit_rule === 'percent'",),
                v_model_number=("edit_share",),
                label=_("%"),
                step=5,
                id="edit_share",
                **field,
            )

    # --- what the visitor does

    def take(self, tool: Tool) -> None:
        """Take a tool into the hand; an empty one puts it away."""
        if tool in TOOLS:
            self._taken()
            self._editor.tool = tool
            self.show()

    def _onDiameter(self, **_state: Any) -> None:
        wanted = _number(self._page.state.edit_diameter, LEAST_MM, MOST_MM)
        if wanted is not None and wanted != round(self._editor.brushDiameterMm, 1):
            self._editor.brushDiameterMm = wanted

    def _onSphere(self, **_state: Any) -> None:
        self._editor.sphere = bool(self._page.state.edit_sphere)

    def _onRule(self, **_state: Any) -> None:
        state, rule = self._page.state, self._rule
        kind = state.edit_rule if state.edit_rule in get_args(RuleKind) else rule.kind
        suv = _number(state.edit_suv, 0, _HIGHEST_SUV)
        percent = _number(state.edit_share, 1, 99)
        self._rule = SuvRule(kind, rule.suv if suv is None else suv, rule.percent if percent is None else percent)
        self._editor.rule = None if state.edit_rule == _ALL else self._rule

    # --- what is shown

    def show(self) -> None:
        """Bring the state up to date: keys and clicks change the tool too."""
        with self._page.state as state:
            state.edit_tool = self._editor.tool
            state.edit_diameter = round(self._editor.brushDiameterMm, 1)


def _number(value: Any, least: float, most: float) -> float | None:
    """A number of the page, kept within its limits; None for what is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return min(max(number, least), most) if number == number else None
