from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petctfusion.errors import OutOfMemoryError
from petctfusion.worker import protocol
from petctfusion.worker.protocol import Failure, Frame, Ignored, LineDecoder, Progress, Ready, Result, parse_event


def test_a_message_is_one_line_of_ascii():
    line = protocol.encode({"id": 1, "request": "load", "model": "Tümor\n"})
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert json.loads(line)["model"] == "Tümor\n"


def test_nan_never_leaves_as_json():
    with pytest.raises(ValueError, match="JSON compliant"):
        protocol.encode({"id": 1, "seconds": float("nan")})


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_messages_and_frames_survive_any_cutting(payloads, cuts):
    stream = b"".join(
        protocol.encode({"id": i, "request": "x"})
        + protocol.encode_frame({"id": i, "event": "frame", "name": "a"}, payload)
        for i, payload in enumerate(payloads)
    )
    decoder, messages, position = LineDecoder(), [], 0
    while position < len(stream):
        step = cuts[position % len(cuts)]
        messages += decoder.feed(stream[position : position + step])
        position += step
    assert [m["payload"] for m in messages if "payload" in m] == payloads
    assert [m["id"] for m in messages if "payload" not in m] == list(range(len(payloads)))


@pytest.mark.parametrize(
    "line",
    [b"hello from a library", b"[1, 2]", b'{"id": ', b"\xff\xfe\x00", b"12", b'{"id":1,"bytes":-1}', b'{"bytes":"9"}'],
)
def test_rubbish_is_ignored_and_the_next_message_is_read(line):
    messages = LineDecoder().feed(line + b"\n" + protocol.encode({"id": 7, "event": "ready"}))
    assert list(messages[0]) == ["ignored"]
    assert messages[1] == {"id": 7, "event": "ready"}


def test_endless_rubbish_without_a_line_end_does_not_fill_the_memory():
    decoder = LineDecoder()
    messages = [m for _ in range(40) for m in decoder.feed(b"x" * (1 << 18))]
    assert messages
    assert all("ignored" in m for m in messages)
    assert len(decoder._buffer) <= 1 << 23


def test_a_message_cannot_smuggle_a_payload():
    assert "ignored" in LineDecoder().feed(b'{"id":1,"request":"frame","name":"CT","payload":"x"}\n')[0]


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"id": 0, "event": "ready", "protocol": 1, "pid": 5}, Ready(0, 1, 5)),
        (
            {"id": 2, "event": "progress", "done": 1, "total": 4, "stage": "segment", "eta_s": 1.5},
            Progress(2, 1, 4, "segment", 1.5),
        ),
        ({"id": 2, "event": "result", "request": "load", "device": "cpu"}, Result(2, "load", {"device": "cpu"})),
        (
            {"id": 2, "event": "error", "kind": "device", "message": "No.", "hint": "So."},
            Failure(2, "device", "No.", "So."),
        ),
        ({"id": 2, "event": "frame", "name": "labels", "payload": b"ab"}, Frame(2, "labels", b"ab")),
    ],
)
def test_every_event_is_understood(message, event):
    assert parse_event(message) == event


@pytest.mark.parametrize("message", [{"id": 1, "event": "dance"}, {"event": "ready"}, {"id": "x", "event": "result"}])
def test_what_does_not_follow_the_protocol_is_ignored(message):
    assert isinstance(parse_event(message), Ignored)


def test_a_failure_becomes_the_error_of_its_kind():
    error = Failure(1, "out_of_memory", "Too big.", "Crop.").error()
    assert isinstance(error, OutOfMemoryError)
    assert (error.message, error.hint) == ("Too big.", "Crop.")
