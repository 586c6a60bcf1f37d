"""The Lesions section: every lesion with its uptake, one click away, to be accepted, rejected or flagged."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.web.section import PageContext, Section
from PETCTFusionSegLib.workbench.bench import Workbench
from PETCTFusionSegLib.workbench.lesion_order import columnTitles, placeText
from PETCTFusionSegLib.workbench.lesions import LesionReview
from PETCTFusionSegLib.workbench.pace import BROWSER


class LesionsSection(Section):
    """The list follows the segmentation in the editor, and the PET chosen under Study."""

    name = "lesions"

    def __init__(self, bench: Workbench, page: PageContext) -> None:
        super().__init__(bench, page)
        self.review = LesionReview(bench, self._show, BROWSER)
        self.review.addKeys(page.keys)
        page.state.update(
            {
                "lesions_rows": [],
                "lesions_line": -1,
                "lesions_sort": 0,
                "lesions_descending": False,
                "lesions_segments": [],
                "lesions_segment": "",
                "lesions_sentence": "",
                "lesions_rejected": False,
            }
        )

    @classmethod
    def title(cls) -> str:
        """What stands on the section's heading."""
        return _("Lesions")

    def build(self) -> None:
        """The segment, the table, and what can be decided."""
        v3.VSelect(
            label=_("Segment"),
            v_model=("lesions_segment",),
            items=("lesions_segments",),
            update_modelValue=(self.review.chooseSegment, "[$event]"),
            v_show=("lesions_segments.length > 1",),
            density="compact",
            hide_details=True,
            classes="mb-2",
            id="lesions_segment",
        )
        with html.Div(classes="pcf-scroll"), html.Table(classes="pcf-table", id="lesions_table"):
            with html.Thead(), html.Tr():
                for column, (title, tip) in enumerate(columnTitles().items()):
                    self._buildTitle(column, title, tip)
            with (
                html.Tbody(),
                html.Tr(
                    v_for="(row, line) in lesions_rows",
                    key="line",
                    click=(self.review.chooseLesion, "[line]"),
                    title=("row.place",),
                    classes=("{'pcf-chosen': line === lesions_line, 'pcf-rejected': row.rejected}",),
                ),
            ):
                html.Td("{{ cell }}", v_for="(cell, column) in row.cells", key="column")
        html.Div("{{ lesions_sentence }}", id="lesions_sentence", classes="section-waits py-1", role="status")
        with html.Div(classes="pcf-row"):
            button = {"size": "small", "variant": "tonal"}
            with v3.VBtnGroup(density="compact", divided=True):
                v3.VBtn(
                    icon="mdi-chevron-left",
                    title=_("Previous lesion (Shift+N)"),
                    click=self.review.previousLesion,
                    disabled=("!lesions_rows.length",),
                    id="lesions_previous",
                    **button,
                )
                v3.VBtn(
                    icon="mdi-chevron-right",
                    title=_("Next lesion (N)"),
                    click=self.review.nextLesion,
                    disabled=("!lesions_rows.length",),
                    id="lesions_next",
                    **button,
                )
            chosen = {"disabled": ("lesions_line < 0",), **button}
            v3.VBtn(_("Accept"), title=_("Key A"), click=self.review.accept, id="lesions_accept", **chosen)
            with v3.VBtn(title=_("Key X"), click=self.review.reject, id="lesions_reject", **chosen):
                html.Span(_("Take back"), v_show=("lesions_rejected",))
                html.Span(_("Reject"), v_show=("!lesions_rejected",))
            v3.VBtn(_("Flag"), title=_("Key L"), click=self.review.flag, id="lesions_flag", **chosen)

    def waitsFor(self) -> str:
        """A segmentation in the editor."""
        return self.review.waitsFor()

    def refresh(self) -> None:
        """Follow the nodes chosen now."""
        self.review.refresh()
        self._showSegments()

    def sceneCloses(self) -> None:
        """No observer stays at a node that goes."""
        self.review.sceneCloses()

    def cleanup(self) -> None:
        """As when the scene closes; the thread ends."""
        self.review.cleanup()

    def _buildTitle(self, column: int, title: str, tip: str) -> None:
        with html.Th(title=tip, click=(self.review.sortBy, f"[{column}]"), classes="pcf-sortable"):
            html.Span(title)
            html.Span("{{ lesions_descending ? '▾' : '▴' }}", v_show=(f"lesions_sort === {column}",))

    def _show(self) -> None:
        order = self.review.order
        with self.page.state as state:
            state.lesions_rows = [
                {
                    "cells": [*order.cells(row)],
                    "rejected": row.rejected,
                    "place": _("Center: {place} mm").format(place=placeText(row.centre)),
                }
                for row in order.rows
            ]
            state.lesions_line = order.line
            state.lesions_sort, state.lesions_descending = order.column, order.descending
            state.lesions_rejected = order.current is not None and order.current.rejected
            state.lesions_sentence = self.review.sentence
            self._showSegments()

    def _showSegments(self) -> None:
        state = self.page.state
        state.lesions_segments = [{"value": one, "title": name} for one, name in self.review.segments]
        state.lesions_segment = self.review.segmentId
