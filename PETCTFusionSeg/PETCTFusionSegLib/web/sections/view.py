"""The View section: layout, windows, how much of the PET lies over the CT, contours, the projection, a screenshot."""

from __future__ import annotations

from functools import partial
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml import contours
from PETCTFusionSegLib.mrml.crosshair import isCrosshairShown, placeCrosshair, showCrosshair
from PETCTFusionSegLib.mrml.pet_colours import PET_COLOURS, petColour, setPetColour
from PETCTFusionSegLib.mrml.window_presets import PRESETS, WindowPreset
from PETCTFusionSegLib.web.section import PageContext, Section
from PETCTFusionSegLib.web.views.board import AXIAL, CORONAL, FOUR, SAGITTAL, SURFACES
from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.viewing import Viewing, presetTip

from .projection import ProjectionPicture
from .slice_positions import SlicePositions

_ICONS = {
    FOUR: "mdi-view-grid-outline",
    AXIAL: "mdi-alpha-a-box-outline",
    CORONAL: "mdi-alpha-c-box-outline",
    SAGITTAL: "mdi-alpha-s-box-outline",
    SURFACES: "mdi-cube-outline",
}


class ViewSection(Section):
    """How the study is looked at."""

    name = "view"

    def __init__(self, bench: Workbench, page: PageContext) -> None:
        super().__init__(bench, page)
        self.viewing = Viewing(bench, self._show)
        self.viewing.addKeys(page.keys)
        page.keys.add("B", _("Previous slice"), partial(self.moveSlice, -1))
        page.keys.add("F", _("Next slice"), partial(self.moveSlice, 1))
        page.keys.add("R", _("All of the study in every view"), page.board.fit)
        page.keys.add("G", _("Contours on or off"), self.toggleContours)
        self._projection = ProjectionPicture(bench, page)
        self._places = SlicePositions(bench, self._placeCrosshair)
        self._hidden: list[str] = []
        page.server.trigger("view_screenshot")(page.board.screenshot)
        page.state.update(
            {
                "view_presets": [],
                "view_opacity": 50,
                "view_fused": False,
                "view_color": "",
                "view_fill": 50,
                "view_outline": 100,
                "view_surfaces": True,
                "view_crosshair": False,
                "view_contours": [],
                "view_ct": False,
                "view_pet": False,
            }
        )

    @classmethod
    def title(cls) -> str:
        """What stands on the section's heading."""
        return _("View")

    def build(self) -> None:
        """From the whole to the detail."""
        self._buildLayout()
        self._buildWindows()
        self._buildFusion()
        self._buildContours()
        self._projection.build()

    def waitsFor(self) -> str:
        """A volume to look at."""
        return self.viewing.waitsFor()

    def refresh(self) -> None:
        """Follow the volumes and contours that there are now."""
        self.viewing.refresh()

    def sceneOpened(self) -> None:
        """Know where the slice views are."""
        self._places.watch()

    def sceneCloses(self) -> None:
        """No observer stays at a node that goes."""
        self.viewing.close()
        self._places.stop()
        self._projection.close()

    def cleanup(self) -> None:
        """As when the scene closes."""
        self.sceneCloses()

    # --- what the user does

    def hang(self) -> None:
        """The usual hanging, in all four views."""
        self.page.board.layout = FOUR
        self.viewing.hang()

    def moveSlice(self, steps: int) -> None:
        """Move the large slice view, or the axial one of four."""
        board = self.page.board
        board.slices.get(board.layout, board.slices[AXIAL]).wheel(steps, {})

    def toggleContours(self) -> None:
        """Hide all contours, or show those that were shown before."""
        nodes = self._all()
        shown = [node for node in nodes if contours.isShown(node)]
        if shown:
            self._hidden = [node.GetID() for node in shown]
        for node in nodes:
            if node in shown or node.GetID() in self._hidden or not self._hidden:
                contours.setShown(node, not shown)
        self._show()

    def showContour(self, identifier: str, shown: bool) -> None:
        """Draw one segmentation in the views, or not."""
        node = self.bench.scene.GetNodeByID(identifier)
        if node is not None:
            contours.setShown(node, shown)
        self._show()

    def _setOpacity(self, percent: float) -> None:
        self.viewing.setOpacity(float(percent) / 100)

    def _setColor(self, name: str) -> None:
        if self.bench.study.pet is not None and not setPetColour(self.bench.study.pet, name):
            self.bench.say(_("This color table is not there."))
        self._show()

    def _setFill(self, percent: float) -> None:
        contours.setFillOpacity(self._results(), float(percent) / 100)

    def _setOutline(self, percent: float) -> None:
        contours.setOutlineOpacity(self._all(), float(percent) / 100)

    def _set3d(self, shown: bool) -> None:
        contours.setShownIn3d(self._all(), bool(shown))

    def _setCrosshair(self, shown: bool) -> None:
        showCrosshair(self.bench.scene, bool(shown))
        self._placeCrosshair()

    def _placeCrosshair(self) -> None:
        # Nobody pays for one that is not seen: every move of it is a new frame of every view.
        if isCrosshairShown(self.bench.scene):
            placeCrosshair(self.bench.scene, self._places.nodes)

    def _setLayout(self, layout: str) -> None:
        self.page.board.layout = layout

    # --- widgets

    def _buildLayout(self) -> None:
        titles = {FOUR: _("All four"), AXIAL: _("Axial"), CORONAL: _("Coronal"), SAGITTAL: _("Sagittal")}
        with html.Div(classes="pcf-row"):
            with v3.VBtnToggle(model_value=("board_layout",), density="compact", divided=True, mandatory=True):
                for layout, icon in _ICONS.items():
                    v3.VBtn(
                        icon=icon,
                        value=layout,
                        click=partial(self._setLayout, layout),
                        title=titles.get(layout, _("3-D")),
                        id=f"view_layout_{layout}",
                        size="small",
                    )
            v3.VSpacer()
            _small("mdi-fit-to-page-outline", _("All of the study in every view (R)"), "view_fit", self.page.board.fit)
            _small("mdi-home-outline", _("Usual hanging (H)"), "view_hang", self.hang)
            _small(
                "mdi-camera-outline",
                _("Save what is shown as a picture (PNG)"),
                "view_screenshot",
                "utils.download('petct-view.png', trigger('view_screenshot'), 'image/png')",
            )

    def _buildWindows(self) -> None:
        for modality in ("CT", "PET"):
            with html.Div(classes="pcf-row pt-2"):
                html.Span(modality, classes="pcf-label", style="width: 2rem;")
                for preset in PRESETS:
                    if preset.modality == modality:
                        self._buildPreset(preset)

    def _buildPreset(self, preset: WindowPreset) -> None:
        v3.VBtn(
            preset.text(),
            click=partial(self.viewing.apply, preset),
            title=presetTip(preset),
            variant=(f"view_presets.includes('{preset.identifier}') ? 'flat' : 'tonal'",),
            color=(f"view_presets.includes('{preset.identifier}') ? 'primary' : undefined",),
            disabled=(f"!view_{preset.modality.lower()}",),
            size="x-small",
            id=f"view_{preset.identifier}",
        )

    def _buildFusion(self) -> None:
        with html.Div(classes="pt-2"):
            _slider(_("PET"), "view_opacity", self._setOpacity, "!view_fused", _("How opaque the PET lies over the CT"))
        v3.VSelect(
            label=_("PET color"),
            v_model=("view_color",),
            items=("view_colors", [*PET_COLOURS]),
            update_modelValue=(self._setColor, "[$event]"),
            disabled=("!view_pet",),
            density="compact",
            hide_details=True,
            classes="mt-1",
            id="view_color",
        )

    def _buildContours(self) -> None:
        with html.Div(v_show=("view_contours.length",), classes="pt-3"):
            html.Div(_("Contours"), classes="pcf-label")
            with html.Div(v_for="one in view_contours", key="one.id", classes="pcf-row", style="flex-wrap: nowrap;"):
                v3.VBtn(
                    icon=("one.shown ? 'mdi-eye-outline' : 'mdi-eye-off-outline'",),
                    click=(self.showContour, "[one.id, !one.shown]"),
                    title=("one.tip",),
                    size="x-small",
                    variant="text",
                )
                html.Span("{{ one.name }}", classes="text-truncate", style="font-size: 0.85rem;")
            _slider(_("Filled"), "view_fill", self._setFill, "false", _("How opaque contours are filled"))
            _slider(_("Lines"), "view_outline", self._setOutline, "false", _("How opaque the lines of contours are"))
        with html.Div(classes="pcf-row"):
            _switch(_("Surfaces in 3-D"), "view_surfaces", self._set3d)
            _switch(_("Crosshair"), "view_crosshair", self._setCrosshair)

    # --- what is shown

    def _all(self) -> list[Any]:
        return contours.listedSegmentations(self.bench.scene)

    def _results(self) -> list[Any]:
        """A reference stays an outline, through which the images can be seen."""
        return [node for node in self._all() if node is not self.bench.study.reference] or self._all()

    def _show(self) -> None:
        study, nodes = self.bench.study, self._all()
        opacity = self.viewing.opacity
        with self.page.state as state:
            state.view_presets = sorted(preset.identifier for preset in self.viewing.presets)
            state.view_ct, state.view_pet = study.ct is not None, study.pet is not None
            state.view_fused = opacity is not None
            state.view_opacity = round(100 * (opacity or 0.0))
            state.view_color = petColour(study.pet)
            state.view_contours = [
                {
                    "id": node.GetID(),
                    "name": node.GetName(),
                    "shown": contours.isShown(node),
                    "tip": _('Show or hide "{name}"').format(name=node.GetName()),
                }
                for node in nodes
            ]
            state.view_fill = round(100 * contours.fillOpacity(self._results()))
            state.view_outline = round(100 * contours.outlineOpacity(nodes))
            state.view_crosshair = isCrosshairShown(self.bench.scene)
            state.view_surfaces = contours.isShownIn3d(nodes)
        self._projection.show(study.pet)


def _small(icon: str, title: str, identifier: str, click: object) -> None:
    v3.VBtn(icon=icon, title=title, id=identifier, click=click, size="small", variant="text", density="comfortable")


def _switch(label: str, state: str, changed: object) -> None:
    v3.VSwitch(
        label=label,
        v_model=(state,),
        update_modelValue=(changed, "[$event]"),
        density="compact",
        hide_details=True,
        color="primary",
        classes="flex-grow-0 mr-2",
        id=state,
    )


def _slider(label: str, state: str, changed: object, disabled: str, tip: str) -> None:
    with html.Div(classes="pcf-slider", title=tip):
        html.Span(label)
        v3.VSlider(
            v_model=(state,),
            min=0,
            max=100,
            step=1,
            update_modelValue=(changed, "[$event]"),
            disabled=(disabled,),
            hide_details=True,
            density="compact",
            color="primary",
            thumb_size=14,
            id=state,
        )
        html.Span(f"{{{{ {state} }}}} %")
