"""The download of one file over HTTP, against a server on this machine."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from file_server import serving

from petctfusion.errors import ModelError, OutputError
from petctfusion.models.transfer import download

CONTENT = os.urandom(700_001)
SIZE = len(CONTENT)


@pytest.fixture
def server():
    with serving(CONTENT) as made:
        yield made


@pytest.fixture
def part(tmp_path) -> Path:
    return tmp_path / "weights.part"


def fetch(server, part, size=SIZE, waits_s=(0.0, 0.0)):
    told = []
    download(server.url, part, size, lambda *values: told.append(values), waits_s)
    return told


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_whole_file_arrives_and_its_progress_is_told(server, part, size):
    told = fetch(server, part, size)
    assert part.read_bytes() == CONTENT
    assert server.asked == [None]
    assert told[0] == (0, SIZE, None)
    assert told[-1][:2] == (SIZE, SIZE)
    assert told[-1][2] == 0.0


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_broken_connection_goes_on_where_it_broke(server, part, size):
    server.plan = ["break", "break"]
    fetch(server, part, size)
    assert part.read_bytes() == CONTENT
    half = SIZE // 2
    assert server.asked == [None, f"bytes={half}-", f"bytes={half + (SIZE - half) // 2}-"]


def test_a_later_call_goes_on_from_the_part(server, part):
    part.write_bytes(CONTENT[:1000])
    told = fetch(server, part)
    assert part.read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]
    assert told[0][0] == 1000


@pytest.mark.parametrize("plan", ["no-ranges", "wrong-range"])
def test_a_server_that_does_not_go_on_is_asked_anew_and_nothing_is_doubled(server, part, plan):
    part.write_bytes(b"x" * 1000 if plan == "no-ranges" else CONTENT[:1000])
    server.plan = [plan]
    fetch(server, part)
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_part_that_is_whole_is_not_fetched_again(server, part, size):
    part.write_bytes(CONTENT)
    told = fetch(server, part, size)
    assert part.read_bytes() == CONTENT
    assert told == []
    assert server.asked == ([] if size else [f"bytes={SIZE}-"])


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_part_longer_than_the_file_is_begun_anew(server, part, size):
    part.write_bytes(b"x" * (SIZE + 5))
    fetch(server, part, size)
    assert part.read_bytes() == CONTENT


def test_a_server_in_trouble_is_asked_again(server, part):
    server.plan = [503, 429]
    fetch(server, part)
    assert part.read_bytes() == CONTENT


def test_a_file_that_is_gone_is_not_asked_for_twice(server, part):
    server.plan = [404, 404]
    with pytest.raises(ModelError, match="404"):
        fetch(server, part)
    assert len(server.asked) == 1


def test_a_connection_that_keeps_breaking_ends_in_one_sentence_and_keeps_the_part(server, part):
    server.plan = [503] * 9
    part.write_bytes(CONTENT[:1000])
    with pytest.raises(ModelError, match=r"cannot be reached: it answered 503") as caught:
        fetch(server, part)
    assert "goes on from it" in caught.value.hint
    assert len(server.asked) == 3
    assert part.read_bytes() == CONTENT[:1000]


def test_tries_are_counted_anew_while_something_arrives(server, part):
    server.plan = ["break"] * 8
    fetch(server, part)
    assert part.read_bytes() == CONTENT


def test_without_a_network_there_is_one_sentence(part):
    for url, word in (("http://127.0.0.1:9/a.zip", "127.0.0.1:9"), ("http://nowhere.invalid/a.zip", "nowhere.invalid")):
        with pytest.raises(ModelError, match="cannot be reached") as caught:
            download(url, part, None, lambda *_: None, ())
        assert word in caught.value.message
        assert "HTTPS_PROXY" in caught.value.hint


def test_a_file_of_another_size_is_refused_before_it_is_fetched(server, part):
    with pytest.raises(ModelError, match=f"has {SIZE} bytes instead of the 5"):
        fetch(server, part, 5)
    assert not part.exists()


def test_a_full_disk_is_one_sentence_and_the_part_stays(server, part, monkeypatch):
    server.plan = ["break"]
    real, written = Path.open, []

    class FullDisk:
        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.stream.close()

        def seek(self, where):
            self.stream.seek(where)

        def write(self, chunk):
            if written:
                raise OSError(errno.ENOSPC, "No space left on device")
            written.append(len(chunk))
            return self.stream.write(chunk)

    def opened(path, mode="r", *arguments, **named):
        stream = real(path, mode, *arguments, **named)
        return FullDisk(stream) if path == part and mode in ("wb", "r+b") else stream

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(OutputError, match="No space left on device") as caught:
        fetch(server, part)
    assert "goes on from it" in caught.value.hint
    assert part.read_bytes() == CONTENT[: written[0]]
    assert len(server.asked) == 1
    monkeypatch.undo()
    fetch(server, part)
    assert part.read_bytes() == CONTENT


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(server, part, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(OutputError, match="needs"):
        fetch(server, part)
    assert not part.exists() or part.stat().st_size == 0


def test_a_second_download_of_the_same_file_waits_outside(server, part):
    server.plan = ["stall"]
    refused = []

    def report(done, *_):
        if done and not refused:
            with pytest.raises(ModelError, match="Another download of weights is running") as caught:
                fetch(server, part)
            refused.append(caught.value)
            server.go_on.set()

    download(server.url, part, SIZE, report, (0.0,))
    assert refused
    assert part.read_bytes() == CONTENT
