"""A blocking client on `subprocess`, for the command line and for scripts. Imports no torch."""

from __future__ import annotations

import contextlib
import math
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import SimpleITK as sitk

from petctfusion.errors import CancelledError, FusionError, WorkerError
from petctfusion.inference.options import SegmentOptions
from petctfusion.worker.launch import worker_command, worker_environment
from petctfusion.worker.processes import end_tree
from petctfusion.worker.protocol import Failure, Progress, Ready, Result
from petctfusion.worker.session import Explained, Segmented, SessionEvent, Transport, WorkerSession

OnProgress = Callable[[Progress], None]
OnEvent = Callable[[SessionEvent], None]
_START_SECONDS = 120.0
_FORCE_SECONDS = 2.0
_LOG_LINES = 400
_POLL_SECONDS = 0.5


class WorkerClient:
    """One worker process, started when first needed, kept warm, started again when it died.

    `prefix` runs it elsewhere (see `launch.worker_command`); `transport` fixes how arrays travel, `None` negotiates.
    `on_event` receives every event, in the thread that waits for the answer. `on_note` receives sentences for the user,
    such as that the worker was restarted. `log` is a text stream for what the worker prints; its last lines are kept
    in `log_tail` anyway. `cancel` may be called from any thread; the other
    methods belong to one. Use it in a `with` block: leaving it ends the worker and removes every file.
    """

    def __init__(
        self,
        python: str | None = None,
        prefix: Sequence[str] = (),
        transport: Transport | None = None,
        environment: Mapping[str, str] | None = None,
        exchange_root: Path | None = None,
        on_event: OnEvent | None = None,
        on_note: Callable[[str], None] | None = None,
        log: IO[str] | None = None,
    ) -> None:
        self._command = worker_command(python, prefix)
        self._environment = worker_environment(environment)
        self._on_event = on_event
        self._on_note = on_note
        self._log = log
        self._lines: deque[str] = deque(maxlen=_LOG_LINES)
        self._lock = threading.RLock()
        self._write_lock = threading.Lock()
        self._events: queue.Queue[SessionEvent] = queue.Queue()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._forced = False
        self._has_died = False
        self._session = WorkerSession(self._events.put, transport, exchange_root)

    def __enter__(self) -> WorkerClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process that was started, None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        """True while the worker's process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_tail(self) -> str:
        """The last lines that the worker printed."""
        return "\n".join(self._lines)

    @property
    def exchange_folder(self) -> Path:
        """Where this client and its worker exchange arrays."""
        return self._session.exchange.folder

    def start(self) -> dict[str, Any]:
        """Starts the worker if it does not run; returns what it says of itself (versions, devices, transport).

        Raises `WorkerError` when it does not start or does not speak.
        """
        if self.is_running and self._session.worker:
            return self._session.worker
        self._collect()
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                start_new_session=sys.platform != "win32",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            raise WorkerError(
                f"The background worker cannot be started: {error.strerror} ({self._command[0]}).",
                "Check the Python that runs it, or the command prefix.",
            ) from error
        self._process, self._forced = process, False
        self._reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._reader.start()
        threading.Thread(target=self._read_log, args=(process,), daemon=True).start()
        if self._has_died:
            self._note("The background worker had ended and was started again.")
            self._has_died = False
        self._answer(self._send(self._session.hello), None, _START_SECONDS)
        return self._session.worker

    def load(self, model: str | Path, device: str = "auto") -> dict[str, Any]:
        """Loads a model ahead of the first run. Raises what `segment` raises."""
        self.start()
        answer = self._answer(self._send(lambda: self._session.load(model, device)), None)
        assert isinstance(answer, Result)
        return answer.values

    def segment(
        self,
        volumes: Mapping[str, sitk.Image],
        model: str | Path,
        options: SegmentOptions | None = None,
        on_progress: OnProgress | None = None,
    ) -> Segmented:
        """Segments a study (see `WorkerSession.segment`) and waits for it.

        Raises the `FusionError` that the worker answered; `WorkerError` when it died, `CancelledError` after `cancel`.
        """
        self.start()
        answer = self._answer(self._send(lambda: self._session.segment(volumes, model, options)), on_progress)
        assert isinstance(answer, Segmented)
        return answer

    def explain(
        self,
        volumes: Mapping[str, sitk.Image],
        model: str | Path,
        options: SegmentOptions | None = None,
        on_progress: OnProgress | None = None,
    ) -> Explained:
        """As `segment`, with the maps of `WorkerSession.explain`."""
        self.start()
        answer = self._answer(self._send(lambda: self._session.explain(volumes, model, options)), on_progress)
        assert isinstance(answer, Explained)
        return answer

    def cancel(self) -> None:
        """Cancels what runs: kindly at once, by force after two seconds."""
        with self._lock:
            target = self._session.running
            if target is None:
                return
            process = self._process
        self._send(self._session.cancel)
        timer = threading.Timer(_FORCE_SECONDS, self._force, (target, process))
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """Ends the worker, by force after two seconds, and removes the exchange folder."""
        process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(WorkerError):
                if self._session.running is None:
                    self._send(self._session.bye)
            with contextlib.suppress(OSError):
                # The end of its input ends the worker even while it computes.
                assert process.stdin is not None
                process.stdin.close()
            try:
                process.wait(_FORCE_SECONDS)
            except subprocess.TimeoutExpired:
                end_tree(process)
                process.wait()
        self._process = None
        self._session.close()

    def _send(self, request: Callable[[], bytes]) -> int:
        """Writes one request and returns its id."""
        with self._lock:
            data = request()
            number = self._session.last_id
            process = self._process
        if process is None or process.stdin is None:
            raise WorkerError("The background worker does not run.", "Start the run again.")
        with self._write_lock, contextlib.suppress(OSError, ValueError):
            # A broken pipe is told by the reading thread, with the reason.
            process.stdin.write(data)
            process.stdin.flush()
        return number

    def _answer(self, number: int, on_progress: OnProgress | None, timeout_s: float | None = None) -> SessionEvent:
        """Waits for the answer to request `number`, passing its progress on. Raises the error that it is."""
        deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while True:
            try:
                event = self._events.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                self._fail_if_dead()
                if time.monotonic() > deadline:
                    self._end_by_force()
                continue
            if self._on_event is not None:
                self._on_event(event)
            if isinstance(event, Ready) or getattr(event, "id", None) not in (number, 0, -1):
                continue
            if self._on_event is not None:
                self._on_event(event)
            if isinstance(event, Progress):
                if event.note:
                    self._note(event.note)
                if on_progress is not None:
                    on_progress(event)
            elif isinstance(event, Failure):
                if self._forced:
                    raise CancelledError("The run was cancelled; the worker had to be ended by force.")
                raise self._with_last_words(event)
            elif isinstance(event, (Result, Segmented)):
                return event

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """The reading thread of one process, to its end."""
        assert process.stdout is not None
        with process.stdout as stdout:
            while data := os.read(stdout.fileno(), 1 << 20):
                with self._lock:
                    self._session.feed(data)
        code = process.wait()
        with self._lock:
            if process is self._process:
                self._has_died = True
                self._session.process_ended(code)

    def _read_log(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        with process.stderr as stderr:
            for line in stderr:
                text = line.decode("utf-8", "replace").rstrip()
                self._lines.append(text)
                if self._log is not None:
                    with contextlib.suppress(OSError, ValueError):
                        print(text, file=self._log, flush=True)

    def _force(self, target: int, process: subprocess.Popen[bytes] | None) -> None:
        with self._lock:
            if self._session.running != target or process is None or process is not self._process:
                return
            self._forced = True
        end_tree(process)

    def _fail_if_dead(self) -> None:
        """A request that was sent just after its process had died fails too."""
        if self._reader is None or self._reader.is_alive():
            return
        with self._lock:
            self._session.process_ended(None if self._process is None else self._process.poll())

    def _end_by_force(self) -> None:
        if self._process is not None:
            end_tree(self._process)
            self._process.wait()

    def _collect(self) -> None:
        """Waits for what a dead process left to say, so that it is not taken for its successor's."""
        self._end_by_force()
        if self._reader is not None:
            self._reader.join(_FORCE_SECONDS)
        while not self._events.empty():
            self._events.get_nowait()

    def _note(self, sentence: str) -> None:
        if self._on_note is not None:
            self._on_note(sentence)

    def _with_last_words(self, failure: Failure) -> FusionError:
        """The error of a failure; when nothing ever came from the worker, its last printed line says why."""
        if failure.kind == "internal" and not self._session.worker and self._lines:
            last = next((line for line in reversed(self._lines) if line.strip()), "")
            return WorkerError(failure.message, f"The last line it printed: {last}")
        return failure.error()
