"""Is a process still the one we knew, and how to end one with all its children, on every platform."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


def start_token(pid: int) -> str | None:
    """Something that no other process with this id has: its start time. None where there is no such process.

    An empty text means: the process lives, but the system does not tell when it started.
    """
    if sys.platform == "win32":
        return _windows_token(pid)
    if not _posix_alive(pid):
        return None
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        return _linux_token(stat)
    try:
        answer = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()


def is_same_process(pid: int, token: str) -> bool:
    """True while the process that had `token` lives; where the system tells no start time, while the id is in use."""
    now = start_token(pid)
    return now is not None and (now == token or not now or not token)


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that leads its own group, with all its children, at once and without asking."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()


def _posix_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _linux_token(stat: Path) -> str | None:
    """Field 22 of /proc/PID/stat, the start in clock ticks since boot; a zombie no longer counts."""
    try:
        # The second field, the program's name in parentheses, may itself hold spaces and parentheses.
        fields = stat.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _windows_token(pid: int) -> str | None:
    import ctypes

    # On Windows os.kill(pid, 0) would end the process; asking for its times does not.
    windows: Any = ctypes
    kernel = windows.windll.kernel32
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        # 87, invalid parameter: no such process; anything else is one we may not ask.
        return None if kernel.GetLastError() == 87 else ""
    try:
        times = [ctypes.c_uint64() for _ in range(4)]
        known = kernel.GetProcessTimes(ctypes.c_void_p(handle), *(ctypes.byref(time) for time in times))
        if known and times[1].value:
            return None
        return str(times[0].value) if known else ""
    finally:
        kernel.CloseHandle(ctypes.c_void_p(handle))
