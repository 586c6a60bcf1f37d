"""The workbench as a user has it: a real server, a real session process, a real Chromium. See `pages.Bench`."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_HERE = str(Path(__file__).resolve().parent)
if _HERE not in sys.path:
    sys.path.insert(0, _HERE)

from pages import Bench, Server, running, visiting  # noqa: E402
from reading import writeStudy  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


_WITH_BROWSER = {"browser", "workbench", "shared_workbench", "reading"}


@pytest.fixture(autouse=True)
def loop_of_its_own(request: pytest.FixtureRequest) -> Iterator[None]:
    """Playwright's synchronous interface leaves its event loop running, so that no test without it could start one."""
    if _WITH_BROWSER & set(request.fixturenames):
        yield
        return
    running = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(running)


@pytest.fixture
def scene() -> Iterator[Any]:
    """A real scene in this process, for tests without a browser."""
    from PETCTFusionSegLib.mrml.headless import bootHeadless

    booted = bootHeadless()
    yield booted.scene
    booted.clear()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real Chromium; tests are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason='needs: pip install "petctfusion[test]"')
    program = os.environ.get("PETCTFUSION_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no browser: apt install chromium, or name one with PETCTFUSION_CHROMIUM")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def phantom_server(user_folders: Path) -> Iterator[Server]:
    """One server for all tests; every visitor gets the simulated patient in a session of their own."""
    with running("--phantom", "--sessions", "4") as server:
        yield server


@pytest.fixture
def workbench(browser: Any, phantom_server: Server) -> Iterator[Bench]:
    """A new visitor with the simulated patient on the page (some seconds each)."""
    with visiting(browser, phantom_server) as bench:
        yield bench


@pytest.fixture(scope="module")
def shared_workbench(browser: Any, phantom_server: Server) -> Iterator[Bench]:
    """One visitor for all tests of a file; for tests that can live with what the others left."""
    with visiting(browser, phantom_server) as bench:
        yield bench


@pytest.fixture(scope="session")
def reading_server(user_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server whose visitors get the small study of `reading.py` with its reference and a result."""
    with running(*writeStudy(tmp_path_factory.mktemp("reading")), "--sessions", "4") as server:
        yield server


@pytest.fixture(scope="session")
def reading(browser: Any, reading_server: Server) -> Iterator[Bench]:
    """One visitor with that study for all tests that leave it as they found it."""
    with visiting(browser, reading_server) as bench:
        bench.wait(lambda found: "Result" in found["segments"])
        yield bench
