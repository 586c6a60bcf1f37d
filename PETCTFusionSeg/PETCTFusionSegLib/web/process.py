"""`python -m PETCTFusionSegLib.web.process`: one visitor's session. Started by the gateway, and ends with it.

The order comes as one line on standard input; the end of the input is the end of the session. One line on standard
output says `{"port": ...}`, or `{"error": ...}` in a sentence.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

from petctfusion.errors import FusionError
from PETCTFusionSegLib.i18n import _

from .order import SessionOrder

_STATIC = Path(__file__).with_name("static")
_MODULE = {
    "serve": {"__petctfusion": str(_STATIC)},
    "scripts": ["__petctfusion/watch.js", "__petctfusion/drop.js", "__petctfusion/keys.js"],
    "styles": ["__petctfusion/page.css", "__petctfusion/sections.css"],
}


def main() -> int:
    """Serve until the gateway closes the input; the exit code is 0 then."""
    tell = _privateOutput()
    line = sys.stdin.readline()
    if not line:
        return 0
    order = SessionOrder.fromJson(line)
    _prepareEnvironment()
    try:
        asyncio.run(_serve(order, tell))
    except FusionError as error:
        tell({"error": str(error)})
        return 1
    finally:
        # The gateway does the same, unless it was killed.
        shutil.rmtree(order.start.folder, ignore_errors=True)
    return 0


def _privateOutput() -> Any:
    """Libraries print to standard output what is no message: from now on that goes to standard error."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(message: dict[str, Any]) -> None:
        output.write(json.dumps(message) + "\n")
        output.flush()

    return tell


def _prepareEnvironment() -> None:
    """Before trame and VTK are imported, which look at it then."""
    for name in [name for name in os.environ if name.startswith(("TRAME_", "WSLINK_"))]:
        del os.environ[name]
    os.environ["WSLINK_WS_COMPRESS"] = "0"
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        # Without it VTK looks for a screen first, which takes most of a second.
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")


async def _serve(order: SessionOrder, tell: Any) -> None:
    try:
        from trame.app import get_server

        from .session import WebSession
        from .transfers import FileTransfers, requireSecret
    except ImportError as error:
        raise FusionError(
            _("The workbench could not be loaded: {error}.").format(error=error),
            _('Install it with: pip install "petctfusion[web]".'),
        ) from error
    stop = asyncio.Event()
    _watchInput(asyncio.get_running_loop(), stop)
    server = get_server("petctfusion", client_type="vue3")
    server.enable_module(_MODULE)
    transfers = FileTransfers(order.start.folder, order.uploadBytes)
    session = WebSession(server, order.start, transfers)

    def bind(webServer: Any) -> None:
        webServer.app.middlewares.append(requireSecret(order.secret))
        transfers.addRoutes(webServer.app)
        if order.testing:
            from .testing import addTestingRoute

            addTestingRoute(webServer.app, session)

    server.controller.on_server_bind.add(bind)
    running = server.start(
        port=0,
        host="127.0.0.1",
        exec_mode="task",
        open_browser=False,
        show_connection_info=False,
        timeout=0,
        thread=True,
    )
    await server.ready
    tell({"port": server.port})
    opening = asyncio.create_task(session.open())
    try:
        await stop.wait()
    finally:
        opening.cancel()
        session.close()
        running.cancel()
        await asyncio.gather(opening, running, return_exceptions=True)


def _watchInput(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """A thread, as no event loop can wait for standard input on every system."""

    def wait() -> None:
        while sys.stdin.readline():
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, name="input", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
