"""The worker behind a QProcess: started when needed, kept warm, cancelled, killed, started again, never waited for."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import SimpleITK as sitk

from petctfusion.errors import CancelledError, WorkerError
from petctfusion.inference.options import SegmentOptions
from petctfusion.models import InstalledModel
from petctfusion.worker import protocol
from petctfusion.worker.session import Segmented, SessionEvent, WorkerSession

from .inputs import StudyImages
from .interpreter import Interpreter, findInterpreter, workerEnvironment
from .parameters import MachineSettings
from .progress import Progress

log = logging.getLogger("PETCTFusionSeg.worker")

CANCEL_GRACE_MS = 2000
_FAILED_TO_START = 0
_CRASH_EXIT = 1


@dataclass(frozen=True)
class RunResult:
    """What a run brought: the label image in world space, where it comes from, and what changed on the way."""

    labels: sitk.Image
    provenance: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class WorkerRunner:
    """Runs one study at a time. The callbacks come on the main thread, from the event loop."""

    def __init__(
        self,
        onProgress: Callable[[Progress], None],
        onResult: Callable[[RunResult], None],
        onError: Callable[[BaseException], None],
        onNote: Callable[[str], None],
        onDevices: Callable[[list[dict[str, Any]]], None],
    ) -> None:
        import qt

        self._onProgress = onProgress
        self._onResult = onResult
        self._onError = onError
        self._onNote = onNote
        self._onDevices = onDevices
        self._process: Any = None
        self._session: WorkerSession | None = None
        self._interpreter: Interpreter | None = None
        self._machine = MachineSettings()
        self._request: int | None = None
        self._cancelled = False
        self._workerPid = 0
        self._units = ""
        self._errorText = b""
        self._forceTimer = qt.QTimer()
        self._forceTimer.setSingleShot(True)
        self._forceTimer.setInterval(CANCEL_GRACE_MS)
        self._forceTimer.connect("timeout()", self._force)

    @property
    def busy(self) -> bool:
        """True from `run` until its result or error was told."""
        return self._request is not None

    @property
    def warm(self) -> bool:
        """True when a worker is up, so that the next run starts at once."""
        return self._process is not None and self._workerPid != 0

    @property
    def workerPid(self) -> int:
        """The worker's own process id (not that of a launcher in front of it), 0 while there is none."""
        return self._workerPid

    def run(self, images: StudyImages, model: InstalledModel, machine: MachineSettings) -> None:
        """Segment a study. Raises `DeviceError` or `OutputError` when it cannot even be started."""
        if self.busy:
            raise WorkerError("A run is under way.", "Cancel it, or wait until it is done.")
        self._machine = machine
        interpreter = findInterpreter(machine.python)
        if self._process is not None and interpreter != self._interpreter:
            self.shutdown()
        if self._session is None:
            self._session = WorkerSession(on_event=self._onEvent)
        started = self._process is not None
        if not started:
            self._startProcess(interpreter)
        self._cancelled = False
        self._units = images.petUnits
        options = SegmentOptions(device=machine.device)
        request = self._session.segment({"CT": images.ct, "PET": images.pet}, model.folder, options)
        self._request = self._session.last_id
        self._process.write(request)

    def cancel(self) -> None:
        """Ask the worker to stop; after two seconds, or when asked twice, it is killed with its children."""
        if not self.busy or self._session is None:
            return
        if self._cancelled:
            self._force()
            return
        self._cancelled = True
        self._process.write(self._session.cancel(self._request))
        self._forceTimer.start()

    def shutdown(self) -> None:
        """End the worker now and remove its files; nothing is reported any more."""
        self._forceTimer.stop()
        process, self._process = self._process, None
        self._request = None
        if process is not None:
            self._endTree(process)
            process.waitForFinished(2000)
            process.deleteLater()
        if self._session is not None:
            self._session.close()
        self._session = None
        self._workerPid = 0

    # --- the process

    def _startProcess(self, interpreter: Interpreter) -> None:
        import qt

        process = qt.QProcess()
        process.setProcessEnvironment(workerEnvironment(interpreter.external))
        process.connect("readyReadStandardOutput()", self._onOutput)
        process.connect("readyReadStandardError()", self._onErrorOutput)
        process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._onProcessError)
        self._interpreter = interpreter
        self._workerPid = 0
        self._process = process
        assert self._session is not None
        process.start(interpreter.program, ["-m", "petctfusion.worker"])
        # Written before the process is up, both wait in QProcess's buffer.
        process.write(self._session.hello())

    def _onOutput(self) -> None:
        if self._process is not None and self._session is not None:
            self._session.feed(self._process.readAllStandardOutput().data())

    def _onErrorOutput(self) -> None:
        """What libraries print goes to the log, line by line; a rest without an end waits for it."""
        if self._process is None:
            return
        *lines, self._errorText = (self._errorText + self._process.readAllStandardError().data()).split(b"\n")
        for line in lines:
            log.info("%s", line.decode("utf-8", "replace"))

    def _onProcessError(self, error: int) -> None:
        """Only a failed start is handled here: it never emits `finished`, everything else does."""
        if error != _FAILED_TO_START or self._process is None or self._session is None:
            return
        program = self._interpreter.program if self._interpreter is not None else ""
        self._dropProcess()
        request, self._request = self._request, None
        self._session.process_ended(None)
        if request is not None:
            self._onError(
                WorkerError(f'The worker could not be started with "{program}".', "Check the Python in the panel.")
            )

    def _onFinished(self, code: int, status: int) -> None:
        if self._process is None or self._session is None:
            return
        self._onOutput()
        interrupted = self.busy and not self._cancelled
        wasWarm, interpreter = self.warm, self._interpreter
        self._dropProcess()
        self._session.process_ended(-code if status == _CRASH_EXIT else code)
        # A worker that never came up would only fail again.
        if interrupted and wasWarm and interpreter is not None:
            self._startProcess(interpreter)
            self._onNote("The worker has been started again; press Apply to repeat the run.")

    def _dropProcess(self) -> None:
        self._forceTimer.stop()
        process, self._process = self._process, None
        self._workerPid = 0
        process.deleteLater()

    def _force(self) -> None:
        if self._process is not None:
            self._endTree(self._process)

    def _endTree(self, process: Any) -> None:
        """The worker leads its own process group, so its children go with it; the launcher in front of it too."""
        if self._workerPid and sys.platform == "win32":
            command = ["taskkill", "/T", "/F", "/PID", str(self._workerPid)]
            subprocess.run(command, capture_output=True, check=False, creationflags=subprocess.CREATE_NO_WINDOW)
        elif self._workerPid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._workerPid, signal.SIGKILL)
        process.kill()

    # --- what the worker says

    def _onEvent(self, event: SessionEvent) -> None:
        if isinstance(event, protocol.Ready):
            self._workerPid = event.pid
        elif isinstance(event, protocol.Ignored):
            log.info("%s", event.text)
        elif isinstance(event, protocol.Failure):
            self._onFailure(event)
        elif isinstance(event, protocol.Result) and event.request == "hello":
            self._onDevices(event.values.get("devices", []))
        elif getattr(event, "id", None) != self._request:
            return
        elif isinstance(event, protocol.Progress):
            if event.note:
                log.info("%s", event.note)
            if not self._cancelled:
                self._onProgress(Progress(event.done, event.total, event.stage, event.eta_s))
        elif isinstance(event, Segmented):
            self._finish()
            if self._cancelled:
                self._onError(CancelledError("The run was cancelled."))
            else:
                self._onResult(RunResult(event.labels, self._provenance(event), event.notes))

    def _onFailure(self, failure: protocol.Failure) -> None:
        if failure.id == self._request:
            self._finish()
            self._onError(CancelledError("The run was cancelled.") if self._cancelled else failure.error())
        elif failure.kind != "cancelled":
            log.warning("%s %s", failure.message, failure.hint)

    def _finish(self) -> None:
        self._request = None
        self._forceTimer.stop()

    def _provenance(self, event: Segmented) -> dict[str, str]:
        return {
            "Device": event.device,
            "Seconds": f"{event.seconds:.1f}",
            "Date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "PETUnits": self._units,
        }
