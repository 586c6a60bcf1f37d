"""The gateway's web application: who comes in, where a request goes, and what is said when a session is gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web

from petctfusion.errors import DeviceError
from PETCTFusionSegLib.i18n import _

from .access import Access
from .headers import addHeaders
from .pages import endedPage, enteredPage, refusedPage, startingPage, strangerSentence
from .relay import Relay
from .settings import GatewaySettings
from .visitors import Visitor, Visitors

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger("PETCTFusionSeg")
_PAGES = ("/", "/index.html")
_UPLOAD = "/upload"
_PING_S = 15.0
_VISITOR = web.RequestKey("visitor", Visitor)


class Gateway:
    """Made within a running event loop; `application` is to be served."""

    def __init__(self, settings: GatewaySettings, port: int) -> None:
        self._settings = settings
        self._access = Access(settings, port)
        self._visitors = Visitors(settings)
        self._relay = Relay()
        # What is larger goes to the session as a stream and is counted there.
        self.application = web.Application(middlewares=[self._guard], client_max_size=1 << 16)
        self.application.on_response_prepare.append(addHeaders)
        self.application.on_shutdown.append(self._close)
        self.application.add_routes(
            [
                web.post("/begin", self._begin),
                web.post("/end", self._end),
                web.get("/events", self._events),
                web.post("/paraview/", self._whereTo),
                web.get("/ws", self._socket),
                web.route("*", "/{path:.*}", self._anything),
            ]
        )

    async def _close(self, application: web.Application) -> None:
        del application
        await self._visitors.close()
        await self._relay.close()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = self._access.refusal(request)
        if refusal:
            _log.warning("a request was refused: %s", refusal)
            return refusedPage(_("This request did not come from the workbench's own page, so it was refused."), 403)
        visitor = self._visitors.find(request.cookies.get(self._access.cookie, ""))
        if request.path == "/" and "token" in request.query:
            return self._enter(request, visitor)
        if visitor is None:
            return refusedPage(strangerSentence(), 403)
        request[_VISITOR] = visitor
        return await handler(request)

    def _enter(self, request: web.Request, visitor: Visitor | None) -> web.Response:
        if not self._access.hasToken(request):
            return refusedPage(_("The token in this address is wrong. Use the address that was printed last."), 403)
        visitor = visitor or self._visitors.admit()
        try:
            self._visitors.begin(visitor)
        except DeviceError as error:
            return refusedPage(str(error), 503)
        response = enteredPage()
        self._access.keep(response, visitor.name)
        return response

    async def _begin(self, request: web.Request) -> web.StreamResponse:
        try:
            self._visitors.begin(request[_VISITOR])
        except DeviceError as error:
            return refusedPage(str(error), 503)
        raise web.HTTPSeeOther("./")

    async def _end(self, request: web.Request) -> web.StreamResponse:
        session = request[_VISITOR].session
        if session is not None:
            await session.close(_("The session was ended and its files were removed."))
        raise web.HTTPSeeOther("./")

    async def _whereTo(self, request: web.Request) -> web.Response:
        """trame's page asks here for its session before it tries anything else."""
        del request
        return web.json_response({"sessionURL": "ws://USE_HOST/ws"})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Tells the page when its session has ended, and by its silence when the server is gone."""
        session = request[_VISITOR].session
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        # The page may be closed at any time.
        with contextlib.suppress(ConnectionError):
            while session is not None and not session.ended.is_set():
                await response.write(b": here\n\n")
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(session.ended.wait(), _PING_S)
            sentence = session.farewell if session is not None else ""
            await response.write(f"event: ended\ndata: {json.dumps(sentence)}\n\n".encode())
        return response

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        visitor = request[_VISITOR]
        session = visitor.session
        if session is None or not session.port:
            return web.Response(status=410)
        visitor.connections += 1
        try:
            return await self._relay.passSocket(request, session)
        except aiohttp.ClientError:
            return web.Response(status=410)
        finally:
            visitor.connections -= 1
            # From now on it counts as idle.
            self._visitors.find(visitor.name)

    async def _anything(self, request: web.Request) -> web.StreamResponse:
        visitor, isPage = request[_VISITOR], request.path in _PAGES
        if request.method not in ("GET", "HEAD") and not (request.method == "POST" and request.path == _UPLOAD):
            return web.Response(status=405)
        session = visitor.session
        if session is None or session.ended.is_set():
            farewell = session.farewell if session is not None else _("There is no session yet.")
            return endedPage(farewell) if isPage else web.Response(status=410)
        if not session.port:
            return startingPage() if isPage else web.Response(status=503)
        try:
            return await self._relay.passRequest(request, session)
        except aiohttp.ClientError:
            return startingPage() if isPage else web.Response(status=502)
