"""Sliders for resolution, counts and breathing of a simulated patient, and the contour that a threshold draws."""

from __future__ import annotations

from functools import partial
from math import log2
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.web.section import PageContext
from PETCTFusionSegLib.workbench.teaching import Teaching

# Counts go by factors of two.
_RANGES = {"fwhm": (3, 15, 0.5), "counts": (-5, 4, 1), "breathing": (0, 40, 2), "share": (10, 90, 1)}


class SliderControls:
    """State keys `teaching_fwhm` (mm), `teaching_counts` (powers of two), `teaching_breathing` (mm), `teaching_share`
    (percent)."""

    def __init__(self, teaching: Teaching, page: PageContext) -> None:
        self._teaching, self._page = teaching, page
        texts = ("counts_text", "threshold_text", "motion_text")
        page.state.update({f"teaching_{key}": "" for key in texts})
        page.state.update({f"teaching_{key}": low for key, (low, _high, _step) in _RANGES.items()})
        page.state.update({"teaching_sliders": False, "teaching_threshold": False, "teaching_breathes": False})

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(v_show=("teaching_sliders",), id="teaching_sliders", classes="mt-3"):
            with html.Div(classes="pcf-row"):
                html.Span(_("Scan the patient again"), classes="pcf-label")
                v3.VSpacer()
                v3.VBtn(
                    _("As before"),
                    click=self._teaching.sliders.reset,
                    id="teaching_reset",
                    size="x-small",
                    variant="text",
                )
            self._slider(_("Resolution"), "fwhm", "{{ teaching_fwhm }} mm", _("Width of the PET's point spread"))
            self._slider(_("Counts"), "counts", "{{ teaching_counts_text }}", _("Fewer counts, more noise"))
            tip = _("How far the diaphragm goes in each breath")
            self._slider(_("Breathing"), "breathing", "{{ teaching_breathing }} mm", tip, "!teaching_breathes")
            html.Div("{{ teaching_motion_text }}", id="teaching_motion", classes="section-waits")
            v3.VSwitch(
                label=_("Contour of a fixed threshold"),
                v_model=("teaching_threshold",),
                update_modelValue=(self._draw, "[$event]"),
                density="compact",
                hide_details=True,
                color="primary",
                id="teaching_threshold",
            )
            with html.Div(v_show=("teaching_threshold",)):
                self._slider(
                    _("Threshold"), "share", "{{ teaching_share }} %", _("Share of the tumor's highest uptake")
                )
                html.Div("{{ teaching_threshold_text }}", id="teaching_threshold_text", classes="numbers")

    def show(self) -> None:
        """Bring the state up to date; a slider whose answer has not come is left where it is."""
        sliders, state = self._teaching.sliders, self._page.state
        state.teaching_sliders = sliders.available and self._teaching.may("sliders")
        state.teaching_breathes = sliders.breathes
        state.teaching_threshold = sliders.drawn
        state.teaching_threshold_text, state.teaching_motion_text = sliders.text, sliders.motionText
        conditions = sliders.conditions
        state.teaching_fwhm, state.teaching_breathing = conditions.fwhm_mm, conditions.breathing_mm
        state.teaching_counts = round(log2(conditions.counts), 2)
        state.teaching_counts_text = f"{100 * conditions.counts:.3g} %"
        state.teaching_share = round(100 * sliders.share)

    def _slider(self, label: str, key: str, value: str, tip: str, disabled: str = "false") -> None:
        low, high, step = _RANGES[key]
        with html.Div(classes="pcf-slider", title=tip):
            html.Span(label)
            v3.VSlider(
                v_model_number=(f"teaching_{key}",),
                min=low,
                max=high,
                step=step,
                update_modelValue=(partial(self._set, key), "[$event]"),
                disabled=(disabled,),
                hide_details=True,
                density="compact",
                color="primary",
                thumb_size=14,
                id=f"teaching_{key}",
            )
            html.Span(value)

    def _draw(self, drawn: Any) -> None:
        if self._allowed():
            self._teaching.sliders.draw(bool(drawn))

    def _set(self, key: str, value: Any) -> None:
        low, high, _step = _RANGES[key]
        if not isinstance(value, int | float) or not low <= value <= high or not self._allowed():
            return
        sliders = self._teaching.sliders
        if key == "share":
            sliders.setShare(value / 100)
        else:
            changes = {"fwhm": "fwhm_mm", "counts": "counts", "breathing": "breathing_mm"}
            sliders.change(**{changes[key]: 2.0**value if key == "counts" else float(value)})

    def _allowed(self) -> bool:
        """A page that was tampered with must not see more than it may."""
        return self._teaching.may("sliders")
