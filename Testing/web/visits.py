"""A gateway within the test's own event loop, a small session behind it, and visitors who are no browsers."""

from __future__ import annotations

import asyncio
import functools
import socket
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from PETCTFusionSegLib.web.gateway.server import Gateway
from PETCTFusionSegLib.web.gateway.settings import GatewaySettings
from PETCTFusionSegLib.web.start import SessionStart

STUB = str(Path(__file__).with_name("stub_session.py"))
TOKEN = "a-token-for-these-tests"


class Visit:
    """A browser's cookies and connections to one gateway."""

    def __init__(self, origin):
        self.origin = origin
        self.client = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def get(self, path, **headers):
        async with self.client.get(self.origin + path, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text(), answer.headers

    async def post(self, path, data=None, **headers):
        headers = {"Origin": self.origin, **headers}
        async with self.client.post(self.origin + path, data=data, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def enter(self):
        status, *_ = await self.get(f"/?token={TOKEN}")
        assert status == 200
        await self.ready()

    async def ready(self):
        for _ in range(200):
            _, text, _ = await self.get("/")
            if "id='here'" in text:
                return
            assert 'id="starting"' in text, text
            await asyncio.sleep(0.05)
        raise AssertionError("the session did not start")

    async def until(self, words):
        """Look at the page again and again until it says this."""
        text = ""
        for _ in range(200):
            text = (await self.get("/"))[1]
            if words in text:
                return text
            await asyncio.sleep(0.05)
        raise AssertionError(text)

    async def about(self):
        async with self.client.get(self.origin + "/about") as answer:
            return await answer.json()

    def socket(self, **headers):
        headers = {"Origin": self.origin, **headers}
        address = self.origin.replace("http", "ws") + "/ws"
        return self.client.ws_connect(address, headers=headers, max_msg_size=0, compress=0)


@asynccontextmanager
async def gateway(**options):
    settings = GatewaySettings(start=SessionStart(Path()), token=TOKEN, program=(STUB,), **options)
    visits = []
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    runner = web.AppRunner(Gateway(settings, port).application, handle_signals=False, shutdown_timeout=1)
    await runner.setup()
    await web.SockSite(runner, listening).start()

    def visit():
        visits.append(Visit(f"http://127.0.0.1:{port}"))
        return visits[-1]

    try:
        yield visit
    finally:
        for one in visits:
            await one.client.close()
        await runner.cleanup()


def story(function):
    """An asynchronous test."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        asyncio.run(asyncio.wait_for(function(*args, **kwargs), 60))

    return run
