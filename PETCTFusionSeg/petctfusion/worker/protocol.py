"""The worker's language: one JSON object per line, ASCII, and raw frames where no disk is shared. Imports no torch.

Requests carry `id` and `request`: hello, probe, load, segment, refine, explain, cancel, bye. Answers carry the `id` of
their request and `event`: ready, progress, result, error. A line with `"bytes": n` is followed by n raw bytes: a frame.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from petctfusion.errors import FusionError, error_of_kind

PROTOCOL_VERSION = 1
REQUESTS = ("hello", "probe", "load", "segment", "refine", "explain", "cancel", "bye")
# Bulk data travel as frames or files: a longer line is no message of ours.
_LONGEST_LINE = 1 << 22
_LONGEST_FRAME = 1 << 36


@dataclass(frozen=True)
class Ready:
    """The worker has started and listens. `pid` is its process on its own host."""

    id: int
    protocol: int
    pid: int


@dataclass(frozen=True)
class Progress:
    """`done` of `total` steps of a `stage`; `eta_s` seconds to go, if known; `note` announces a change of plan."""

    id: int
    done: int
    total: int
    stage: str
    eta_s: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Result:
    """The answer to request `id`; what `values` holds depends on the request."""

    id: int
    request: str
    values: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Failure:
    """Request `id` failed: kind, one sentence, hint. `id` is -1 when the line could not be understood."""

    id: int
    kind: str
    message: str
    hint: str = ""

    def error(self) -> FusionError:
        """The exception that this failure stands for."""
        return error_of_kind(self.kind, self.message, self.hint)


@dataclass(frozen=True)
class Frame:
    """Raw bytes named `name` that belong to request `id`."""

    id: int
    name: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True)
class Ignored:
    """A line that is no message: something a library or a login shell printed."""

    text: str


Event = Ready | Progress | Result | Failure | Frame | Ignored


def encode(message: Mapping[str, Any]) -> bytes:
    """One line. Raises `ValueError` for NaN and infinities, which JSON has not."""
    return json.dumps(message, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def encode_frame(message: Mapping[str, Any], payload: bytes | memoryview) -> bytes:
    """A header line with `bytes`, then the payload."""
    view = memoryview(payload).cast("B")
    return b"".join((encode({**message, "bytes": len(view)}), view))


class LineDecoder:
    """Bytes in whatever pieces they come, messages out.

    A frame's message holds its bytes under `payload`; a line that is no JSON object becomes `{"ignored": text}`.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._frame: dict[str, Any] | None = None
        self._missing = 0
        self._searched = 0

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """All messages that are complete with `data`."""
        self._buffer += data
        messages = []
        while (message := self._next()) is not None:
            if message:
                messages.append(message)
        return messages

    def _next(self) -> dict[str, Any] | None:
        """The next message, {} for a blank line or a frame's header, None when more bytes are needed."""
        if self._frame is not None:
            return self._next_frame(self._frame)
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            return self._overlong() if len(self._buffer) > _LONGEST_LINE else None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        message = _parsed(line)
        size = message.get("bytes")
        if size is None or "ignored" in message:
            return message
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= _LONGEST_FRAME:
            return {"ignored": _shortened(line)}
        self._frame, self._missing = message, size
        return {}

    def _next_frame(self, header: dict[str, Any]) -> dict[str, Any] | None:
        if len(self._buffer) < self._missing:
            return None
        payload = bytes(memoryview(self._buffer)[: self._missing])
        del self._buffer[: self._missing]
        self._frame = None
        return {**header, "payload": payload}

    def _overlong(self) -> dict[str, Any]:
        text = _shortened(bytes(self._buffer[:200]))
        self._buffer.clear()
        self._searched = 0
        return {"ignored": text}


def parse_event(message: Mapping[str, Any]) -> Event:
    """The event of a decoded message; what does not follow the protocol becomes `Ignored`."""
    try:
        return _event(message)
    except (KeyError, TypeError, ValueError):
        return Ignored(str(message.get("ignored", _shortened(repr(dict(message)).encode()))))


def _event(message: Mapping[str, Any]) -> Event:
    if "ignored" in message:
        return Ignored(str(message["ignored"]))
    kind, number = message["event"], int(message["id"])
    if kind == "ready":
        return Ready(number, int(message["protocol"]), int(message["pid"]))
    if kind == "progress":
        eta = message.get("eta_s")
        return Progress(
            number,
            int(message["done"]),
            int(message["total"]),
            str(message["stage"]),
            None if eta is None else float(eta),
            str(message.get("note", "")),
        )
    if kind == "result":
        values = {key: value for key, value in message.items() if key not in ("id", "event", "request")}
        return Result(number, str(message["request"]), values)
    if kind == "error":
        return Failure(number, str(message["kind"]), str(message["message"]), str(message.get("hint", "")))
    if kind == "frame":
        return Frame(number, str(message["name"]), message["payload"])
    raise ValueError(kind)


def _parsed(line: bytes) -> dict[str, Any]:
    if not line.strip():
        return {}
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {"ignored": _shortened(line)}
    if not isinstance(message, dict) or "payload" in message or not message:
        return {"ignored": _shortened(line)}
    return message


def _shortened(line: bytes) -> str:
    text = line[:200].decode("utf-8", "replace").strip()
    return text + " ..." if len(line) > 200 else text
