"""A real server with real session processes, and visitors with a real browser."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PICTURES = Path(__file__).with_name("pictures")
SCREENSHOTS = Path(__file__).resolve().parents[2] / "Resources" / "Screenshots"
SIZE = {"width": 1440, "height": 900}
_READY_MS = 240_000
_PICTURE_S = 15


@dataclass
class Server:
    """A running `petctfusion view`."""

    process: subprocess.Popen[str]
    address: str
    """With its token."""

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self.address.split("/?")[0]

    @property
    def token(self) -> str:
        """What lets a visitor in."""
        return self.address.split("token=")[1]


@dataclass
class Bench:
    """One visitor's page. `errors` and `strangers` are looked at when the test is over: there must be none."""

    page: Any
    server: Server
    errors: list[str] = field(default_factory=list)
    """What the browser's console reported as an error."""
    strangers: list[str] = field(default_factory=list)
    """Requests to anybody but our own server."""
    expected: list[str] = field(default_factory=list)
    """Patterns of errors that the test provokes."""

    def state(self) -> dict[str, Any]:
        """What is in the session's scene, asked of the session itself."""
        return self.page.evaluate("async () => (await fetch('testing/state')).json()")

    def voxels(self, segment: str = "") -> int:
        """Voxels of the segments of this name (of all without a name), without those of the reference."""
        found = self.state()
        reference = found["chosen"]["reference"]
        return sum(
            count
            for node, segments in found["segments"].items()
            for name, count in segments.items()
            if node != reference and segment in ("", name)
        )

    def wait(self, condition: Callable[[dict[str, Any]], object], timeout_s: float = 20.0) -> dict[str, Any]:
        """Until the session's state fulfils the condition; that state."""
        end = time.monotonic() + timeout_s
        while True:
            found = self.state()
            if condition(found):
                return found
            assert time.monotonic() < end, f"still not so after {timeout_s:g} s: {json.dumps(found)[:2000]}"
            # Not time.sleep: the page has to go on.
            self.page.wait_for_timeout(100)

    def waitStatus(self, pattern: str, timeout_s: float = 20.0) -> str:
        """Until the line below the views says something that matches."""
        return self.wait(lambda found: re.search(pattern, found["status"] or ""), timeout_s)["status"]

    def complaints(self) -> list[str]:
        """Errors that nobody expected."""
        return [one for one in self.errors if not any(re.search(pattern, one) for pattern in self.expected)]

    def looksLike(self, name: str, target: Any = None, mean: float = 4.0, share: float = 0.04) -> None:
        """Compare with Testing/web/pictures/NAME.png: mean absolute difference (of 255) and share of pixels that differ
        clearly. With PETCTFUSION_PICTURES=write in the environment the picture is made instead."""
        self._compare(PICTURES / f"{name}.png", target, mean, share, 60_000)

    def looksLikeScreenshot(self, name: str) -> None:
        """As `looksLike`, but for a picture of the README, which is kept as large as it is on the screen."""
        self._compare(SCREENSHOTS / f"{name}.png", None, 6.0, 0.06, 300_000)

    def _compare(self, path: Path, target: Any, mean: float, share: float, largest: int) -> None:
        from PIL import Image

        if os.environ.get("PETCTFUSION_PICTURES") == "write":
            self._write(path, target, largest)
        assert path.is_file(), f"{path.name} is missing: make it with PETCTFUSION_PICTURES=write, and look at it"
        wanted = np.asarray(shrunk(Image.open(path).convert("RGB")), dtype=np.int16)
        end = time.monotonic() + _PICTURE_S
        while True:
            found = np.asarray(shrunk(self._shot(target)), dtype=np.int16)
            assert found.shape == wanted.shape, f"{path.stem}: {found.shape[:2]} pixels, not {wanted.shape[:2]}"
            difference = np.abs(found - wanted)
            differing = float((difference.max(axis=2) > 48).mean())
            if difference.mean() <= mean and differing <= share:
                return
            said = f"mean difference {difference.mean():.2f}, {100 * differing:.1f} % of the pixels differ"
            if time.monotonic() > end:
                seen = Path(tempfile.gettempdir()) / f"{path.stem}-seen.png"
                self._shot(target).save(seen)
                pytest.fail(f"{path.stem}: {said}; it was {seen}")
            # Surfaces and metrics come when the machine has time for them.
            self.page.wait_for_timeout(500)

    def _write(self, path: Path, target: Any, largest: int) -> None:
        from PIL import Image

        self.page.wait_for_timeout(1000 * _PICTURE_S)
        path.parent.mkdir(exist_ok=True)
        shot = self._shot(target)
        # The octree keeps small patches of a color of their own, as in a legend.
        if path.parent == SCREENSHOTS:
            kept = shot.quantize(256, method=Image.Quantize.FASTOCTREE)
        else:
            kept = shrunk(shot).quantize(64)
        kept.save(path, optimize=True)
        assert path.stat().st_size <= largest, f"{path.name} is too large for the repository"

    def _shot(self, target: Any) -> Any:
        from PIL import Image

        return Image.open(io.BytesIO((target or self.page).screenshot())).convert("RGB")


def shrunk(picture: Any) -> Any:
    """At most 720 pixels wide: fine text and noise count less than what is where."""
    factor = max(1.0, picture.width / 720)
    return picture.resize((round(picture.width / factor), round(picture.height / factor)))


@contextmanager
def running(*arguments: str, testing: bool = True, **environment: str) -> Iterator[Server]:
    """`petctfusion view` with these arguments, until the end of the block."""
    variables = {**os.environ, **environment}
    variables.pop("PETCTFUSION_TOKEN", None)
    variables["PETCTFUSION_WEB_TESTING"] = "1" if testing else "0"
    process = subprocess.Popen(
        [sys.executable, "-m", "petctfusion.cli", "view", "--no-browser", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=variables,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            process.kill()
            pytest.fail(f"the server did not start: {line} {process.communicate()[1]}")
        yield Server(process, found.group())
    finally:
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextmanager
def visiting(browser: Any, server: Server, ready: bool = True) -> Iterator[Bench]:
    """A new visitor, who has a session of their own; it is ended afterwards, and the page must have been clean."""
    context = browser.new_context(viewport=SIZE, accept_downloads=True)
    page = context.new_page()
    bench = Bench(page, server)
    page.on("console", lambda message: bench.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: bench.errors.append(str(error)))
    context.on("request", lambda request: _watch(bench, request.url))
    try:
        page.goto(server.address)
        if ready:
            enter(bench)
        yield bench
        assert bench.strangers == [], "the page asked somebody else"
        assert not bench.complaints(), f"errors in the browser's console: {bench.complaints()}"
    finally:
        context.request.post(f"{server.origin}/end", headers={"Origin": server.origin})
        context.close()


def enter(bench: Bench) -> None:
    """Until the page is there and the study it begins with has been loaded."""
    bench.page.wait_for_selector("#status, #ended, #refused", state="attached", timeout=_READY_MS)
    gone = bench.page.locator("#ended, #refused")
    assert gone.count() == 0, gone.first.inner_text()
    bench.wait(lambda found: found["status"] != "Loading...", 60)


def _watch(bench: Bench, url: str) -> None:
    own = (bench.server.origin, bench.server.origin.replace("http", "ws", 1), "data:", "blob:", "about:")
    if not url.startswith(own):
        bench.strangers.append(url)


def expect(locator: Any) -> Any:
    """Playwright's assertions, which look again until they hold: the page follows the session a moment later."""
    from playwright.sync_api import expect as looking

    looking.set_options(timeout=15_000)
    return looking(locator)
