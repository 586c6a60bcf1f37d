"""The Lesions section: every lesion with its uptake, one click away, to be accepted, rejected or flagged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.desktop.bench import Workbench
from PETCTFusionSegLib.desktop.lesion_table import LesionTable, decisionNames
from PETCTFusionSegLib.desktop.section import Section
from PETCTFusionSegLib.desktop.widgets import makeTimer
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.lesion_decisions import Decision, decide, decisionsOf, readRecords, reopenStatus, showStatus
from PETCTFusionSegLib.mrml.lesion_list import LesionList
from PETCTFusionSegLib.mrml.lesion_rows import LesionRow
from PETCTFusionSegLib.mrml.rejected import contourIds, rejectLesion, takeBackLesion
from PETCTFusionSegLib.mrml.worst_place import centreSliceViews

# While lesions are measured in the background; each look gives the thread Python's lock for _POLL_WAIT_S.
_POLL_MS, _POLL_WAIT_S = 30, 0.01


class LesionsSection(Section):
    """The list follows the segmentation in the editor, and the PET chosen under Study."""

    name = "Lesions"

    def __init__(self, bench: Workbench, ui: Any) -> None:
        super().__init__(bench, ui)
        self.table = LesionTable(ui.lesionTable, self._goTo)
        self.list = LesionList(bench.scene, self._onEdit)
        self._segmentId = ""
        self._filling = False
        self._decided = False
        self._flushTimer = makeTimer(0, True, self._flush)
        self._pollTimer = makeTimer(_POLL_MS, False, self._poll)
        ui.lesionSegmentSelector.connect("currentIndexChanged(int)", self._onSegment)
        ui.lesionPreviousButton.connect("clicked()", self.previousLesion)
        ui.lesionNextButton.connect("clicked()", self.nextLesion)
        ui.lesionAcceptButton.connect("clicked()", self.accept)
        ui.lesionRejectButton.connect("clicked()", self.reject)
        ui.lesionFlagButton.connect("clicked()", self.flag)
        bench.shortcuts.add("N", _("Next lesion"), self.nextLesion)
        bench.shortcuts.add("Shift+N", _("Previous lesion"), self.previousLesion)
        bench.shortcuts.add("A", _("Accept the lesion, or take that back"), self.accept)
        bench.shortcuts.add("X", _("Reject the lesion, or take it back"), self.reject)
        bench.shortcuts.add("L", _("Flag the lesion, or take that back"), self.flag)

    @classmethod
    def title(cls) -> str:
        """What stands on the section's button."""
        return _("Lesions")

    def waitsFor(self) -> str:
        """A segmentation in the editor."""
        if self.bench.segmentation() is None:
            return _("Lesions are listed when there is a result, or a segmentation is chosen under Edit.")
        return ""

    def refresh(self) -> None:
        """Follow the nodes chosen now."""
        self._fillSegments()
        wanted = (self.bench.segmentation(), self._segmentId, self.bench.study.pet)
        if not self._segmentId:
            wanted = (None, "", None)
        if self.list.followed != wanted:
            self.list.follow(*wanted)
            self._show()
        self._keepPolling()

    def sceneCloses(self) -> None:
        """No observer stays at a node that goes."""
        self._stopTimers()
        self.list.stop()
        self._show()

    def cleanup(self) -> None:
        """As when the scene closes; the thread ends."""
        self._stopTimers()
        self.list.close()

    # --- what the user does; also on keys

    def nextLesion(self) -> None:
        """Go to the next lesion of the table."""
        self._step(1, _("This is the last lesion."))

    def previousLesion(self) -> None:
        """Go to the previous lesion of the table."""
        self._step(-1, _("This is the first lesion."))

    def accept(self) -> None:
        """Accept the chosen lesion; a second time takes that back. A rejected one comes back and is accepted."""
        self._decide("accepted")

    def flag(self) -> None:
        """Flag the chosen lesion for another look; a second time takes that back. A rejected one comes back."""
        self._decide("flagged")

    def reject(self) -> None:
        """Move the chosen lesion out of the segment; a second time moves it back. One undo step."""
        row = self._chosenRow()
        if row is not None:
            self._move(row)

    def _decide(self, decision: Decision) -> None:
        row, node = self._chosenRow(), self.bench.segmentation()
        if row is None or node is None or (row.rejected and not self._move(row)):
            return
        decide(node, row, "open" if self.table.decision(row) == decision else decision)
        self._decided = True
        self._show()

    def _move(self, row: LesionRow) -> bool:
        """Out of the segment or back into it; False, with a sentence, when that is not possible."""
        node = self.bench.segmentation()
        try:
            self.bench.editor.saveStateForUndo()
            (takeBackLesion if row.rejected else rejectLesion)(node, row.segmentId, row.place)
        except FusionError as error:
            self._say(str(error))
            return False
        self._decided = True
        self._flush()
        return True

    def _chosenRow(self) -> LesionRow | None:
        row = self.table.current()
        if row is None:
            self._say(_("Choose a lesion in the table."))
        return row

    def _step(self, by: int, end: str) -> None:
        if self.table.rows and not self.table.step(by):
            self._say(end)

    def _goTo(self, row: LesionRow) -> None:
        centreSliceViews(self.bench.scene, row.point)
        self._showButtons()
        self._showSummary()

    # --- what follows from edits

    def _onEdit(self) -> None:
        self._flushTimer.start()

    def _flush(self) -> None:
        segmentation = self.bench.segmentation()
        if segmentation is not None and self._segmentId not in contourIds(segmentation):
            self.refresh()
            return
        self._fillSegments()
        if self.list.flush():
            self._show()
        else:
            self._showSummary()
        self._keepPolling()

    def _poll(self) -> None:
        if self.list.poll(_POLL_WAIT_S):
            self._show()
        self._keepPolling()

    def _keepPolling(self) -> None:
        if self.list.busy and not self._pollTimer.isActive():
            self._pollTimer.start()
        elif not self.list.busy:
            self._pollTimer.stop()

    def _stopTimers(self) -> None:
        self._flushTimer.stop()
        self._pollTimer.stop()

    # --- what the widgets show

    def _fillSegments(self) -> None:
        node, selector = self.bench.segmentation(), self.ui.lesionSegmentSelector
        ids = contourIds(node) if node is not None else []
        if self._segmentId not in ids:
            self._segmentId = ids[0] if ids else ""
        self._filling = True
        selector.clear()
        for one in ids:
            selector.addItem(node.GetSegmentation().GetSegment(one).GetName(), one)
        if ids:
            selector.currentIndex = ids.index(self._segmentId)
        self._filling = False
        self.ui.lesionSegmentFrame.visible = len(ids) > 1

    def _onSegment(self, index: int) -> None:
        if not self._filling and index >= 0:
            self._segmentId = str(self.ui.lesionSegmentSelector.itemData(index))
            self.refresh()

    def _show(self) -> None:
        node, segmentId, _pet = self.list.followed
        rows = self.list.rows
        decisions = decisionsOf(readRecords(node), rows) if node is not None else []
        self.table.fill(rows, decisions)
        if node is not None and not self.list.busy:
            # After an edit nothing is said about segments that nobody reviews.
            (showStatus if self._decided else reopenStatus)(node, segmentId, decisions)
            self._decided = False
        self._showButtons()
        self._showSummary()

    def _showButtons(self) -> None:
        row = self.table.current()
        for button in (self.ui.lesionAcceptButton, self.ui.lesionRejectButton, self.ui.lesionFlagButton):
            button.enabled = row is not None
        for button in (self.ui.lesionPreviousButton, self.ui.lesionNextButton):
            button.enabled = bool(self.table.rows)
        self.ui.lesionRejectButton.text = _("Take back") if row is not None and row.rejected else _("Reject")

    def _showSummary(self) -> None:
        if self.list.followed[0] is None:
            self._say("")
        elif self.list.busy:
            self._say(_("Measuring the lesions..."))
        else:
            decisions = [self.table.decision(row) for row in self.list.rows]
            self._say(" ".join(filter(None, (summary(self.list.rows, decisions), self.list.sentence))))

    def _say(self, sentence: str) -> None:
        self.ui.lesionSummaryLabel.text = sentence


def summary(rows: Sequence[LesionRow], decisions: Sequence[Decision]) -> str:
    """How many lesions there are and what they add up to; rejected ones are counted, not added."""
    kept = [row.lesion for row in rows if not row.rejected]
    if not rows:
        return _("There is no lesion in this segment.")
    parts = [_("1 lesion") if len(kept) == 1 else _("{n} lesions").format(n=len(kept))]
    parts.append(_("MTV {ml} ml").format(ml=f"{sum(one.volume_ml for one in kept):.1f}"))
    tlg, maxima = [one.tlg for one in kept if one.tlg is not None], [one.suv_max for one in kept]
    known = [value for value in maxima if value is not None]
    if known:
        parts.append(_("TLG {tlg}").format(tlg=f"{sum(tlg):.1f}"))
        parts.append(_("SUVmax {suv}").format(suv=f"{max(known):.2f}"))
    counts = [f"{list(decisions).count(one)} {name}" for one, name in decisionNames().items() if one in decisions]
    return f"{', '.join(parts)}. {', '.join(counts).capitalize()}."
