"""Keeps freed memory in the process: on Linux glibc else hands activations back after every layer of every step."""

from __future__ import annotations

import ctypes
import sys

# malloc.h: M_TRIM_THRESHOLD (-1: never), M_TOP_PAD (bytes), M_MMAP_MAX. The worker asks for the same by environment.
_SETTINGS = ((-1, -1), (-2, 256 << 20), (-4, 0))


def keep_memory() -> None:
    """Faulting activations in again cost half of a training step on two cores; does nothing where it is not glibc."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _SETTINGS:
            mallopt(parameter, value)
