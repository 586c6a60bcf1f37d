"""One session process: started with its order on standard input, which stays open as long as it may live."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from petctfusion.cli.failures import append_log
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.web.order import SessionOrder

from .settings import GatewaySettings

_LINES_KEPT = 200
_GOODBYE_S = 5.0
_LOOK_S = 0.1
_LINE_LIMIT = 1 << 20


class SessionProcess:
    """A visitor's process with its private folder; `ended` is set when both are gone."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self.secret = secrets.token_urlsafe(32)
        self.port = 0
        """0 until the session can be connected to."""
        self.ended = asyncio.Event()
        self.farewell = ""
        """Why it ended, in one sentence."""
        self.folder: Path | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._closing = False
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._task = asyncio.create_task(self._live())

    @property
    def pid(self) -> int:
        """The process's id; 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    async def close(self, farewell: str) -> None:
        """End it: it is asked by the end of its input, and killed with its children when it does not listen."""
        self.farewell = self.farewell or farewell
        self._closing = True
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.ended.wait(), _GOODBYE_S)
            return
        self._kill()
        await self.ended.wait()

    async def _live(self) -> None:
        # Only the owner may look into a folder that mkdtemp makes.
        self.folder = Path(tempfile.mkdtemp(prefix="petctfusion-view-"))
        try:
            await self._run(self.folder)
        except OSError as error:
            self.farewell = self.farewell or _("The session could not be started: {reason}.").format(reason=error)
        finally:
            self._kill()
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)
            self.port = 0
            self.ended.set()

    async def _run(self, folder: Path) -> None:
        # Whatever a library writes to the temporary folder goes with the session's own.
        environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._settings.program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            limit=_LINE_LIMIT,
            # Ctrl-C in the terminal is for the gateway, which ends its sessions in order.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        settings = self._settings
        start = replace(settings.start, folder=folder)
        order = SessionOrder(start, self.secret, settings.uploadBytes, settings.testing)
        self._process.stdin.write(order.toJson().encode() + b"\n")
        if self._closing:
            self._process.stdin.close()
        reading = [asyncio.create_task(self._listen()), asyncio.create_task(self._keepErrors())]
        # Waiting for the process itself would last until its worker, too, has closed what it inherited.
        while self._process.returncode is None:
            await asyncio.sleep(_LOOK_S)
        self._kill()
        await asyncio.wait(reading, timeout=_GOODBYE_S)
        for task in reading:
            task.cancel()
        self._remember()

    async def _listen(self) -> None:
        """The first line of JSON says on which port the session can be reached, or why there is none."""
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in _lines(self._process.stdout):
            match _asMessage(line):
                case {"port": int(port)}:
                    self.port = port
                case {"error": str(sentence)}:
                    self.farewell = sentence
                case _:
                    self._lines.append(line)

    async def _keepErrors(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        async for line in _lines(self._process.stderr):
            self._lines.append(line)

    def _remember(self) -> None:
        """An end that nobody asked for is told, and what the process said last goes to the log."""
        if self.farewell:
            return
        self.farewell = _("The session ended unexpectedly. What was not downloaded is lost.")
        code = self._process.returncode if self._process is not None else None
        append_log(f"browser session ended with code {code}\n" + "\n".join(self._lines))

    def _kill(self) -> None:
        """The process and its worker; no harm where they are gone."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Line by line; one that is absurdly long is dropped instead of ending everything."""
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            continue
        if not line:
            return
        yield line.decode("utf-8", "replace").rstrip()


def _asMessage(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None
