"""The gateway: who comes in, what is passed on, and that nothing is left behind. A small session stands in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="the browser workbench is not installed")

import aiohttp
from visits import STUB, TOKEN, gateway, story

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.web.gateway.settings import GatewaySettings, isLoopback
from PETCTFusionSegLib.web.start import SessionStart


async def gone(path, seconds=10.0):
    for _ in range(int(seconds / 0.05)):
        if not Path(path).exists():
            return True
        await asyncio.sleep(0.05)
    return False


@story
async def test_the_token_opens_once_and_then_the_cookie_does():
    async with gateway() as visit:
        stranger = visit()
        for path in ("/", "/index.html", "/about", "/ws", "/events", "/download/report.csv"):
            status, text, _ = await stranger.get(path)
            assert status == 403, path
            assert "session's page" not in text
        for wrong in ("", "x", TOKEN[:-1], TOKEN + "x", "%C3%A4"):
            status, _, headers = await stranger.get(f"/?token={wrong}")
            assert status == 403, wrong
            assert "Set-Cookie" not in headers
        guest = visit()
        status, text, headers = await guest.get(f"/?token={TOKEN}")
        assert status == 200
        assert TOKEN not in text
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        await guest.ready()


@story
async def test_every_visitor_has_a_process_and_a_folder_that_go_with_the_gateway():
    async with gateway() as visit:
        first, second = visit(), visit()
        await first.enter()
        await second.enter()
        ours, theirs = await first.about(), await second.about()
        assert ours["pid"] != theirs["pid"]
        assert ours["folder"] != theirs["folder"]
        assert ours["mode"] == "0o700"
        assert ours["temporary"] == ours["folder"]
        # The order travels on standard input: neither secret nor study can be seen in a list of processes.
        assert ours["arguments"] == [STUB]
        again = await first.about()
        assert again["pid"] == ours["pid"]
        assert Path(ours["folder"]).is_dir()
    assert await gone(ours["folder"])
    assert await gone(theirs["folder"])
    for pid in (ours["pid"], theirs["pid"]):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@story
async def test_nobody_gets_round_the_gateway():
    async with gateway() as visit:
        guest = visit()
        await guest.enter()
        headers = (await guest.about())["headers"]
        # The session does not learn the cookie, nor the browser the secret.
        assert "Cookie" not in headers
        assert "Origin" not in headers
        port = headers["Host"].split(":")[1]
        async with aiohttp.ClientSession() as client:
            for secret in ({}, {"X-PETCTFusion-Secret": "guess"}, {"X-PETCTFusion-Secret": "gü"}):
                async with client.get(f"http://127.0.0.1:{port}/about", headers=secret) as answer:
                    assert answer.status == 403
        # A visitor's own header is not passed on.
        status, _, returned = await guest.get("/about", **{"X-PETCTFusion-Secret": "mine"})
        assert status == 200
        assert not any("secret" in name.lower() for name in returned)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "[::"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    ],
)
@story
async def test_other_sites_and_other_names_are_refused(headers):
    async with gateway() as visit:
        guest = visit()
        await guest.enter()
        assert (await guest.get("/about", **headers))[0] == 403
        assert (await guest.get(f"/?token={TOKEN}", **headers))[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:1", "http://localhost"])
@story
async def test_a_foreign_origin_gets_no_socket_and_no_post(origin):
    async with gateway() as visit:
        guest = visit()
        await guest.enter()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with guest.socket(Origin=origin):
                pass
        assert refused.value.status == 403
        for path in ("/upload", "/begin", "/end"):
            assert (await guest.post(path, b"", Origin=origin))[0] == 403
        # The session is still there.
        assert (await guest.about())["pid"]


@story
async def test_frames_pass_unchanged_and_soon():
    async with gateway() as visit:
        guest = visit()
        await guest.enter()
        async with guest.socket() as link:
            for frame in (b"", b"\x00\xff" * 10, os.urandom(3_000_000), os.urandom(10_000_000)):
                await link.send_bytes(frame)
                assert await link.receive_bytes(timeout=20) == frame
            loop, delays = asyncio.get_running_loop(), []
            for _ in range(100):
                begin = loop.time()
                await link.send_bytes(b"x" * 40_000)
                await link.receive_bytes(timeout=5)
                delays.append(loop.time() - begin)
            # Two processes on the way, on a busy computer: a delay by Nagle's algorithm would be 40 ms each.
            assert sorted(delays)[50] < 0.03


@story
async def test_a_frame_that_is_too_large_ends_the_connection_and_nothing_else():
    async with gateway() as visit:
        guest = visit()
        await guest.enter()
        async with guest.socket() as link:
            # It may be cut off while it still sends.
            with contextlib.suppress(ConnectionError):
                await link.send_bytes(b"x" * (13 << 20))
            message = await link.receive(timeout=20)
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        async with guest.socket() as link:
            await link.send_bytes(b"again")
            assert await link.receive_bytes(timeout=5) == b"again"


@story
async def test_a_killed_session_is_told_and_a_new_one_begins():
    async with gateway() as visit:
        guest = visit()
        await guest.enter()
        before = await guest.about()
        async with guest.client.get(guest.origin + "/events") as events, guest.socket() as link:
            assert await events.content.readline() == b": here\n"
            os.kill(before["pid"], signal.SIGKILL)
            told = b""
            while b"data:" not in told:
                told = await asyncio.wait_for(events.content.readline(), 10)
            assert b"ended unexpectedly" in told
            assert (await link.receive(timeout=10)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert await gone(before["folder"])
        assert 'id="begin"' in await guest.until("ended unexpectedly")
        assert (await guest.get("/about"))[0] == 410
        assert (await guest.post("/begin"))[0] == 303
        await guest.ready()
        assert (await guest.about())["pid"] != before["pid"]


@story
async def test_a_session_can_be_ended():
    async with gateway() as visit:
        guest = visit()
        await guest.enter()
        folder = (await guest.about())["folder"]
        assert (await guest.post("/end"))[0] == 303
        assert not Path(folder).exists()
        assert "The session was ended" in (await guest.get("/"))[1]


@story
async def test_an_idle_session_ends_and_one_with_a_connection_does_not():
    async with gateway(idleS=2.5) as visit:
        idle, busy = visit(), visit()
        await idle.enter()
        folder = (await idle.about())["folder"]
        await busy.enter()
        async with busy.socket() as link:
            assert await gone(folder)
            await asyncio.sleep(0.5)
            await link.send_bytes(b"still here")
            assert await link.receive_bytes(timeout=5) == b"still here"
            await idle.until("nobody had been connected")
        assert (await busy.get("/about"))[0] == 200


@story
async def test_so_many_sessions_and_no_more():
    async with gateway(sessions=1) as visit:
        first, second = visit(), visit()
        await first.enter()
        status, text, _ = await second.get(f"/?token={TOKEN}")
        assert status == 503
        assert "All 1 sessions of this server are in use." in text
        # The same visitor coming again needs no second one.
        assert (await first.get(f"/?token={TOKEN}"))[0] == 200
        await first.post("/end")
        await second.enter()


@story
async def test_a_session_that_cannot_start_says_why(monkeypatch):
    monkeypatch.setenv("STUB_FAILS", "1")
    async with gateway() as visit:
        guest = visit()
        await guest.get(f"/?token={TOKEN}")
        assert 'id="begin"' in await guest.until("The scene could not be made.")


@story
async def test_what_every_answer_tells_the_browser():
    async with gateway() as visit:
        guest = visit()
        for path in ("/", f"/?token={TOKEN}"):
            _, _, headers = await guest.get(path)
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["Cache-Control"] == "no-store"
            policy = dict(rule.strip().split(" ", 1) for rule in headers["Content-Security-Policy"].split(";"))
            assert policy["default-src"] == "'none'"
            assert policy["frame-ancestors"] == "'none'"
            assert "'unsafe-inline'" not in policy["script-src"]
            assert "*" not in headers["Content-Security-Policy"]
            assert headers["Referrer-Policy"] == "same-origin"


@story
async def test_other_methods_and_paths():
    async with gateway() as visit:
        guest = visit()
        await guest.enter()
        assert (await guest.post("/index.html"))[0] == 405
        async with guest.client.put(guest.origin + "/upload", headers={"Origin": guest.origin}) as answer:
            assert answer.status == 405
        assert (await guest.get("/download/report.csv"))[:2] == (200, "a,b\n")
        for path in (
            "/download/secret.csv",
            "/download/..%2Fsecret.csv",
            "/download/../secret.csv",
            "/%2e%2e/etc/hosts",
        ):
            status, text, _ = await guest.get(path)
            assert status == 404, path
            assert "business" not in text


@pytest.mark.parametrize("token", ["", "short", "with spaces in it, and long", "ä" * 20])
def test_a_weak_token_is_refused(token):
    with pytest.raises(BadInputError, match="at least 16"):
        GatewaySettings(SessionStart(Path()), token=token)


def test_tokens_differ_and_are_not_shown():
    first, second = GatewaySettings(SessionStart(Path())), GatewaySettings(SessionStart(Path()))
    assert first.token != second.token
    assert first.token not in repr(first)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.9.9.9", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_what_is_this_computer(host, local):
    assert isLoopback(host) is local
