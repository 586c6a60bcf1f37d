"""What the runner asks of a process, wherever the event loop comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .interpreter import Interpreter


@dataclass(frozen=True)
class ProcessEvents:
    """Who is told what a process does; all calls come on the main thread, from the event loop."""

    onOutput: Callable[[bytes], None]
    """What it wrote to its standard output, in pieces of any size."""
    onErrorOutput: Callable[[bytes], None]
    onFinished: Callable[[int], None]
    """It has ended, after its last output: the exit code, or minus the number of the signal that killed it."""
    onFailedToStart: Callable[[], None]
    """It never began; nothing else is told."""


class WorkerProcess(Protocol):
    """One process, started once."""

    def start(self, interpreter: Interpreter, *arguments: str) -> None:
        """Run the Python with these arguments, and the library on its path. Returns at once."""

    def write(self, data: bytes) -> None:
        """Send to its standard input; waits in a buffer while the process is not up yet. Never blocks."""

    def kill(self) -> None:
        """End it at once; `onFinished` follows."""

    def close(self) -> None:
        """End it if it still runs, wait for that a moment, and tell nobody any more."""


MakeProcess = Callable[[ProcessEvents], WorkerProcess]
