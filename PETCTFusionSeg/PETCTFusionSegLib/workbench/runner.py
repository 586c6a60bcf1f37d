"""The worker's process: started when needed, kept warm, cancelled, killed, started again, never waited for."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from petctfusion.errors import CancelledError, WorkerError
from petctfusion.inference.clicks import Click
from petctfusion.inference.maps import StudyMap
from petctfusion.inference.options import SegmentOptions
from petctfusion.models import InstalledModel
from petctfusion.worker import protocol
from petctfusion.worker.session import ClickGuide, Explained, Segmented, SessionEvent, Shipment, WorkerSession
from PETCTFusionSegLib.i18n import _

from .inputs import StudyImages
from .interpreter import Interpreter, findInterpreter
from .parameters import MachineSettings
from .progress import Progress
from .shipping import Shipping
from .timers import MakeTimer
from .worker_process import MakeProcess, ProcessEvents, WorkerProcess

log = logging.getLogger("PETCTFusionSeg.worker")

CANCEL_GRACE_MS = 2000
SHIPPING_MS = 5


@dataclass(frozen=True)
class RunResult:
    """What a run or a refinement brought: label map and probability (uint8, 255 = 1) in world space, their origin."""

    labels: sitk.Image
    probability: sitk.Image
    provenance: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    maps: tuple[StudyMap, ...] = ()


@dataclass(frozen=True)
class Guide:
    """A model that takes clicks, and what it needs of the study around one: CT in HU and PET in SUVbw."""

    model: InstalledModel
    volumes: Mapping[str, sitk.Image]


@dataclass(frozen=True)
class Listener:
    """Who is told how one request goes on; exactly one of `onResult` and `onError` is called, and it is the last."""

    onResult: Callable[[Any], None]
    """Gets a `RunResult`; for `probe` the answer's values."""
    onError: Callable[[BaseException], None]
    onProgress: Callable[[Progress], None] = lambda _progress: None


