"""The Edit section: threshold slider, clicks for tumor and no tumor, brush and eraser, and the list of segments."""

from __future__ import annotations

from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.web.editor import WebEditor
from PETCTFusionSegLib.web.section import PageContext, Section
from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.result_editing import ResultEditing

from .edit_brush import BrushControls
from .edit_segments import SegmentRows

# Moves of the slider that come while one is computed are one move.
_MOVE_MS = 5


class EditSection(Section):
    """Changes the result without a new run, and leaves alone what the visitor drew."""

    name = "edit"

    def __init__(self, bench: Workbench, page: PageContext) -> None:
        super().__init__(bench, page)
        self._moveTimer = bench.makeTimer(_MOVE_MS, True, self._move)
        assert isinstance(bench.editor, WebEditor)
        self._editor = bench.editor
        self.brush = BrushControls(self._editor, page, self._onTool)
        self.segments = SegmentRows(bench, self._editor, page)
        self.result = ResultEditing(bench, self._show, self._showMode)
        self.clicks = self.result.clicks
        page.state.update({"edit_percent": 50, "edit_reason": "", "edit_volume": "", "edit_placing": None})
        page.state.change("edit_percent")(self._onPercent)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's heading."""
        return _("Edit")

    def build(self) -> None:
        """Threshold and clicks, which need a result; then brush and segments, which need none."""
        html.Div("{{ edit_reason }}", v_show=("edit_reason",), id="edit_reason", classes="section-waits mb-1")
        with html.Div(v_show=("!edit_reason",)):
            self._buildThreshold()
            self._buildClicks()
            html.Div("{{ edit_volume }}", id="edit_volume", classes="numbers mb-2", style="font-size: 0.9rem;")
        v3.VDivider(classes="mb-2")
        self.brush.build()
        v3.VDivider(classes="my-2")
        self.segments.build()

    def waitsFor(self) -> str:
        """A segmentation, or a CT to draw on."""
        if self.bench.segmentation() is not None or self.bench.study.ct is not None:
            return ""
        return _("Waits for a result, or for a CT to draw on.")

    def sceneOpened(self) -> None:
        """A scene is there."""
        self.result.sceneOpened()

    def sceneCloses(self) -> None:
        """Forget every node."""
        self._moveTimer.stop()
        self.result.sceneCloses()

    def cleanup(self) -> None:
        """Forget every node."""
        self.sceneCloses()

    def refresh(self) -> None:
        """Follow the segmentation that is edited now, and say what can be done with it."""
        self.result.look()

    # --- what the visitor does

    def place(self, foreground: bool) -> None:
        """The next click into a view says tumor or no tumor; a second press ends that."""
        self.clicks.place(None if self.clicks.placing is foreground else foreground)
        self.brush.show()

    def _onPercent(self, **_state: Any) -> None:
        if self._shownPercent() not in (None, self.page.state.edit_percent) and not self._moveTimer.isActive():
            self._moveTimer.start()

    def _onLetGo(self, percent: Any) -> None:
        """The last move belongs to the drag, although its own message may come later."""
        self._moveTimer.stop()
        self.page.state.edit_percent = percent
        self._move()
        self.result.hold(False)

    def _move(self) -> None:
        percent = self.page.state.edit_percent
        if isinstance(percent, int | float) and 1 <= percent <= 99 and percent != self._shownPercent():
            self.result.move(percent / 100)
        self._show()

    def _onTool(self) -> None:
        self.clicks.place(None)

    # --- what is shown

    def _shownPercent(self) -> int | None:
        return round(100 * self.result.threshold) if self.result.threshold is not None else None

    def _show(self) -> None:
        percent = self._shownPercent()
        with self.page.state as state:
            # A slider that has been moved on must not jump back.
            if percent is not None and not self._moveTimer.isActive():
                state.edit_percent = percent
            state.edit_reason = self.result.reason
            state.edit_volume = self.result.volumeText
            # Threshold and clicks make steps without anything else on the bench changing.
            state.can_undo, state.can_redo = self._editor.canUndo, self._editor.canRedo
            self.brush.show()
            self.segments.show()

    def _showMode(self) -> None:
        with self.page.state as state:
            state.edit_placing = self.clicks.placing

    # --- widgets

    def _buildThreshold(self) -> None:
        title = _("What the network found at least this likely; what was drawn by hand stays")
        with html.Div(classes="d-flex align-center ga-1"):
            with html.Div(classes="pcf-slider flex-grow-1", id="edit_threshold", title=title):
                html.Span(_("Threshold"))
                v3.VSlider(
                    v_model_number=("edit_percent",),
                    min=1,
                    max=99,
                    step=1,
                    start=(self.result.hold, "[true]"),
                    end=(self._onLetGo, "[$event]"),
                    density="compact",
                    hide_details=True,
                    color="primary",
                    thumb_size=14,
                )
                html.Span("{{ edit_percent }} %", id="edit_percent")
            v3.VBtn(
                _("Reset"),
                click=self.result.reset,
                id="edit_reset",
                size="small",
                variant="text",
                title=_("Back to the threshold of the run"),
            )

    def _buildClicks(self) -> None:
        choices = (
            (True, "edit_add", "mdi-plus", _("Tumor here"), _("Click into a slice: tumor here")),
            (False, "edit_remove", "mdi-minus", _("No tumor here"), _("Click into a slice: no tumor here")),
        )
        with html.Div(classes="d-flex ga-2 my-2"):
            for foreground, identifier, icon, text, title in choices:
                v3.VBtn(
                    text,
                    prepend_icon=icon,
                    click=lambda foreground=foreground: self.place(foreground),
                    active=(f"edit_placing === {str(foreground).lower()}",),
                    color=(f"edit_placing === {str(foreground).lower()} ? 'primary' : undefined",),
                    id=identifier,
                    size="small",
                    classes="flex-grow-1",
                    title=title,
                )
