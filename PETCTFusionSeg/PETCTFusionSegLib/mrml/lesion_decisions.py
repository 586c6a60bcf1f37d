"""What the reader decided about each lesion: kept with the segmentation, and found again after small edits.

A decision is a JSON record in an attribute of the segmentation node: the segment, the decision, the volume, and some of
the lesion's voxels. It belongs to the lesion that holds at least half of these voxels now, unless that lesion has grown
to more than twice the volume or has decisions that contradict each other: then it has to be looked at again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .headless import moduleLogic
from .lesion_rows import LesionRow, rowAt
from .segmentations import ATTRIBUTE_PREFIX

DECISIONS_ATTRIBUTE = ATTRIBUTE_PREFIX + "LesionDecisions"
Decision = Literal["open", "accepted", "flagged", "rejected"]
_GROWTH = 2.0


@dataclass(frozen=True)
class Record:
    """One decision as it is kept."""

    segmentId: str
    decision: Decision
    volume_ml: float
    samples: NDArray[np.float64]
    """Voxels of the lesion (N, 3), RAS in mm below the segmentation's parent transforms."""

    def isAbout(self, row: LesionRow) -> bool:
        """True when the lesion holds at least half of the voxels."""
        return row.segmentId == self.segmentId and rowAt([row], self.samples) is not None

    def holdsFor(self, row: LesionRow) -> Decision:
        """The decision about the lesion that this is about: none any more when it has grown much."""
        return self.decision if row.lesion.volume_ml <= _GROWTH * self.volume_ml else "open"


def decisionsOf(records: Sequence[Record], rows: Sequence[LesionRow]) -> list[Decision]:
    """The decision about each row. Rejected is what lies in the segment of rejected lesions, whatever a record says."""
    said: dict[int, set[Decision]] = {}
    for record in records:
        mine = [row for row in rows if row.segmentId == record.segmentId and not row.rejected]
        row = rowAt(mine, record.samples)
        if row is not None:
            said.setdefault(row.number, set()).add(record.holdsFor(row))
    return [_decision(row, said.get(row.number, set())) for row in rows]


def decide(node: Any, row: LesionRow, decision: Decision) -> None:
    """Keep a decision about a lesion in place of earlier ones; "open" only forgets those.

    A rejection is no record but a move of voxels (`rejected.rejectLesion`).
    """
    kept = [record for record in readRecords(node) if not record.isAbout(row)]
    if decision in ("accepted", "flagged"):
        kept.append(Record(row.segmentId, decision, row.lesion.volume_ml, row.samples))
    node.SetAttribute(DECISIONS_ATTRIBUTE, json.dumps([_toJson(record) for record in kept]))


def readRecords(node: Any) -> list[Record]:
    """The records of a segmentation node; what cannot be understood is left out."""
    try:
        found = json.loads(node.GetAttribute(DECISIONS_ATTRIBUTE) or "[]")
    except ValueError:
        return []
    records = [_fromJson(one) for one in found] if isinstance(found, list) else []
    return [record for record in records if record is not None]


def showStatus(node: Any, segmentId: str, decisions: Sequence[Decision]) -> None:
    """Slicer's own status of a segment: flagged when a lesion is, completed when all are decided, else in progress."""
    logic = moduleLogic("segmentations")
    segment = node.GetSegmentation().GetSegment(segmentId)
    if segment is None:
        return
    status = logic.InProgress
    if "flagged" in decisions:
        status = logic.Flagged
    elif decisions and "open" not in decisions:
        status = logic.Completed
    if logic.GetSegmentStatus(segment) != status:
        logic.SetSegmentStatus(segment, status)


def reopenStatus(node: Any, segmentId: str, decisions: Sequence[Decision]) -> None:
    """After an edit: a segment is not completed any more when a lesion has no decision."""
    logic = moduleLogic("segmentations")
    segment = node.GetSegmentation().GetSegment(segmentId)
    if segment is not None and "open" in decisions and logic.GetSegmentStatus(segment) == logic.Completed:
        logic.SetSegmentStatus(segment, logic.InProgress)


def _decision(row: LesionRow, said: set[Decision]) -> Decision:
    if row.rejected:
        return "rejected"
    return next(iter(said)) if len(said) == 1 else "open"


def _toJson(record: Record) -> dict[str, Any]:
    return {
        "segment": record.segmentId,
        "decision": record.decision,
        "volume_ml": round(record.volume_ml, 4),
        "samples": np.round(record.samples, 2).tolist(),
    }


def _fromJson(values: Any) -> Record | None:
    try:
        samples = np.array(values["samples"], dtype=np.float64).reshape(-1, 3)
        decision, volume = values["decision"], float(values["volume_ml"])
        segment = str(values["segment"])
    except (KeyError, TypeError, ValueError):
        return None
    known = decision in get_args(Decision) and np.isfinite(samples).all()
    return Record(segment, decision, volume, samples) if known and len(samples) else None
