"""The Compare section: Dice, HD95, NSD and volumes that follow the brush, and the ways to the worst place."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.live import LiveRow
from PETCTFusionSegLib.mrml.live_plot import sliceCurve
from PETCTFusionSegLib.web.section import PageContext, Section
from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.comparing import Comparing
from PETCTFusionSegLib.workbench.comparison_texts import cellTexts, definition, legend, toleranceText
from PETCTFusionSegLib.workbench.pace import BROWSER

from .dice_curve import DiceCurve
from .slice_positions import SlicePositions

_ACROSS = "(($event.clientX - $event.currentTarget.getBoundingClientRect().left) / $event.currentTarget.clientWidth)"


class CompareSection(Section):
    """Numbers against the reference, while the contour is edited."""

    name = "compare"

    def __init__(self, bench: Workbench, page: PageContext) -> None:
        super().__init__(bench, page)
        self._curve = DiceCurve((), ())
        self.comparing = Comparing(bench, self._show, BROWSER)
        self.comparing.details.front = "slices"
        self._places = SlicePositions(bench, self._showPlace)
        page.state.update(
            {
                "compare_rows": [],
                "compare_chosen": 0,
                "compare_tolerance": "",
                "compare_sentence": "",
                "compare_current": False,
                "compare_live": True,
                "compare_overlay": False,
                "compare_front": "slices",
                "compare_curve": "",
                "compare_here": -1,
                "compare_lesions": [],
                "compare_matching": False,
            }
        )

    @classmethod
    def title(cls) -> str:
        """What stands on the section's heading."""
        return _("Compare")

    def build(self) -> None:
        """Numbers, overlay and jumps, then the slices or the lesions."""
        self._buildTable()
        html.Div("{{ compare_sentence }}", id="compare_sentence", classes="section-waits py-1", role="status")
        with html.Div(classes="pcf-row"):
            switch = {"density": "compact", "hide_details": True, "color": "primary", "classes": "flex-grow-0 mr-2"}
            v3.VSwitch(
                label=_("Live"),
                v_model=("compare_live",),
                update_modelValue=(self.comparing.follow, "[$event]"),
                title=_("The numbers follow every edit."),
                id="compare_live",
                **switch,
            )
            v3.VSwitch(
                label=_("Overlay"),
                v_model=("compare_overlay",),
                update_modelValue=(self.comparing.showOverlay, "[$event]"),
                title=_("Color where the two agree and where they do not."),
                id="compare_overlay",
                **switch,
            )
            v3.VBtn(
                _("Compare now"),
                click=self.comparing.recompute,
                v_show=("!compare_live",),
                id="compare_now",
                size="small",
                color="primary",
            )
        with html.Div(v_show=("compare_overlay",), classes="pcf-legend py-1", id="compare_legend"):
            for color, text in legend():
                with html.Span():
                    html.I(style=f"background: {color};")
                    html.Span(text)
        with html.Div(classes="pcf-row py-1"):
            button = {"size": "small", "variant": "tonal", "disabled": ("!compare_current",)}
            v3.VBtn(_("Worst point"), click=self.comparing.jumpToWorstPoint, id="compare_worst_point", **button)
            v3.VBtn(_("Worst slice"), click=self.comparing.jumpToWorstSlice, id="compare_worst_slice", **button)
            v3.VBtn(_("Distances in 3-D"), click=self.comparing.showDistances, id="compare_distances", **button)
        with v3.VTabs(v_model=("compare_front",), density="compact", update_modelValue=(self._look, "[$event]")):
            v3.VTab(_("Slices"), value="slices", id="compare_slices_tab")
            v3.VTab(_("Lesions"), value="lesions", id="compare_lesions_tab")
        self._buildCurve()
        self._buildLesions()
        html.Div(definition(), classes="section-waits pt-2", id="compare_definition", style="font-size: 0.72rem;")

    def waitsFor(self) -> str:
        """A reference, and a segmentation that is not the reference."""
        return self.comparing.waitsFor()

    def refresh(self) -> None:
        """Follow the nodes chosen now."""
        self.page.state.compare_live = self.bench.study.live
        self.comparing.refresh()

    def sceneOpened(self) -> None:
        """Know where the slice views are."""
        self._places.watch()

    def sceneCloses(self) -> None:
        """No observer stays at a node that goes."""
        self.comparing.close()
        self._places.stop()

    def cleanup(self) -> None:
        """As when the scene closes."""
        self.sceneCloses()

    def _buildTable(self) -> None:
        with html.Table(classes="pcf-table", id="compare_table"):
            with html.Thead(), html.Tr():
                html.Th(_("Segment"), classes="pcf-name")
                for title in (_("Dice"), _("HD95\nmm"), _("Volume\nml"), _("Ref.\nml")):
                    html.Th(title)
                html.Th(_("NSD") + "\n{{ compare_tolerance }}")
            with (
                html.Tbody(),
                html.Tr(
                    v_for="(row, line) in compare_rows",
                    key="line",
                    click=(self.comparing.choose, "[line]"),
                    classes=("line === compare_chosen ? 'pcf-chosen' : ''",),
                ),
            ):
                html.Td("{{ row[0] }}", classes="pcf-name", title=("row[0]",))
                html.Td("{{ cell }}", v_for="(cell, column) in row.slice(1)", key="column")

    def _buildCurve(self) -> None:
        with (
            html.Div(v_show=("compare_front === 'slices'",), classes="pt-2"),
            html.Div(
                classes="pcf-curve",
                id="compare_curve",
                click=(self.goToCurve, f"[{_ACROSS}]"),
                title=_("Click to go to the slice."),
            ),
        ):
            html.Div(v_html=("compare_curve",))
            html.Div(
                classes="pcf-here",
                id="compare_here",
                v_show=("compare_here >= 0 && compare_curve",),
                style=("{left: `${100 * compare_here}%`}",),
            )

    def _buildLesions(self) -> None:
        with html.Div(v_show=("compare_front === 'lesions'",), classes="pcf-scroll pt-1"):
            with html.Table(classes="pcf-table", id="compare_lesions"):
                with html.Thead(), html.Tr():
                    html.Th(_("Lesion"), classes="pcf-name")
                    for title in (_("Volume\nml"), _("Ref.\nml"), _("Dice"), _("HD95\nmm")):
                        html.Th(title)
                with (
                    html.Tbody(),
                    html.Tr(
                        v_for="(row, line) in compare_lesions",
                        key="line",
                        click=(self.comparing.goToLesion, "[line]"),
                        title=("row[0]",),
                    ),
                ):
                    html.Td("{{ row[1] }}", classes="pcf-name")
                    html.Td("{{ cell }}", v_for="(cell, column) in row.slice(2)", key="column")
            html.Div(_("Matching the lesions..."), v_show=("compare_matching",), classes="section-waits")

    def goToCurve(self, across: float) -> None:
        """Go to the slice that lies there in the picture."""
        line = self.comparing.details.nearestSlice(self._curve.position_mm(float(across)))
        self.comparing.goToSlice(line)

    def _look(self, front: str) -> None:
        self.comparing.look("lesions" if front == "lesions" else "slices")

    def _show(self) -> None:
        comparing, details = self.comparing, self.comparing.details
        with self.page.state as state:
            state.compare_rows = [[*cellTexts(row, comparing.outdated)] for row in comparing.rows]
            state.compare_chosen = comparing.chosen
            tolerance = toleranceText(comparing.rows)
            state.compare_tolerance = _("{mm} mm").format(mm=tolerance) if tolerance else ""
            state.compare_sentence = comparing.sentence
            state.compare_current = comparing.current
            state.compare_overlay = comparing.overlayShown
            state.compare_lesions = [[*one] for one in details.lesions]
            state.compare_matching = details.front == "lesions" and not details.complete
            if details.front == "slices":
                self._showCurve(comparing.shownRow())

    def _showCurve(self, row: LiveRow | None) -> None:
        curve = DiceCurve(*sliceCurve(row)) if row is not None else DiceCurve((), ())
        if curve != self._curve:
            self._curve = curve
            self.page.state.compare_curve = curve.svg()
        self._showPlace()

    def _showPlace(self) -> None:
        row = self.comparing.shownRow()
        across = None
        if row is not None:
            place = self._places.across(row.pair.slicePosition_mm)
            across = self._curve.across(place) if place is not None else None
        with self.page.state as state:
            state.compare_here = round(across, 4) if across is not None else -1
