"""The Maps section: where the network looked and how unsure it is, laid over the slices."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.web.section import PageContext, Section
from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.map_viewing import MapViewing


class MapsSection(Section):
    """The widgets around `MapViewing`."""

    name = "maps"
    collapsed = True

    def __init__(self, bench: Workbench, page: PageContext) -> None:
        super().__init__(bench, page)
        self.viewing = MapViewing(bench, self._show)
        page.state.update(
            {
                "maps_rows": [],
                "maps_chosen": "",
                "maps_busy": False,
                "maps_percent": 0,
                "maps_why": "",
                "maps_hidden": 0,
                "maps_explanation": "",
            }
        )

    @classmethod
    def title(cls) -> str:
        """What stands on the section's heading."""
        return _("Maps")

    def build(self) -> None:
        """The run, the choice, and how much of the map is shown."""
        with v3.VBtn(
            click=self.viewing.toggle,
            disabled=("!maps_busy && !!maps_why",),
            block=True,
            variant="tonal",
            id="maps_run",
            title=_("Runs the network once more and keeps what it attends to and how unsure it is."),
        ):
            html.Span(_("Show where the network looked"), v_show=("!maps_busy",))
            html.Span(_("Cancel") + " ({{ maps_percent }} %)", v_show=("maps_busy",))
        html.Div("{{ maps_why }}", v_show=("maps_why && !maps_busy",), classes="section-waits pt-1", id="maps_why")
        with html.Div(v_show=("maps_rows.length > 1",)):
            v3.VSelect(
                label=_("Over the slices"),
                v_model=("maps_chosen",),
                items=("maps_rows",),
                update_modelValue=(self.viewing.choose, "[$event]"),
                density="compact",
                hide_details=True,
                classes="mt-2",
                id="maps_chosen",
            )
            with html.Div(classes="pcf-slider pt-1", title=_("Show the map only where it is higher.")):
                html.Span(_("Hide below"))
                v3.VSlider(
                    v_model=("maps_hidden",),
                    min=0,
                    max=100,
                    step=1,
                    update_modelValue=(self._hideBelow, "[$event]"),
                    disabled=("!maps_chosen",),
                    hide_details=True,
                    density="compact",
                    color="primary",
                    thumb_size=14,
                    id="maps_hidden",
                )
                html.Span("{{ maps_hidden }} %")
        html.Div(
            "{{ maps_explanation }}", v_show=("maps_explanation",), classes="section-waits pt-1", id="maps_explanation"
        )

    def waitsFor(self) -> str:
        """A result whose network can be watched, or maps."""
        return self.viewing.waitsFor()

    def refresh(self) -> None:
        """The maps of the study chosen now, and whether new ones can be made."""
        self._show()

    def sceneCloses(self) -> None:
        """A run for a study that goes is stopped."""
        self.viewing.sceneCloses()

    def _hideBelow(self, percent: float) -> None:
        self.viewing.hideBelow(float(percent) / 100)

    def _show(self) -> None:
        viewing = self.viewing
        rows = [("", _("None (the PET)")), *viewing.rows()]
        with self.page.state as state:
            state.maps_rows = [{"value": value, "title": text} for value, text in rows]
            state.maps_chosen = viewing.chosen
            state.maps_busy = viewing.busy
            state.maps_percent = round(100 * viewing.fraction)
            state.maps_why = viewing.whyNot()
            state.maps_hidden = round(100 * viewing.hiddenBelow)
            state.maps_explanation = viewing.explanation()
