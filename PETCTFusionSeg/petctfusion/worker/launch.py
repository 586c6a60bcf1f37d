"""How the worker is started: its command line and its environment. Imports no torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import petctfusion

# Without these glibc gives activations back to the system after every layer and faults them in again: 1.9 times the
# time per window on two cores (full precision, dual-encoder network, windows of 96^3).
_MALLOC = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "1000000000000",
    "MALLOC_TOP_PAD_": "268435456",
}


def worker_command(python: str | None = None, prefix: Sequence[str] = ()) -> list[str]:
    """The command line; `prefix` runs it elsewhere, for example ("ssh", "gpu-host"), with `python` of that place."""
    return [*prefix, python or sys.executable, "-m", "petctfusion.worker"]


def worker_environment(base: Mapping[str, str] | None = None, platform: str = sys.platform) -> dict[str, str]:
    """`base` (default: this process's) with what the worker needs; the user's settings of threads and memory stay."""
    environment = dict(os.environ if base is None else base)
    library = str(Path(petctfusion.__file__).resolve().parents[1])
    inherited = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part and part != library]
    environment["PYTHONPATH"] = os.pathsep.join([library, *inherited])
    # A file named torch.py in the folder from which the program was started must not be taken for the library.
    environment["PYTHONSAFEPATH"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8"
    # A thread that spins while it waits costs a busy neighbour up to a factor of a hundred.
    environment.setdefault("OMP_WAIT_POLICY", "passive")
    if platform == "linux":
        for name, value in _MALLOC.items():
            environment.setdefault(name, value)
    return environment
