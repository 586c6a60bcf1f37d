"""The worker behind the session's event loop.

With threads, not with asyncio's own subprocesses: one of those that is closed while it starts keeps the loop for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import IO

from petctfusion.worker.launch import worker_environment
from PETCTFusionSegLib.workbench.interpreter import Interpreter
from PETCTFusionSegLib.workbench.worker_process import ProcessEvents

_PIECE = 1 << 16
# A child of a process that ended may hold its pipes open for ever.
_LAST_OUTPUT_S = 0.5
_END_S = 2.0


class AsyncioProcess:
    """A `WorkerProcess` in a process group of its own, whose events come from the running loop."""

    def __init__(self, events: ProcessEvents) -> None:
        self._events: ProcessEvents | None = events
        self._loop = asyncio.get_running_loop()
        self._process: subprocess.Popen[bytes] | None = None
        self._input: SimpleQueue[bytes | None] = SimpleQueue()

    def start(self, interpreter: Interpreter, *arguments: str) -> None:
        """Run the Python with these arguments."""
        command, pipe = [interpreter.program, *interpreter.command(*arguments)], subprocess.PIPE
        try:
            process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, env=worker_environment(), start_new_session=True
            )
        except OSError:
            self._loop.call_soon(self._tell, "onFailedToStart")
            return
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        _inThread(self._writeAll, process.stdin)
        readers = (
            _inThread(self._readAll, process.stdout, "onOutput"),
            _inThread(self._readAll, process.stderr, "onErrorOutput"),
        )
        _inThread(self._waitForEnd, process, readers)

    def write(self, data: bytes) -> None:
        """Send to its standard input; a thread waits until it takes them."""
        self._input.put(data)

    def kill(self) -> None:
        """End it and its children at once."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End it if it still runs, and tell nobody any more."""
        self._events = None
        self.kill()
        self._input.put(None)
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)

    def _tell(self, event: str, *values: object) -> None:
        if self._events is not None:
            getattr(self._events, event)(*values)

    # --- in threads

    def _send(self, event: str, value: object) -> None:
        # The loop may have ended before the process.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._tell, event, value)

    def _writeAll(self, stdin: IO[bytes]) -> None:
        # A process that has ended takes nothing any more; `onFinished` says so.
        with contextlib.suppress(OSError), stdin:
            while (data := self._input.get()) is not None:
                stdin.write(data)
                stdin.flush()

    def _readAll(self, pipe: IO[bytes], event: str) -> None:
        with pipe:
            while data := os.read(pipe.fileno(), _PIECE):
                self._send(event, data)

    def _waitForEnd(self, process: subprocess.Popen[bytes], readers: tuple[threading.Thread, ...]) -> None:
        code = process.wait()
        for reader in readers:
            reader.join(_LAST_OUTPUT_S)
        self._input.put(None)
        self._send("onFinished", code)


def _inThread(function: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, name="worker pipe", daemon=True)
    thread.start()
    return thread
