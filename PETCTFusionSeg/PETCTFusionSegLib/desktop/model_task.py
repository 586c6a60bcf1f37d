"""Long work on models (add, verify, download) in a process of its own: progress, cancel, one sentence at the end.

It is the command line's own `petctfusion models`, on a leash: it ends with its stdin, whatever launcher is in between.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from petctfusion.errors import FusionError, ModelError, WorkerError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.interpreter import localInterpreter

from .widgets import makeTimer
from .worker_process import FAILED_TO_START, workerEnvironment

log = logging.getLogger("PETCTFusionSeg.models")

_GRACE_MS = 2000
_PERCENT = re.compile(r"(\d+) %")


@dataclass(frozen=True)
class TaskListener:
    """Who is told: every line that it prints (with its percentage, or None), then either the answer or the error."""

    onLine: Callable[[str, int | None], None]
    onDone: Callable[[Any], None]
    onError: Callable[[FusionError], None]


class ModelTask:
    """Runs one `petctfusion models` command at a time; the callbacks come on the main thread."""

    def __init__(self) -> None:
        self._process: Any = None
        self._listener: TaskListener | None = None
        self._output = b""
        self._errors = b""
        self._timer = makeTimer(_GRACE_MS, True, self._kill)

    @property
    def busy(self) -> bool:
        """True from `start` until the end was told."""
        return self._process is not None

    def start(self, arguments: Sequence[str], python: str, listener: TaskListener) -> None:
        """`petctfusion models <arguments>`. Raises `DeviceError` for a Python that is not there."""
        import qt

        if self.busy:
            raise WorkerError(_("Another model is being worked on."), _("Wait until it is done, or cancel it."))
        interpreter = localInterpreter(python)
        process = qt.QProcess()
        process.setProcessEnvironment(workerEnvironment(interpreter.external))
        process.connect("readyReadStandardOutput()", self._onOutput)
        process.connect("readyReadStandardError()", self._onErrorOutput)
        process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._onProcessError)
        self._output = self._errors = b""
        self._listener, self._process = listener, process
        process.start(
            interpreter.program, interpreter.command("-m", "petctfusion.cli.leashed", "models", *arguments, "--json")
        )

    def cancel(self) -> None:
        """Let it end; nothing half-made stays, and a broken download is continued by the next one."""
        if self._process is not None:
            self._process.closeWriteChannel()
            self._timer.start()

    def shutdown(self) -> None:
        """End it now; nothing is told."""
        self._listener = None
        process = self._drop()
        if process is not None:
            process.closeWriteChannel()
            if not process.waitForFinished(_GRACE_MS):
                process.kill()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _onOutput(self) -> None:
        if self._process is not None:
            self._output += self._process.readAllStandardOutput().data()

    def _onErrorOutput(self) -> None:
        if self._process is None:
            return
        *lines, self._errors = (self._errors + self._process.readAllStandardError().data()).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace").strip()
            found = _PERCENT.search(text)
            if text and self._listener is not None:
                log.info("%s", text)
                self._listener.onLine(text, int(found.group(1)) if found else None)

    def _onFinished(self, code: int, _status: int) -> None:
        self._onOutput()
        self._onErrorOutput()
        listener, wasCancelled = self._listener, self._timer.isActive()
        self._drop()
        if listener is None:
            return
        answer = _answer(self._output)
        if code == 0 and answer is not None and not wasCancelled:
            listener.onDone(answer)
        elif wasCancelled:
            listener.onError(ModelError(_("Stopped.")))
        else:
            listener.onError(_failure(answer, code))

    def _onProcessError(self, error: int) -> None:
        """A failed start never emits `finished`; everything else does."""
        if error == FAILED_TO_START and self._process is not None:
            listener = self._listener
            self._drop()
            if listener is not None:
                listener.onError(WorkerError(_("Python could not be started."), _("Check the Python under Computer.")))

    def _drop(self) -> Any:
        self._timer.stop()
        process, self._process, self._listener = self._process, None, None
        if process is not None:
            process.deleteLater()
        return process


def _answer(output: bytes) -> Any:
    try:
        return json.loads(output)
    except ValueError:
        return None


def _failure(answer: Any, code: int) -> FusionError:
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        return ModelError(str(error.get("message", "")), str(error.get("hint", "")))
    return WorkerError(_("It ended without an answer (exit code {code}).").format(code=code), _("The log says more."))
