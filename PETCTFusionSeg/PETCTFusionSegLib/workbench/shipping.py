"""Volumes on their way to the worker: checked and written in a thread, so that Apply does not hold up the views.

On 400x400x300 voxels that took about two seconds on the main thread of a busy computer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from petctfusion.worker.session import Shipment, WorkerSession

from .inputs import StudyImages


class Shipping:
    """One request's volumes, under way from the moment this is made. `gather` must touch no node."""

    def __init__(self, session: WorkerSession, gather: Callable[[], StudyImages]) -> None:
        self.session = session
        self.number = session.reserve("segment")
        self.images: StudyImages | None = None
        self.shipment: Shipment | None = None
        self.error: Exception | None = None
        self._gather = gather
        self._thread = threading.Thread(target=self._run, name="shipping", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """True when `shipment` or `error` is there."""
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Until it is done: an application that ends must not leave the thread behind."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self.images = self._gather()
            self.shipment = self.session.ship(self.number, self.images.volumes)
        except Exception as error:
            self.error = error
