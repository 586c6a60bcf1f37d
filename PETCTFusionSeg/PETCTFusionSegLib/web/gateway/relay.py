"""Bytes between a visitor's browser and its session: as they come, nothing unpacked, nothing kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from PETCTFusionSegLib.web.order import SECRET_HEADER

from .child import SessionProcess

# trame's messages are cut into parts of 10 MB.
LARGEST_FRAME = 12 << 20
_HEARTBEAT_S = 30.0
_CHUNK = 1 << 16
_NOT_FORWARDED = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "cookie",
    "origin",
    SECRET_HEADER.lower(),
}
_NOT_RETURNED = {"connection", "keep-alive", "transfer-encoding", "set-cookie", "server", "date"}


class Relay:
    """Connections to session processes on this computer."""

    def __init__(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        # A proxy from the environment must never see what goes to this computer itself.
        self._client = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, trust_env=False, timeout=aiohttp.ClientTimeout(total=None)
        )

    async def close(self) -> None:
        """Drop all connections."""
        await self._client.close()

    async def passRequest(self, request: web.Request, session: SessionProcess) -> web.StreamResponse:
        """One HTTP request and its answer."""
        path = "/index.html" if request.path == "/" else request.rel_url.raw_path
        query = request.rel_url.raw_query_string
        url = URL.build(scheme="http", host="127.0.0.1", port=session.port, path=path, query_string=query, encoded=True)
        headers = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in _NOT_FORWARDED)
        headers[SECRET_HEADER] = session.secret
        body = request.content.iter_chunked(_CHUNK) if request.body_exists else None
        async with self._client.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in _NOT_RETURNED:
                    response.headers.add(name, value)
            await response.prepare(request)
            async for chunk in answer.content.iter_chunked(_CHUNK):
                await response.write(chunk)
            await response.write_eof()
            return response

    async def passSocket(self, request: web.Request, session: SessionProcess) -> web.WebSocketResponse:
        """A WebSocket, until one side closes it. Frames are not compressed: the pictures in them are already."""
        browser = web.WebSocketResponse(max_msg_size=LARGEST_FRAME, heartbeat=_HEARTBEAT_S, compress=False)
        url = URL.build(scheme="http", host="127.0.0.1", port=session.port, path="/ws")
        async with self._client.ws_connect(
            url, headers={SECRET_HEADER: session.secret}, max_msg_size=LARGEST_FRAME, compress=0
        ) as inner:
            await browser.prepare(request)
            both = [
                asyncio.create_task(_pump(browser, inner.send_bytes)),
                asyncio.create_task(_pump(inner, browser.send_bytes)),
            ]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in both:
                    task.cancel()
                await asyncio.gather(*both, return_exceptions=True)
                with contextlib.suppress(ConnectionError):
                    await browser.close(code=aiohttp.WSCloseCode.GOING_AWAY)
        return browser


async def _pump(source: Any, send: Callable[[bytes], Awaitable[None]]) -> None:
    async for message in source:
        if message.type is not aiohttp.WSMsgType.BINARY:
            return
        with contextlib.suppress(ConnectionError):
            await send(message.data)
