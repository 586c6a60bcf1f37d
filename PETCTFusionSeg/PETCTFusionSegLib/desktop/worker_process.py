"""The worker behind a `QProcess`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from petctfusion.worker.launch import worker_environment
from PETCTFusionSegLib.workbench.interpreter import Interpreter
from PETCTFusionSegLib.workbench.runner import WorkerRunner
from PETCTFusionSegLib.workbench.worker_process import ProcessEvents

from .widgets import makeTimer

FAILED_TO_START = 0
_CRASH_EXIT = 1
_END_MS = 2000


def makeRunner(onNote: Callable[[str], None], onDevices: Callable[[list[dict[str, Any]]], None]) -> WorkerRunner:
    """A runner on the application's event loop."""
    return WorkerRunner(onNote, onDevices, QtProcess, makeTimer)


class QtProcess:
    """A `WorkerProcess`."""

    def __init__(self, events: ProcessEvents) -> None:
        import qt

        self._events = events
        self._process: Any = qt.QProcess()
        self._process.connect("readyReadStandardOutput()", self._onOutput)
        self._process.connect("readyReadStandardError()", self._onErrorOutput)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._onError)

    def start(self, interpreter: Interpreter, *arguments: str) -> None:
        """Run the Python with these arguments."""
        self._process.setProcessEnvironment(workerEnvironment(interpreter.external))
        self._process.start(interpreter.program, interpreter.command(*arguments))

    def write(self, data: bytes) -> None:
        """Before the process is up, it waits in QProcess's buffer."""
        if self._process is not None:
            self._process.write(data)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End it if it still runs, and forget it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.waitForFinished(_END_MS)
            process.deleteLater()

    def _onOutput(self) -> None:
        if self._process is not None:
            self._events.onOutput(self._process.readAllStandardOutput().data())

    def _onErrorOutput(self) -> None:
        if self._process is not None:
            self._events.onErrorOutput(self._process.readAllStandardError().data())

    def _onError(self, error: int) -> None:
        """Only a failed start is told here: it never emits `finished`, everything else does."""
        if error == FAILED_TO_START and self._process is not None:
            self._events.onFailedToStart()

    def _onFinished(self, code: int, status: int) -> None:
        self._onOutput()
        if self._process is not None:
            self._events.onFinished(-code if status == _CRASH_EXIT else code)


def workerEnvironment(external: bool) -> Any:
    """A `QProcessEnvironment` with the library on the path.

    Slicer's own PYTHONHOME, PYTHONPATH and LD_LIBRARY_PATH break every other Python, so an external one gets the
    environment from before Slicer started.
    """
    import qt
    import slicer

    base = slicer.util.startupEnvironment() if external else dict(os.environ)
    environment = qt.QProcessEnvironment()
    for name, value in worker_environment(base).items():
        environment.insert(name, value)
    return environment
