"""Tells a failure: one sentence and a hint on the terminal, the traceback in a log file."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import TextIO

from petctfusion.cli.exits import exit_code
from petctfusion.errors import CancelledError, FusionError, OutOfMemoryError, OutputError, WorkerError

_LARGEST_LOG = 1_000_000
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def log_file() -> Path:
    """Where tracebacks go: the user's state folder."""
    home = Path.home()
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "PETCTFusionSeg" / "Logs"
    elif sys.platform == "darwin":
        folder = home / "Library" / "Logs" / "PETCTFusionSeg"
    else:
        # XDG Base Directory: a relative path there is invalid and is ignored.
        chosen = Path(os.environ.get("XDG_STATE_HOME") or "")
        folder = (chosen if chosen.is_absolute() else home / ".local" / "state") / "PETCTFusionSeg"
    return folder / "petctfusion.log"


def tell(error: BaseException, as_json: bool) -> int:
    """Prints the failure (stderr; with `as_json` also one JSON object on stdout) and returns the exit code."""
    failure = as_failure(error)
    log = (
        None
        if failure.kind in ("usage", "cancelled")
        else append_log("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    )
    hint = failure.hint
    if failure.kind == "internal" and log is not None:
        hint = f"{hint} Details are in {log}.".strip()
    _say(sys.stderr, f"petctfusion: {failure.message}" + (f"\n  {hint}" if hint else ""))
    if as_json:
        _say(sys.stdout, json.dumps({"error": {"kind": failure.kind, "message": failure.message, "hint": hint}}))
    return exit_code(failure.kind)


def abandon(stream: TextIO) -> None:
    """What is left in the buffer of a closed pipe or a full disk goes nowhere; Python would fail on it once more."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def settle(stream: TextIO) -> None:
    """Empties the buffer, or gives it up: Python would try again at exit and change the exit code to 120."""
    try:
        stream.flush()
    except OSError:
        abandon(stream)


def _say(stream: TextIO, text: str) -> None:
    """Prints, if the stream still takes it: the exit code says the rest."""
    try:
        print(text, file=stream, flush=True)
    except OSError:
        abandon(stream)


def as_failure(error: BaseException) -> FusionError:
    """The `FusionError` that says what `error` means to the user."""
    if isinstance(error, FusionError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return CancelledError("Cancelled.")
    if isinstance(error, MemoryError):
        return OutOfMemoryError("There is not enough memory.", "Close other programs, or use a machine with more.")
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        where = f"{error.filename} could" if error.filename else "The output could"
        return OutputError(f"{where} not be written: {error.strerror}.", "Free some space or choose another folder.")
    first = next(iter(str(error).splitlines()), "")
    return WorkerError(f"Something went wrong inside petctfusion ({type(error).__name__}: {first}).")


def append_log(text: str) -> Path | None:
    """Adds `text` to the log; None when that is impossible, which must not hide the failure that is being told."""
    path = log_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.stat().st_size > _LARGEST_LOG:
            path.replace(path.with_suffix(".old.log"))
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(sys.argv)}\n{text}\n")
    except OSError:
        return None
    return path
