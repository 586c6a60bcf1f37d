"""Serves the gateway until it is told to stop, and says where."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
import sys
import webbrowser

from aiohttp import web

from petctfusion.errors import DeviceError
from PETCTFusionSegLib.i18n import _

from .server import Gateway
from .settings import GatewaySettings

USUAL_PORT = 8471
_SHUTDOWN_S = 2.0


def serve(settings: GatewaySettings, openBrowser: bool) -> int:
    """Blocks until Ctrl-C or SIGTERM; 0 then. Raises `DeviceError` when the address cannot be used."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(settings, openBrowser))
    return 0


async def _serve(settings: GatewaySettings, openBrowser: bool) -> None:
    stop = asyncio.Event()
    listening = _listen(settings)
    port = listening.getsockname()[1]
    gateway = Gateway(settings, port)
    runner = web.AppRunner(gateway.application, handle_signals=False, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        _stopOnSignals(stop)
        address = f"http://{_spoken(settings.host)}:{port}/?token={settings.token}"
        _announce(settings, address)
        if openBrowser:
            # Some launchers of browsers block until it is closed.
            asyncio.get_running_loop().run_in_executor(None, webbrowser.open, address)
        await stop.wait()
    finally:
        await runner.cleanup()


def _listen(settings: GatewaySettings) -> socket.socket:
    """The wished port; without a wish the usual one, or any where that is taken."""
    wishes = [settings.port] if settings.port is not None else [USUAL_PORT, 0]
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    failure: Exception | None = None
    for port in wishes:
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            if sys.platform != "win32":
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((settings.host, port))
        except (OSError, OverflowError) as error:
            opened.close()
            failure = error
        else:
            opened.setblocking(False)
            opened.listen(128)
            return opened
    reason = failure.strerror if isinstance(failure, OSError) and failure.strerror else failure
    where = f"{settings.host}:{wishes[0]}"
    raise DeviceError(
        _("The server cannot listen at {where}: {reason}.").format(where=where, reason=reason),
        _("Choose another --port, or a --host of this computer."),
    )


def _announce(settings: GatewaySettings, address: str) -> None:
    lines = [_("The workbench is at {address}").format(address=address)]
    if not settings.isLocal:
        lines.append(
            _("Whoever has this address can begin a session, and the connection is not encrypted: use it in a network")
            + " "
            + _("that you trust, or through ssh -L or a proxy with TLS.")
        )
    lines.append(_("Stop it with Ctrl-C. What was not downloaded is gone then."))
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _spoken(host: str) -> str:
    """A host as it stands in an address; one that means every address of this computer is its name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return socket.gethostname()
    return f"[{host}]" if address.version == 6 else host


def _stopOnSignals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows: Ctrl-C interrupts the loop instead.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
