"""What a Lesions section does: every lesion with its uptake, one click away, to be accepted, rejected or flagged."""

from __future__ import annotations

from collections.abc import Callable

from petctfusion.errors import FusionError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.lesion_decisions import Decision, decide, decisionsOf, readRecords, reopenStatus, showStatus
from PETCTFusionSegLib.mrml.lesion_list import LesionList
from PETCTFusionSegLib.mrml.lesion_rows import LesionRow
from PETCTFusionSegLib.mrml.rejected import contourIds, rejectLesion, takeBackLesion
from PETCTFusionSegLib.mrml.worst_place import centreSliceViews

from .bench import Workbench
from .keys import Keys
from .lesion_order import LesionOrder, summary
from .pace import Pace

# While lesions are measured in the background.
_POLL_MS = 30


class LesionReview:
    """Follows the segmentation in the editor and the study's PET; `shown` is called when anything has changed."""

    def __init__(self, bench: Workbench, shown: Callable[[], None], pace: Pace) -> None:
        self.bench = bench
        self.order = LesionOrder()
        self.segments: list[tuple[str, str]] = []
        """Id and name of the segments that can be listed."""
        self.segmentId = ""
        self.sentence = ""
        self._shown, self._wait_s = shown, pace.pollWait_s
        self._list = LesionList(bench.scene, self._onEdit)
        self._decided = False
        self._flushTimer = bench.makeTimer(pace.pauseMs, True, self._flush)
        self._pollTimer = bench.makeTimer(_POLL_MS, False, self._poll)

    def addKeys(self, keys: Keys) -> None:
        """The keys of what a reader does here."""
        keys.add("N", _("Next lesion"), self.nextLesion)
        keys.add("Shift+N", _("Previous lesion"), self.previousLesion)
        keys.add("A", _("Accept the lesion, or take that back"), self.accept)
        keys.add("X", _("Reject the lesion, or take it back"), self.reject)
        keys.add("L", _("Flag the lesion, or take that back"), self.flag)

    def waitsFor(self) -> str:
        """A segmentation in the editor."""
        if self.bench.segmentation() is None:
            return _("Lesions are listed when there is a result, or a segmentation is chosen under Edit.")
        return ""

    @property
    def busy(self) -> bool:
        """True while lesions are measured, or edits wait to be looked at."""
        return self._list.busy

    def refresh(self) -> None:
        """Follow the nodes chosen now."""
        self._findSegments()
        wanted = (self.bench.segmentation(), self.segmentId, self.bench.study.pet)
        if not self.segmentId:
            wanted = (None, "", None)
        if self._list.followed != wanted:
            self._list.follow(*wanted)
            self._show()
        self._keepPolling()

    def sceneCloses(self) -> None:
        """No observer stays at a node that goes."""
        self._stopTimers()
        self._list.stop()
        self._show()

    def cleanup(self) -> None:
        """As when the scene closes; the thread ends."""
        self._stopTimers()
        self._list.close()

    # --- what the user does; also on keys

    def chooseSegment(self, segmentId: str) -> None:
        """List another segment's lesions."""
        self.segmentId = segmentId
        self.refresh()

    def chooseLesion(self, line: int) -> None:
        """Choose a line of the list, and go there."""
        if self.order.choose(line):
            self._goThere()

    def sortBy(self, column: int) -> None:
        """Sort by a column; a second time turns the order round."""
        self.order.sortBy(column)
        self._shown()

    def nextLesion(self) -> None:
        """Go to the next lesion of the list."""
        self._step(1, _("This is the last lesion."))

    def previousLesion(self) -> None:
        """Go to the previous lesion of the list."""
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
        decide(node, row, "open" if self.order.decision(row) == decision else decision)
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
        if self.order.current is None:
            self._say(_("Choose a lesion in the table."))
        return self.order.current

    def _step(self, by: int, end: str) -> None:
        if not self.order.rows:
            return
        if self.order.step(by):
            self._goThere()
        else:
            self._say(end)

    def _goThere(self) -> None:
        assert self.order.current is not None
        centreSliceViews(self.bench.scene, self.order.current.point)
        self._say(self._summary())

    # --- what follows from edits

    def _onEdit(self) -> None:
        self._flushTimer.start()

    def _flush(self) -> None:
        segmentation = self.bench.segmentation()
        if segmentation is not None and self.segmentId not in contourIds(segmentation):
            self.refresh()
            return
        self._findSegments()
        if self._list.flush():
            self._show()
        else:
            self._say(self._summary())
        self._keepPolling()

    def _poll(self) -> None:
        if self._list.poll(self._wait_s):
            self._show()
        self._keepPolling()

    def _keepPolling(self) -> None:
        if self._list.busy and not self._pollTimer.isActive():
            self._pollTimer.start()
        elif not self._list.busy:
            self._pollTimer.stop()

    def _stopTimers(self) -> None:
        self._flushTimer.stop()
        self._pollTimer.stop()

    # --- what is shown

    def _findSegments(self) -> None:
        node = self.bench.segmentation()
        ids = contourIds(node) if node is not None else []
        self.segments = [(one, str(node.GetSegmentation().GetSegment(one).GetName())) for one in ids]
        if self.segmentId not in ids:
            self.segmentId = ids[0] if ids else ""

    def _show(self) -> None:
        node, segmentId, _pet = self._list.followed
        rows = self._list.rows
        decisions = decisionsOf(readRecords(node), rows) if node is not None else []
        self.order.fill(rows, decisions)
        if node is not None and not self._list.busy:
            # After an edit nothing is said about segments that nobody reviews.
            (showStatus if self._decided else reopenStatus)(node, segmentId, decisions)
            self._decided = False
        self._say(self._summary())

    def _summary(self) -> str:
        if self._list.followed[0] is None:
            return ""
        if self._list.busy:
            return _("Measuring the lesions...")
        decisions = [self.order.decision(row) for row in self._list.rows]
        return " ".join(filter(None, (summary(self._list.rows, decisions), self._list.sentence)))

    def _say(self, sentence: str) -> None:
        self.sentence = sentence
        self._shown()
