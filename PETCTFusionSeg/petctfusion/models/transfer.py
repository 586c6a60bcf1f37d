"""Downloads one file over HTTP: continued where it stopped, tried again when the connection breaks. No torch."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from petctfusion import __version__
from petctfusion.errors import ModelError, OutputError

# (bytes there, bytes in all or 0 where nobody says, seconds left or None)
Report = Callable[[int, int, float | None], None]
_CHUNK = 1 << 18
_SILENCE_S = 60.0
_WAITS_S = (1.0, 2.0, 5.0, 10.0, 20.0)
_FIRST_TRIES = 2
_WORTH_TRYING_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_GO_ON = "What is there is kept: the same command goes on from it."


@dataclass(frozen=True)
class _Answer:
    """The server's answer: where its bytes begin in the file, and how long the whole file is (0: not said)."""

    stream: http.client.HTTPResponse
    start: int
    total: int


def download(url: str, part: Path, size: int | None, report: Report, waits_s: Sequence[float] = _WAITS_S) -> None:
    """Make `part` the whole file behind `url`, going on with what it already holds.

    `size` in bytes, where it is known, is demanded. Raises `ModelError` for a server that cannot be reached or does not
    have the file, `OutputError` for a full disk; the part is kept in both cases.
    """
    with _alone(part):
        # Without a network the user is told soon; patience is for a server that has already sent something.
        tries = iter(waits_s[:_FIRST_TRIES])
        while True:
            before = _length(part)
            try:
                if _once(url, part, size, report):
                    return
                problem = "the connection broke"
            except urllib.error.HTTPError as error:
                if error.code not in _WORTH_TRYING_AGAIN:
                    raise _refused(url, error) from error
                problem = f"it answered {error.code} {error.reason}"
            except urllib.error.URLError as error:
                if isinstance(error.reason, ssl.SSLCertVerificationError):
                    raise _unreachable(
                        url, f"its certificate is not trusted ({error.reason.verify_message})"
                    ) from error
                problem = str(getattr(error.reason, "strerror", None) or error.reason)
            except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
                problem = str(error) or type(error).__name__
            if _length(part) > before:
                tries = iter(waits_s)
            wait_s = next(tries, None)
            if wait_s is None:
                raise _unreachable(url, problem)
            time.sleep(wait_s)


def _once(url: str, part: Path, size: int | None, report: Report) -> bool:
    """One connection; True when the file is whole."""
    offset = _length(part)
    if size is not None and offset > size:
        part.unlink()
        offset = 0
    if size is not None and offset == size:
        return True
    try:
        answer = _ask(url, offset)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # Nothing follows the last byte: whole, unless the file has become another one since.
        if (error.headers.get("Content-Range") or "").rpartition("/")[2] == str(offset):
            return True
        part.unlink()
        answer = _ask(url, 0)
    with contextlib.closing(answer.stream):
        total = answer.total
        if size is not None and total and total != size:
            raise ModelError(
                f"The file at {_host(url)} has {total} bytes instead of the {size} of the catalogue.",
                "Its makers may have replaced it, or your network sends a page of its own: open the address once.",
            )
        _receive(answer, part, size or total, report)
    length = _length(part)
    return length == (size or total or length)


def _ask(url: str, offset: int) -> _Answer:
    headers = {"User-Agent": f"PETCTFusionSeg/{__version__}", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    stream = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_SILENCE_S)
    if stream.status == 206:
        span, _, total = (stream.headers.get("Content-Range") or "").removeprefix("bytes ").partition("/")
        start = span.partition("-")[0]
        if start == str(offset):
            return _Answer(stream, offset, int(total) if total.isdigit() else 0)
        stream.close()
        raise http.client.HTTPException("it sent another part of the file than was asked for")
    length = stream.headers.get("Content-Length") or ""
    return _Answer(stream, 0, int(length) if length.isdigit() else 0)


def _receive(answer: _Answer, part: Path, total: int, report: Report) -> None:
    """Append the answer to the part, or begin it anew where the server starts from the beginning."""
    begun, there = time.monotonic(), answer.start
    with _writing(part), part.open("r+b" if answer.start else "wb") as out:
        out.seek(answer.start)
        _require_room(part.parent, total - there)
        while True:
            fetched = there - answer.start
            seconds_left = (total - there) * (time.monotonic() - begun) / fetched if total and fetched else None
            report(there, total, seconds_left)
            chunk = _read(answer.stream)
            if not chunk:
                return
            out.write(chunk)
            there += len(chunk)
            if total and there > total:
                raise http.client.HTTPException("it sent more than the file holds")


def _read(stream: http.client.HTTPResponse) -> bytes:
    try:
        return stream.read1(_CHUNK)
    except OSError as error:
        # Apart from the errors of the disk, which are no reason to try again.
        raise http.client.HTTPException(error.strerror or str(error)) from error


@contextlib.contextmanager
def _writing(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The download cannot be written to {part.parent}: {error.strerror}.", f"Free some space. {_GO_ON}"
        ) from error


def _require_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"The download needs {needed / 1e9:.1f} GB more, and {folder} has {free / 1e9:.1f} GB.",
            "Free the disk, or choose another folder with the environment variable PETCTFUSION_MODELS.",
        )


def _length(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _refused(url: str, error: urllib.error.HTTPError) -> ModelError:
    return ModelError(
        f"The server {_host(url)} does not give the file: {error.code} {error.reason}.",
        f"Look whether it has moved: {url}",
    )


def _unreachable(url: str, problem: str) -> ModelError:
    return ModelError(
        f"The server {_host(url)} cannot be reached: {problem}.",
        f"Check the internet connection, or the proxy in HTTPS_PROXY. {_GO_ON}",
    )


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Keeps a second download of the same file out; the lock falls with the process, however that ends."""
    with _writing(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        stream = part.with_suffix(".lock").open("a")
    with stream:
        try:
            _lock(stream)
        except OSError as error:
            raise ModelError(
                f"Another download of {part.stem} is running.", "Wait for it, or stop it and try again."
            ) from error
        yield


def _lock(stream: IO[Any]) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
