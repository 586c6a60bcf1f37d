"""The worker's end of the pipe: answers out, one at a time whatever thread they come from. Imports no torch."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from petctfusion.errors import FusionError
from petctfusion.worker import protocol
from petctfusion.worker.exchange import pack, write_array


class Channel:
    """Writes events to a file descriptor. A client that is gone ends the process: nobody is left to compute for."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def send(self, number: int, event: str, **values: Any) -> None:
        """One event."""
        self._write(protocol.encode({"id": number, "event": event, **values}))

    def fail(self, number: int, error: FusionError) -> None:
        """An expected error as an event."""
        self.send(number, "error", kind=error.kind, message=error.message, hint=error.hint)

    def ship(self, number: int, name: str, image: sitk.Image, folder: str | None) -> dict[str, Any]:
        """An image into the client's folder, or as a frame where there is none; returns its description."""
        array, description = pack(image)
        if folder is None:
            self._write(protocol.encode_frame({"id": number, "event": "frame", "name": name}, array.data))
            return description
        path = Path(folder) / f"result-{name}.npy"
        write_array(array, path)
        return {**description, "file": str(path)}

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        with self._lock:
            try:
                while view:
                    view = view[os.write(self._fd, view) :]
            except OSError:
                os._exit(0)


class Clock:
    """Seconds to go in one stage, from what it took so far."""

    def __init__(self) -> None:
        self._stage = ""
        self._started = time.perf_counter()

    def eta_s(self, stage: str, done: int, total: int) -> float | None:
        """None before the first step of a stage that has several."""
        now = time.perf_counter()
        if stage != self._stage:
            self._stage, self._started = stage, now if done == 0 else self._started
        if done == 0:
            self._started = now
            return None
        return round((now - self._started) / done * (total - done), 2)
