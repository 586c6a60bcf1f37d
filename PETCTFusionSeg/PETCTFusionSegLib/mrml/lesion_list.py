"""The lesions of one segment, kept current through every way of editing.

events --coalesced--> flush: fingerprints --copies of what changed--> background thread --> poll
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import SimpleITK as sitk

from petctfusion.errors import FusionError
from petctfusion.metrics.background import BackgroundThread
from PETCTFusionSegLib.i18n import _

from .lesion_rows import LesionRow, SegmentCopy, copySegment, measureLesions
from .live_events import EditObserver
from .live_source import SegmentSource, VolumeSource
from .rejected import rejectedSegmentOf
from .suv_scale import SuvScale, suvScale
from .volumes import imageFromVolumeNode, petUnitsOfNode


@dataclass(frozen=True)
class PetCopy:
    """The PET as it was, and how its values become SUV; both None when there are volumes only, and why."""

    image: sitk.Image | None = None
    scale: SuvScale | None = None
    sentence: str = ""


def copyPet(petNode: Any) -> PetCopy:
    """Read the PET node, or say why there can be volumes only."""
    if petNode is None:
        return PetCopy(sentence=_("Volumes only: no PET is chosen."))
    try:
        return PetCopy(imageFromVolumeNode(petNode), suvScale(petNode))
    except FusionError as error:
        return PetCopy(sentence=_("Volumes only: {reason}").format(reason=error))


def measuredRows(copies: list[SegmentCopy], pet: PetCopy) -> tuple[list[LesionRow], str]:
    """The lesions, and why they have no uptake (empty when they have): headers may turn out to give no SUV."""
    try:
        return measureLesions(copies, pet.image, pet.scale), pet.sentence
    except FusionError as error:
        return measureLesions(copies, None, None), _("Volumes only: {reason}").format(reason=error)


class LesionList:
    """Follows one segment and one PET. `changed` is called once when something waits for `flush`.

    While `busy`, call `poll` now and then. Nodes are touched by the caller's thread only.
    """

    def __init__(self, scene: Any, changed: Callable[[], None] | None = None) -> None:
        self._scene = scene
        self._changed = changed
        self._observer = EditObserver(self._onEdit, self.stop)
        self._thread = BackgroundThread("lesions")
        self._nodes: tuple[Any, str, Any] = (None, "", None)
        self._seen: tuple[Any, ...] | None = None
        self._petSeen: tuple[Any, ...] | None = None
        self._pet = PetCopy()
        self._waiting = False
        self._job: _Job | None = None
        self.rows: list[LesionRow] = []
        """Largest first, rejected ones included; those of before while `busy`."""
        self.sentence = ""
        """Why there is no uptake, or no list at all; empty when all is well."""

    @property
    def followed(self) -> tuple[Any, str, Any]:
        """Segmentation (or None), segment id and PET (or None)."""
        return self._nodes

    @property
    def busy(self) -> bool:
        """True while lesions are being measured, or edits wait for `flush`."""
        return self._job is not None or self._waiting

    def follow(self, segmentation: Any, segmentId: str, pet: Any) -> None:
        """List the lesions of this segment from now on; segmentation None: of nothing."""
        self.stop()
        if segmentation is None:
            return
        self._nodes = (segmentation, segmentId, pet)
        self._observer.watch(self._scene, segmentation, pet)
        self.flush()

    def flush(self) -> bool:
        """Take up all edits since the last call; True when the rows changed already, without a `poll`."""
        self._waiting = False
        segmentation, segmentId, pet = self._nodes
        if segmentation is None:
            return False
        if SegmentSource(segmentation, [segmentId]).gone:
            self.stop()
            return True
        if pet is not None and VolumeSource(pet).gone:
            pet = None
        petSeen = (VolumeSource(pet).fingerprint(), petUnitsOfNode(pet)) if pet is not None else ()
        rejected = rejectedSegmentOf(segmentation, segmentId)
        ids = [segmentId, rejected] if rejected else [segmentId]
        seen = (petSeen, *SegmentSource(segmentation, ids).fingerprint())
        if seen == self._seen:
            return False
        if petSeen != self._petSeen:
            self._pet = copyPet(pet)
        self._seen, self._petSeen = seen, petSeen
        try:
            self._job = _Job(copySegment(segmentation, segmentId), self._pet)
        except FusionError as error:
            self._job, self.rows, self.sentence = None, [], str(error)
            return True
        self._thread.submit("lesions", self._job.run)
        return False

    def poll(self, timeout_s: float = 0.0) -> bool:
        """Give the background up to `timeout_s`; True when new rows are there."""
        job = self._job
        if job is None or not job.done.wait(timeout_s):
            return False
        self._job = None
        self.rows, self.sentence = job.rows, job.sentence
        return True

    def stop(self) -> None:
        """Follow nothing any more."""
        self._observer.stop()
        self._nodes = (None, "", None)
        self._seen = self._petSeen = self._job = None
        self._pet = PetCopy()
        self._waiting = False
        self.rows, self.sentence = [], ""

    def close(self) -> None:
        """Stop for good, and end the background thread."""
        self.stop()
        self._thread.close()

    def _onEdit(self) -> None:
        if not self._waiting:
            self._waiting = True
            if self._changed is not None:
                self._changed()


class _Job:
    """One measurement; a thread must not raise, so what goes wrong becomes the sentence."""

    def __init__(self, copies: list[SegmentCopy], pet: PetCopy) -> None:
        self._copies, self._pet = copies, pet
        self.done = threading.Event()
        self.rows: list[LesionRow] = []
        self.sentence = ""

    def run(self) -> None:
        """Measure, in the background thread."""
        try:
            self.rows, self.sentence = measuredRows(self._copies, self._pet)
        except Exception as error:
            self.sentence = _("The lesions could not be measured: {error}.").format(error=error)
        finally:
            self.done.set()
