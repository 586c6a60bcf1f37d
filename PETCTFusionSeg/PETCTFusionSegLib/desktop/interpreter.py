"""Which Python runs the worker, and with which environment."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from typing import Any

from petctfusion.errors import DeviceError
from petctfusion.worker.launch import worker_environment


@dataclass(frozen=True)
class Interpreter:
    """A Python program; `external` when it is not the application's own, which needs the application's environment."""

    program: str
    external: bool


def findInterpreter(chosen: str = "") -> Interpreter:
    """The user's own Python when one is chosen, otherwise PythonSlicer, otherwise the Python that runs this."""
    if not chosen.strip():
        return Interpreter(shutil.which("PythonSlicer") or sys.executable, external=False)
    program = shutil.which(chosen.strip())
    if program is None:
        raise DeviceError(f"The Python {chosen.strip()!r} cannot be run.", "Correct its path, or clear the field.")
    return Interpreter(program, external=True)


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
