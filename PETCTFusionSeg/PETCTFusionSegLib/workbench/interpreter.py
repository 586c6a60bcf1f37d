"""Which Python runs the worker, and how it is started."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass

from petctfusion.errors import DeviceError
from PETCTFusionSegLib.i18n import _


@dataclass(frozen=True)
class Interpreter:
    """A program and what stands before the module's arguments.

    `external`: not the application's own Python, which needs the application's environment. `remote`: a command in
    front of a Python, as in `ssh gpu-host python3`; its process ids and its files may be those of another computer.
    """

    program: str
    external: bool
    arguments: tuple[str, ...] = ()

    @property
    def remote(self) -> bool:
        """True when a command stands in front of the Python."""
        return bool(self.arguments)

    def command(self, *arguments: str) -> list[str]:
        """The arguments of the program that give `arguments` to the Python."""
        return [*self.arguments, *arguments]


def findInterpreter(chosen: str = "") -> Interpreter:
    """The user's own Python, or a command with one, when it is chosen; otherwise the application's own Python."""
    text = chosen.strip()
    if not text:
        return Interpreter(shutil.which("PythonSlicer") or sys.executable, external=False)
    program = shutil.which(text)
    if program is not None:
        return Interpreter(program, external=True)
    words = _words(text)
    program = shutil.which(words[0]) if len(words) > 1 else None
    if program is None:
        raise DeviceError(
            _('The Python "{chosen}" cannot be run.').format(chosen=text), _("Correct its path, or clear the field.")
        )
    return Interpreter(program, external=True, arguments=tuple(words[1:]))


def localInterpreter(chosen: str = "") -> Interpreter:
    """As `findInterpreter`, but the application's own where the chosen one may be on another computer."""
    found = findInterpreter(chosen)
    return findInterpreter() if found.remote else found


def _words(text: str) -> list[str]:
    """The words of a command line; on Windows a backslash belongs to a path and escapes nothing."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    lexer.escape = "" if sys.platform == "win32" else "\\"
    try:
        return [*lexer]
    except ValueError:
        return []