class WorkerRunner:
    """Answers one request at a time. All callbacks come on the main thread, from the event loop."""

    def __init__(
        self,
        onNote: Callable[[str], None],
        onDevices: Callable[[list[dict[str, Any]]], None],
        makeProcess: MakeProcess,
        makeTimer: MakeTimer,
    ) -> None:
        """`onNote` gets sentences about the worker itself, `onDevices` what `hello` said of the devices."""
        self._listener: Listener | None = None
        self._onNote = onNote
        self._onDevices = onDevices
        self._makeProcess = makeProcess
        self._process: WorkerProcess | None = None
        self._session: WorkerSession | None = None
        self._interpreter: Interpreter | None = None
        self._request: int | None = None
        self._cancelled = False
        self._workerPid = 0
        self._units = ""
        self._shipping: Shipping | None = None
        self._send: Callable[[Shipment], bytes] = lambda _shipment: b""
        self._errorText = b""
        self._shippingTimer = makeTimer(SHIPPING_MS, False, self._onShipping)
        self._forceTimer = makeTimer(CANCEL_GRACE_MS, True, self._force)

    @property
    def busy(self) -> bool:
        """True from `run` until its result or error was told."""
        return self._request is not None

    @property
    def warm(self) -> bool:
        """True when a worker is up, so that the next run starts at once."""
        return self._process is not None and self._workerPid != 0

    @property
    def facts(self) -> dict[str, Any]:
        """What the running worker said of itself: versions, devices; empty while there is none."""
        return self._session.worker if self._session is not None else {}

    @property
    def workerPid(self) -> int:
        """The worker's own process id (not that of a launcher in front of it), 0 while there is none."""
        return self._workerPid

    def run(
        self,
        gather: Callable[[], StudyImages],
        model: InstalledModel,
        machine: MachineSettings,
        listener: Listener,
        threshold: float | None = None,
        maps: bool = False,
    ) -> None:
        """Segment the study that `gather` gives in a thread, without touching a node; `threshold` None is the card's.

        `maps`: the result comes with maps of what the network looked at. Raises `DeviceError` or `OutputError` when no
        worker can be started; what `gather` raises goes to the listener.
        """
        options = SegmentOptions(device=machine.device, threshold=threshold)
        wanted = _named(model, machine)
        session = self._begin(machine, listener)
        self._shipping = Shipping(session, gather)
        self._request = self._shipping.number
        request = session.explain if maps else session.segment
        self._send = lambda shipment: request(shipment, wanted, options)
        self._shippingTimer.start()

    def refine(
        self,
        probability: sitk.Image,
        labels: sitk.Image,
        clicks: Sequence[Click],
        threshold: float,
        machine: MachineSettings,
        listener: Listener,
        value: int = 1,
        guide: Guide | None = None,
    ) -> None:
        """Correct the label `value` by clicks (points in LPS mm). With a guide its network answers the last of them.

        Raises as `run` does.
        """
        asked = None
        if guide is not None:
            asked = ClickGuide(_named(guide.model, machine), guide.volumes, machine.device)
        self._ask(machine, listener, lambda s: s.refine(probability, labels, clicks, threshold, value, asked))

    def probe(self, machine: MachineSettings, listener: Listener) -> None:
        """Try every device of the worker's computer. Raises as `run` does."""
        self._ask(machine, listener, lambda session: session.probe())

    def _ask(self, machine: MachineSettings, listener: Listener, request: Callable[[WorkerSession], bytes]) -> None:
        session = self._begin(machine, listener)
        message = request(session)
        self._request = session.last_id
        self._write(message)

    def _begin(self, machine: MachineSettings, listener: Listener) -> WorkerSession:
        """The session of a worker that is up or starting, for a request of this listener."""
        if self.busy:
            raise WorkerError(_("A run is under way."), _("Cancel it, or wait until it is done."))
        interpreter = findInterpreter(machine.python)
        if self._process is not None and interpreter != self._interpreter:
            self.shutdown()
        if self._session is None:
            self._session = WorkerSession(on_event=self._onEvent)
        if self._process is None:
            self._startProcess(interpreter)
        self._cancelled = False
        self._listener = listener
        return self._session

    def _onShipping(self) -> None:
        """The volumes are on the disk, or they cannot be used."""
        shipping = self._shipping
        if shipping is None or not shipping.done:
            return
        self._shippingTimer.stop()
        self._shipping = None
        if shipping.images is not None and shipping.shipment is not None:
            for note in shipping.images.notes:
                log.info("%s", note)
            self._units = shipping.images.petUnits
            self._write(self._send(shipping.shipment))
            return
        shipping.session.withdraw(shipping.number)
        listener = self._finish()
        if listener is not None and shipping.error is not None:
            listener.onError(shipping.error)

    def cancel(self) -> None:
        """Ask the worker to stop; after two seconds, or when asked twice, it is killed with its children."""
        if not self.busy or self._session is None:
            return
        if self._cancelled:
            self._force()
            return
        if self._shipping is not None:
            self._session.withdraw(self._shipping.number)
            listener = self._finish()
            if listener is not None:
                listener.onError(CancelledError(_("The run was cancelled.")))
            return
        self._cancelled = True
        self._write(self._session.cancel(self._request))
        self._forceTimer.start()

    def shutdown(self) -> None:
        """End the worker now and remove its files; nothing is reported any more."""
        process, self._process = self._process, None
        shipping = self._shipping
        self._finish()
        if process is not None:
            self._endTree(process)
            process.close()
        if shipping is not None:
            shipping.wait()
        if self._session is not None:
            self._session.close()
        self._session = None
        self._workerPid = 0

    # --- the process

    def _startProcess(self, interpreter: Interpreter) -> None:
        events = ProcessEvents(self._onOutput, self._onErrorOutput, self._onFinished, self._onFailedToStart)
        self._interpreter = interpreter
        self._workerPid = 0
        self._errorText = b""
        self._process = self._makeProcess(events)
        assert self._session is not None
        self._process.start(interpreter, "-m", "petctfusion.worker")
        self._process.write(self._session.hello())

    def _write(self, message: bytes) -> None:
        # Between a request and its volumes the process may have ended; the request has failed by then.
        if self._process is not None:
            self._process.write(message)

    def _onOutput(self, data: bytes) -> None:
        if self._session is not None:
            self._session.feed(data)

    def _onErrorOutput(self, data: bytes) -> None:
        """What libraries print goes to the log, line by line; a rest without an end waits for it."""
        *lines, self._errorText = (self._errorText + data).split(b"\n")
        for line in lines:
            log.info("%s", line.decode("utf-8", "replace"))

    def _onFailedToStart(self) -> None:
        if self._session is None:
            return
        program = self._interpreter.program if self._interpreter is not None else ""
        self._dropProcess()
        listener = self._finish()
        self._session.process_ended(None)
        if listener is not None:
            sentence = _('The worker could not be started with "{program}".').format(program=program)
            listener.onError(WorkerError(sentence, _("Check the Python under Computer.")))

    def _onFinished(self, code: int) -> None:
        if self._session is None:
            return
        interrupted = self.busy and not self._cancelled
        wasWarm, interpreter = self.warm, self._interpreter
        self._dropProcess()
        self._session.process_ended(code)
        # A worker that never came up would only fail again.
        if interrupted and wasWarm and interpreter is not None:
            self._startProcess(interpreter)
            self._onNote(_("The worker has been started again: please repeat that."))

    def _dropProcess(self) -> None:
        self._forceTimer.stop()
        process, self._process = self._process, None
        self._workerPid = 0
        if process is not None:
            process.close()

    def _force(self) -> None:
        if self._process is not None:
            self._endTree(self._process)

    def _endTree(self, process: WorkerProcess) -> None:
        """The worker leads its own process group, so its children go with it; the launcher in front of it too."""
        # Behind `ssh` it is another computer's id; there the worker ends with its stdin.
        isHere = self._interpreter is not None and not self._interpreter.remote
        if self._workerPid and isHere and sys.platform == "win32":
            command = ["taskkill", "/T", "/F", "/PID", str(self._workerPid)]
            subprocess.run(command, capture_output=True, check=False, creationflags=subprocess.CREATE_NO_WINDOW)
        elif self._workerPid and isHere:
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
            if not self._cancelled and self._listener is not None:
                self._listener.onProgress(Progress(event.done, event.total, event.stage, event.eta_s))
        elif isinstance(event, protocol.Result):
            listener = self._finish()
            if listener is not None:
                listener.onResult(event.values)
        elif isinstance(event, Segmented):
            listener = self._finish()
            if listener is not None and self._cancelled:
                listener.onError(CancelledError(_("The run was cancelled.")))
            elif listener is not None:
                maps = event.maps if isinstance(event, Explained) else ()
                result = RunResult(event.labels, event.probability, self._provenance(event), event.notes, maps)
                listener.onResult(result)

    def _onFailure(self, failure: protocol.Failure) -> None:
        if failure.id == self._request:
            listener = self._finish()
            if listener is not None:
                listener.onError(CancelledError(_("The run was cancelled.")) if self._cancelled else failure.error())
        elif failure.kind != "cancelled":
            log.warning("%s %s", failure.message, failure.hint)

    def _finish(self) -> Listener | None:
        """The request is over; gives who is to be told. A new one may be asked from that call."""
        listener, self._listener, self._request = self._listener, None, None
        self._shipping = None
        self._shippingTimer.stop()
        self._forceTimer.stop()
        return listener

    def _provenance(self, event: Segmented) -> dict[str, str]:
        return {
            "Device": event.device,
            "Seconds": f"{event.seconds:.1f}",
            "Date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "PETUnits": self._units,
        }


def _named(model: InstalledModel, machine: MachineSettings) -> Path | str:
    """The model as the worker finds it: a folder of this computer means nothing to another one."""
    return model.reference if findInterpreter(machine.python).remote else model.folder
