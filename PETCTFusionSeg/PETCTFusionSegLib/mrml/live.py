"""Dice, HD95, NSD, ASSD and volumes of a segmentation against a reference, kept current through every way of editing.

    events --coalesced--> flush: fingerprints --what may have changed--> changed box --> numbers (at once)
                                                                                 \\--> background thread --> poll

Which event came is never trusted: `flush` compares fingerprints, then voxels. Nodes are touched by the caller's thread
only; the background thread sees copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from petctfusion.errors import BadInputError
from petctfusion.metrics.agreement import MaskAgreement
from petctfusion.metrics.background import BackgroundThread
from PETCTFusionSegLib.i18n import _

from .live_events import EditObserver
from .live_pair import LivePair, MakeEngine, PairState
from .live_source import SegmentSource, Source, VolumeSource
from .reference_segment import referenceSegment
from .rejected import contourIds

ALL_SEGMENTS = "All segments"
SCENE_CLOSED = "The scene was closed."
_JOINED = (ALL_SEGMENTS,)


@dataclass(frozen=True)
class LiveRow:
    """One pair as it is now; `numbers` is None unless it is current."""

    name: str
    referenceName: str
    state: PairState
    sentence: str
    numbers: MaskAgreement | None
    volume_ml: float | None
    note: str
    pair: LivePair


class LiveComparisons:
    """All segments of one segmentation against a reference; one instance serves one view after another.

    `changed` is called once when something waits for `flush` (start a 0-ms timer there). While `busy`, call `poll` now
    and then: it gives the background thread time and says whether numbers arrived.
    """

    def __init__(
        self, scene: Any, changed: Callable[[], None] | None = None, *, makeEngine: MakeEngine | None = None
    ) -> None:
        self._scene = scene
        self._changed = changed
        self._makeEngine = makeEngine
        self._observer = EditObserver(self._onEdit, self._onSceneClosed)
        self._thread = BackgroundThread()
        self._pairs: dict[tuple[str, ...], LivePair] = {}
        self._nodes: tuple[Any, Any] = (None, None)
        self._mapping: Mapping[str, str] | None = None
        self._waiting = False
        self._computing: set[tuple[str, ...]] = set()
        self.sentence = ""
        """Why there are no rows; empty when there are."""

    def follow(self, prediction: Any, reference: Any, mapping: Mapping[str, str] | None = None) -> None:
        """Compare every segment of `prediction` with `reference` from now on, and compute.

        `reference` is a segmentation or a label map volume: the segment of it that `chooseReferenceSegment` chose, else
        the one of the same name, else all of it joined. `mapping` (names or ids of predicted segments to those of the
        reference) compares the named pairs only; then both may be in one segmentation. Raises `BadInputError` when
        there is nothing that can be compared.
        """
        self.stop()
        _requireKinds(prediction, reference, mapping)
        self._nodes, self._mapping = (prediction, reference), mapping
        self._observer.watch(self._scene, prediction, reference)
        self._updatePairs()
        self.flush()

    @property
    def active(self) -> bool:
        """True while something is followed."""
        return self._nodes[0] is not None

    @property
    def busy(self) -> bool:
        """True while numbers are being computed in the background, or have arrived and no `poll` has said so yet."""
        return bool(self._computing) or any(pair.state == "computing" for pair in self._pairs.values())

    @property
    def waiting(self) -> bool:
        """True when edits wait for `flush`."""
        return self._waiting

    def flush(self, forced: bool = False) -> bool:
        """Take up all edits since the last call; True when a number or a state changed. `forced` looks everywhere."""
        self._waiting = False
        if not self.active:
            return False
        added = self._updatePairs()
        refreshed = [pair.refresh(forced) for pair in self._pairs.values()]
        return self._arrived() or added or any(refreshed)

    def poll(self, timeout_s: float = 0.0) -> bool:
        """Let the background work for up to `timeout_s`; True when numbers arrived since the last call.

        The wait releases Python's lock: while an application's event loop sits in C++, no other thread may get it.
        """
        for pair in self._pairs.values():
            if pair.follower is not None and pair.state == "computing":
                pair.follower.wait(timeout_s)
                break
        return self._arrived()

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing is computed any more; False when the time was not enough."""
        return all(pair.follower is None or pair.follower.wait(timeout_s) for pair in self._pairs.values())

    def rows(self) -> list[LiveRow]:
        """One row a pair, in the order of the segments; the joined one last."""
        return [self._row(key, pair) for key, pair in self._pairs.items()]

    def stop(self) -> None:
        """Follow nothing any more."""
        self._observer.stop()
        for pair in self._pairs.values():
            pair.close()
        self._pairs = {}
        self._nodes = (None, None)
        self._computing = set()
        self._waiting = False
        self.sentence = ""

    def close(self, wait: bool = True) -> None:
        """Stop for good, and end the background thread; `wait` for what it is computing."""
        self.stop()
        self._thread.close(wait)

    def _row(self, key: tuple[str, ...], pair: LivePair) -> LiveRow:
        numbers = pair.numbers()
        volume = pair.volume_ml() if numbers is not None else None
        # The state is read after the numbers: they may arrive in between, and then simply are not shown yet.
        state: PairState = "current" if numbers is not None else pair.state
        state = "computing" if state == "current" and numbers is None else state
        return LiveRow(
            _name(pair.prediction, key[0]),
            _name(pair.reference, ""),
            state,
            pair.sentence,
            numbers,
            volume,
            pair.note,
            pair,
        )

    def _arrived(self) -> bool:
        now = {key for key, pair in self._pairs.items() if pair.state == "computing"}
        arrived = bool(self._computing - now)
        self._computing = now
        return arrived

    def _onEdit(self) -> None:
        if not self._waiting:
            self._waiting = True
            if self._changed is not None:
                self._changed()

    def _onSceneClosed(self) -> None:
        self.stop()
        self.sentence = SCENE_CLOSED
        if self._changed is not None:
            self._changed()

    def _updatePairs(self) -> bool:
        """Pairs for segments that came; those whose segments went stay, and say so."""
        wanted, before = self._wantedPairs(), set(self._pairs)
        for key, (prediction, reference) in wanted.items():
            if key not in self._pairs:
                self._pairs[key] = LivePair(prediction, reference, self._thread, self._makeEngine)
        # The joined row stays the last one, and goes when there is nothing to join any more.
        whole = self._pairs.pop(_JOINED, None)
        if whole is not None and _JOINED in wanted:
            self._pairs[_JOINED] = whole
        elif whole is not None:
            whole.close()
        return set(self._pairs) != before

    def _wantedPairs(self) -> dict[tuple[str, ...], tuple[Source, Source]]:
        prediction, reference = self._nodes
        if self._mapping is not None:
            chosen = [(_segmentId(prediction, a), _segmentId(reference, b)) for a, b in self._mapping.items()]
            known = [(a, b) for a, b in chosen if a and b]
            return {(a, b): (SegmentSource(prediction, [a]), SegmentSource(reference, [b])) for a, b in known}
        pairs: dict[tuple[str, ...], tuple[Source, Source]] = {}
        names = _names(prediction)
        for segmentId, name in names.items():
            # What a segment was first compared with stays its reference, also when that is renamed or removed.
            old = self._pairs.get((segmentId,))
            pairs[segmentId,] = (
                SegmentSource(prediction, [segmentId]),
                old.reference if old is not None else _referenceFor(reference, name),
            )
        if len(names) > 1:
            pairs[_JOINED] = (SegmentSource(prediction), _referenceFor(reference, None))
        return pairs


