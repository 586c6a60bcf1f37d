"""A server of one file on this machine, which can break off, forget ranges, or answer with an error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FileServer:
    """Serves `content`; each request takes the next of `plan`, and a whole answer when that is empty.

    Plans: "break" after half of what was asked for, "stall" in the middle, "no-ranges", "wrong-range", or an HTTP
    status. `asked` keeps the Range of every request, None where there was none.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.plan: list[Any] = []
        self.asked: list[str | None] = []
        self.url = ""
        self.go_on = threading.Event()
        self.halted = threading.Event()


@contextmanager
def serving(content: bytes) -> Iterator[FileServer]:
    """A server in a thread, until the block ends."""
    state = FileServer(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, state)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/weights.zip"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield state
    finally:
        state.go_on.set()
        server.shutdown()
        server.server_close()


def _answer(request: BaseHTTPRequestHandler, state: FileServer) -> None:
    asked = request.headers.get("Range")
    state.asked.append(asked)
    act = state.plan.pop(0) if state.plan else "whole"
    if isinstance(act, int):
        request.send_error(act)
        return
    size = len(state.content)
    start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and act != "no-ranges" else 0
    if asked and start >= size:
        request.send_response(416)
        request.send_header("Content-Range", f"bytes */{size}")
        request.end_headers()
        return
    body = state.content[start:]
    request.send_response(206 if start else 200)
    if start:
        request.send_header("Content-Range", f"bytes {start + (act == 'wrong-range')}-{size - 1}/{size}")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if act not in ("break", "stall"):
        request.wfile.write(body)
        return
    request.wfile.write(body[: len(body) // 2])
    request.wfile.flush()
    state.halted.set()
    if act == "stall":
        state.go_on.wait(60)
