"""The Lesions section: every lesion with its uptake, one click away, to be accepted, rejected or flagged."""

from __future__ import annotations

from typing import Any

from PETCTFusionSegLib.desktop.bench import DesktopBench
from PETCTFusionSegLib.desktop.lesion_table import LesionTable
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.lesions import LesionReview
from PETCTFusionSegLib.workbench.pace import DESKTOP


class LesionsSection(Section):
    """The list follows the segmentation in the editor, and the PET chosen under Study."""

    name = "Lesions"

    def __init__(self, bench: DesktopBench, ui: Any) -> None:
        super().__init__(bench, ui)
        self.review = LesionReview(bench, self._show, DESKTOP)
        self._table = LesionTable(ui.lesionTable, self.review.chooseLesion, self.review.sortBy)
        self._filling = False
        ui.lesionSegmentSelector.connect("currentIndexChanged(int)", self._onSegment)
        ui.lesionPreviousButton.connect("clicked()", self.review.previousLesion)
        ui.lesionNextButton.connect("clicked()", self.review.nextLesion)
        ui.lesionAcceptButton.connect("clicked()", self.review.accept)
        ui.lesionRejectButton.connect("clicked()", self.review.reject)
        ui.lesionFlagButton.connect("clicked()", self.review.flag)
        self.review.addKeys(bench.shortcuts)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Lesions")

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

    def _onSegment(self, index: int) -> None:
        if not self._filling and index >= 0:
            self.review.chooseSegment(str(self.ui.lesionSegmentSelector.itemData(index)))

    def _show(self) -> None:
        order, ui = self.review.order, self.ui
        self._table.show(order)
        for button in (ui.lesionAcceptButton, ui.lesionRejectButton, ui.lesionFlagButton):
            button.enabled = order.current is not None
        for button in (ui.lesionPreviousButton, ui.lesionNextButton):
            button.enabled = bool(order.rows)
        rejected = order.current is not None and order.current.rejected
        ui.lesionRejectButton.text = _("Take back") if rejected else _("Reject")
        ui.lesionSummaryLabel.text = self.review.sentence
        self._showSegments()

    def _showSegments(self) -> None:
        segments, selector = self.review.segments, self.ui.lesionSegmentSelector
        self._filling = True
        selector.clear()
        for identifier, name in segments:
            selector.addItem(name, identifier)
            if identifier == self.review.segmentId:
                selector.currentIndex = selector.count - 1
        self._filling = False
        self.ui.lesionSegmentFrame.visible = len(segments) > 1