def sourcesOf(prediction: Any, reference: Any, segmentId: str = "") -> tuple[Source, Source]:
    """What a row compares: a segment (all of them without an id) with the reference's of that name, or with all of it.

    Raises `BadInputError` when there is nothing that can be compared.
    """
    _requireKinds(prediction, reference, None)
    name = _names(prediction).get(segmentId)
    if segmentId and name is None:
        raise BadInputError(
            _('The segmentation "{name}" has no segment "{segment}".').format(
                name=prediction.GetName(), segment=segmentId
            ),
            _("Choose a segment that exists."),
        )
    return SegmentSource(prediction, [segmentId] if segmentId else None), _referenceFor(reference, name)


def _referenceFor(reference: Any, name: str | None) -> Source:
    """The reference's chosen segment, otherwise the one of this name, otherwise all of the reference."""
    if not reference.IsA("vtkMRMLSegmentationNode"):
        return VolumeSource(reference)
    chosen = referenceSegment(reference)
    if chosen:
        return SegmentSource(reference, [chosen])
    same = [key for key, other in _names(reference).items() if name is not None and other.casefold() == name.casefold()]
    return SegmentSource(reference, same[:1]) if same else SegmentSource(reference)


def _requireKinds(prediction: Any, reference: Any, mapping: Mapping[str, str] | None) -> None:
    if prediction is None or not prediction.IsA("vtkMRMLSegmentationNode"):
        raise BadInputError(_("There is no segmentation to compare."), _("Segment a study, or choose a segmentation."))
    if reference is None or not (
        reference.IsA("vtkMRMLSegmentationNode") or (reference.IsA("vtkMRMLScalarVolumeNode") and mapping is None)
    ):
        raise BadInputError(_("The reference contour is missing."), _("Choose a segmentation or a label map volume."))
    if prediction is reference and mapping is None:
        raise BadInputError(
            _('"{name}" cannot be compared with itself.').format(name=prediction.GetName()),
            _("Choose another reference, or say which of its segments belong together."),
        )
    for node, names in ((prediction, list(mapping or {})), (reference, list((mapping or {}).values()))):
        for name in names:
            if not _segmentId(node, name):
                raise BadInputError(
                    _('The segmentation "{name}" has no segment "{segment}".').format(
                        name=node.GetName(), segment=name
                    ),
                    _("Choose a segment that exists."),
                )


def _names(node: Any) -> dict[str, str]:
    segmentation = node.GetSegmentation()
    return {str(key): str(segmentation.GetSegment(key).GetName()) for key in contourIds(node)}


def _segmentId(node: Any, nameOrId: str) -> str:
    names = _names(node)
    return nameOrId if nameOrId in names else next((key for key, name in names.items() if name == nameOrId), "")


def _name(source: Source, joinedName: str) -> str:
    """What a person calls the mask."""
    if isinstance(source, SegmentSource):
        return source.title or joinedName or str(source.node.GetName())
    return str(source.node.GetName())
