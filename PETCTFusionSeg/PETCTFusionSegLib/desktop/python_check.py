"""Asks an external Python what it is, in a process of its own, and judges it in one sentence; imports none of it.

The program goes in through stdin, because a remote shell (`ssh gpu-host python3`) would take quotation marks apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import petctfusion
from petctfusion.errors import DeviceError
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.workbench.interpreter import Interpreter, findInterpreter

from . import install
from .widgets import makeTimer
from .worker_process import FAILED_TO_START, workerEnvironment

OLDEST = (3, 10)
WAIT_MS = 20000
_PROGRAM = """
import importlib.metadata, importlib.util, json, sys
found = {}
for name in NAMES:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
library = None
if importlib.util.find_spec("petctfusion"):
    import petctfusion
    library = petctfusion.__version__
print(json.dumps({"petctfusion-check": 1, "python": list(sys.version_info[:3]), "packages": found, "library": library}))
"""


@dataclass(frozen=True)
class PythonVerdict:
    """Whether a Python can run the worker, in one sentence."""

    usable: bool
    sentence: str


def program(names: Sequence[str]) -> bytes:
    """The program that the asked Python runs; any Python from 3.8 understands it."""
    return _PROGRAM.replace("NAMES", repr([*names])).encode("ascii")


def judge(output: bytes, requirements: Sequence[str], remote: bool) -> PythonVerdict:
    """The verdict on what the program printed; other lines (a login shell's greeting) are passed over."""
    answer = _answer(output)
    if answer is None:
        return PythonVerdict(False, _("It is no Python: it did not answer. Give the path of a Python 3.10 or newer."))
    version = ".".join(map(str, answer["python"]))
    if tuple(answer["python"][:2]) < OLDEST:
        sentence = _("Python {version} is too old: 3.10 or newer is needed.")
        return PythonVerdict(False, sentence.format(version=version))
    needed = [install.Package(line, answer["packages"].get(install.nameOf(line), "")) for line in requirements]
    lacking = [package.requirement for package in needed if package.missing]
    if lacking:
        sentence = _("Python {version} lacks packages; install them there: pip install {packages}")
        quoted = " ".join(f'"{line}"' for line in lacking)
        return PythonVerdict(False, sentence.format(version=version, packages=quoted))
    if answer["library"] != petctfusion.__version__:
        sentence = _("Python {version} lacks petctfusion {library}: install the same version there.")
        return PythonVerdict(False, sentence.format(version=version, library=petctfusion.__version__))
    torch = answer["packages"][install.TORCH]
    where = _(" on the other computer") if remote else ""
    sentence = _("Python {version} with torch {torch}{where}: ready.")
    return PythonVerdict(True, sentence.format(version=version, torch=torch, where=where))


class PythonCheck:
    """Runs one check at a time; the verdict comes on the main thread, from the event loop."""

    def __init__(self, onVerdict: Callable[[PythonVerdict], None]) -> None:

        self._onVerdict = onVerdict
        self._process: Any = None
        self._interpreter: Interpreter | None = None
        self._requirements = [
            *install.SHIPPED_WITH_SLICER,
            *install.readRequirements(install.requirementsFile()),
        ]
        self._timer = makeTimer(WAIT_MS, True, self._onTimeout)

    @property
    def busy(self) -> bool:
        """True until the verdict was told."""
        return self._process is not None

    def start(self, chosen: str) -> None:
        """Ask the Python of this path or command; an answer that is still awaited is given up."""
        import qt

        self.stop()
        try:
            self._interpreter = findInterpreter(chosen)
        except DeviceError as error:
            self._onVerdict(PythonVerdict(False, str(error)))
            return
        process = qt.QProcess()
        process.setProcessEnvironment(workerEnvironment(self._interpreter.external))
        process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._onProcessError)
        self._process = process
        self._timer.start()
        process.start(self._interpreter.program, self._interpreter.command("-"))
        process.write(program([install.nameOf(line) for line in self._requirements]))
        process.closeWriteChannel()

    def stop(self) -> None:
        """Give the check up; nothing is told."""
        self._timer.stop()
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.waitForFinished(1000)
            process.deleteLater()

    def _onFinished(self, _code: int, _status: int) -> None:
        if self._process is not None and self._interpreter is not None:
            output = self._process.readAllStandardOutput().data()
            self._tell(judge(output, self._requirements, self._interpreter.remote))

    def _onProcessError(self, error: int) -> None:
        """A failed start never emits `finished`; everything else does."""
        if error == FAILED_TO_START and self._process is not None:
            self._tell(PythonVerdict(False, _("It cannot be started: check that it is a program that you may run.")))

    def _onTimeout(self) -> None:
        sentence = _("It did not answer within {seconds} seconds. A remote computer must not ask for a password.")
        self._tell(PythonVerdict(False, sentence.format(seconds=WAIT_MS // 1000)))

    def _tell(self, verdict: PythonVerdict) -> None:
        self.stop()
        self._onVerdict(verdict)


def _answer(output: bytes) -> dict[str, Any] | None:
    for line in output.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and "petctfusion-check" in found:
            return found
    return None
