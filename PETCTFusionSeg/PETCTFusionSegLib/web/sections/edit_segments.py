"""The segments of the edited segmentation: choose one to draw into, add, rename, show and hide."""

from __future__ import annotations

from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from petctfusion.errors import FusionError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.web.editor import WebEditor
from PETCTFusionSegLib.web.section import PageContext, nodeOfClass
from PETCTFusionSegLib.workbench.bench import Workbench

_LONGEST_NAME = 80


class SegmentRows:
    """One row a segment; and which segmentation is edited, where there are several."""

    def __init__(self, bench: Workbench, editor: WebEditor, page: PageContext) -> None:
        self._bench, self._editor, self._page = bench, editor, page
        page.state.update(
            {
                "edit_segments": [],
                "edit_segmentations": [],
                "edit_segmentation": "",
                "edit_renamed": "",
                "edit_name": "",
            }
        )
        page.state.change("edit_segmentation")(self._onSegmentation)

    def build(self) -> None:
        """Make the widgets."""
        v3.VSelect(
            v_if=("edit_segmentations.length > 1",),
            label=_("Segmentation"),
            v_model=("edit_segmentation",),
            items=("edit_segmentations",),
            density="compact",
            hide_details=True,
            id="edit_segmentation",
            classes="mb-2",
        )
        with (
            v3.VList(density="compact", classes="py-0", id="edit_segments"),
            v3.VListItem(
                v_for="row in edit_segments",
                key="row.id",
                active=("row.selected",),
                click=(self.select, "[row.id]"),
                raw_attrs=[":data-test=\"'segment-' + row.name\""],
            ),
        ):
            with v3.Template(v_slot_prepend=True):
                v3.VBtn(
                    icon=("row.visible ? 'mdi-eye' : 'mdi-eye-off'",),
                    v_on_click_stop=(self.toggle, "[row.id]"),
                    size="x-small",
                    variant="text",
                    title=_("Show or hide"),
                )
                html.Span(
                    style=("`background: ${row.color}; width: 14px; height: 14px; border-radius: 3px;`",),
                    classes="mr-2",
                )
            v3.VTextField(
                v_if=("edit_renamed === row.id",),
                v_model=("edit_name",),
                autofocus=True,
                density="compact",
                hide_details=True,
                v_on_keydown_enter=self.rename,
                v_on_keydown_esc="edit_renamed = ''",
                v_on_click_stop="",
                blur=self.rename,
                id="edit_name",
            )
            v3.VListItemTitle("{{ row.name }}", v_else=True)
            with v3.Template(v_slot_append=True):
                v3.VBtn(
                    icon="mdi-pencil",
                    v_on_click_stop="edit_renamed = row.id; edit_name = row.name",
                    size="x-small",
                    variant="text",
                    title=_("Rename"),
                )
        v3.VBtn(
            _("Add a segment"),
            prepend_icon="mdi-plus",
            click=self.add,
            size="small",
            variant="text",
            id="edit_new_segment",
        )

    # --- what the visitor does

    def select(self, segmentId: str) -> None:
        """Draw into this segment from now on."""
        if self._segment(segmentId) is not None:
            self._editor.selectSegment(segmentId)

    def add(self) -> None:
        """A new, empty segment, chosen at once; the first one of all is drawn on the CT."""
        if self._bench.segmentation() is None:
            self._editor.edit(None, self._bench.study.ct)
        try:
            self._editor.addSegment(self._newName())
        except FusionError as error:
            self._bench.fail(error)

    def toggle(self, segmentId: str) -> None:
        """Show a segment that is hidden, and hide one that is shown."""
        display = self._display()
        if display is not None and self._segment(segmentId) is not None:
            display.SetSegmentVisibility(segmentId, not display.GetSegmentVisibility(segmentId))
        self.show()

    def rename(self) -> None:
        """Give the segment whose name is being typed that name; an empty one changes nothing."""
        state = self._page.state
        segment, name = self._segment(state.edit_renamed), str(state.edit_name).strip()[:_LONGEST_NAME]
        if segment is not None and name and name != segment.GetName():
            segment.SetName(name)
        state.edit_renamed = ""
        self._bench.changed()

    def _onSegmentation(self, edit_segmentation: str, **_state: Any) -> None:
        node = nodeOfClass(self._bench.scene, edit_segmentation, "vtkMRMLSegmentationNode")
        if node is not None and node is not self._bench.segmentation():
            self._editor.edit(node, self._bench.study.ct)

    # --- what is shown

    def show(self) -> None:
        """Bring the state up to date."""
        import slicer

        state, node = self._page.state, self._bench.segmentation()
        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", self._bench.scene)
        state.edit_segmentations = [{"value": one.GetID(), "title": one.GetName()} for one in nodes]
        state.edit_segmentation = node.GetID() if node is not None else ""
        state.edit_segments = self._rows(node) if node is not None else []

    def _rows(self, node: Any) -> list[dict[str, Any]]:
        selected, display, segmentation = self._editor.selectedSegmentId(), self._display(), node.GetSegmentation()
        rows = []
        for segmentId in segmentation.GetSegmentIDs():
            segment = segmentation.GetSegment(segmentId)
            red, green, blue = (round(255 * part) for part in segment.GetColor())
            rows.append(
                {
                    "id": segmentId,
                    "name": segment.GetName(),
                    "color": f"rgb({red}, {green}, {blue})",
                    "visible": display is None or bool(display.GetSegmentVisibility(segmentId)),
                    "selected": segmentId == selected,
                }
            )
        return rows

    def _display(self) -> Any:
        node = self._bench.segmentation()
        return node.GetDisplayNode() if node is not None else None

    def _segment(self, segmentId: str) -> Any:
        node = self._bench.segmentation()
        return node.GetSegmentation().GetSegment(segmentId) if node is not None and segmentId else None

    def _newName(self) -> str:
        node = self._bench.segmentation()
        names = {row["name"] for row in self._rows(node)} if node is not None else set()
        number = 1
        while (name := _("Segment {number}").format(number=number)) in names:
            number += 1
        return name
