"""Prints how long the browser workbench takes from a mouse event in the page to the new picture in the page.

python Testing/benchmarks/web_latency.py [--samples N] [--runs N] [--only ours|peer] [--output FILE.json]

A study of 400 x 400 x 300 voxels (CT, PET, one segment), one view of 512 x 512 pixels, headless Chromium. The clock
runs in the page: from dispatching the event until the picture differs at an animation frame. Beside it, on the same
machine and in the same run, trame-slicer's own viewer with the same study; and what the server's part consists of.
A machine that has other things to do shows what these cost: run it alone, or `chrt -r 5 python ...` as root.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from web_server_part import SHAPE, parts_ms, write_study

VIEW = 512
TARGETS_MS = {"stroke": 100, "scroll": 80}
"""What the project holds itself to: medians."""
SETTLE_MS = 320
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class App:
    """An application under test. Selectors: the element that gets the mouse, and the one that shows the picture."""

    name: str
    stage: str
    picture: str
    address: str


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def ours(study: Path) -> Iterator[App]:
    """`petctfusion view`, through its gateway, as users have it."""
    files = ("--ct", study / "ct.nrrd", "--pet", study / "pet.nrrd", "--segmentation", study / "mask.nrrd")
    command = [sys.executable, "-m", "petctfusion.cli", "view", "--no-browser", "--port", "0", *map(str, files)]
    with process(command, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        found = re.search(rb"http://\S+", started.stdout.readline())
        assert found, "the server did not start"
        yield App("ours", "#axial_stage", "#axial_canvas", found.group().decode())


@contextmanager
def peer(study: Path, paints: bool = False) -> Iterator[App]:
    """trame-slicer's MedicalViewerApp, with the study in its axial view; it draws its brush into every picture."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/index.html"
    with process([sys.executable, str(_HERE / "web_peer.py"), str(study), str(port), "paint" if paints else ""]):
        for _ in range(240):
            try:
                urllib.request.urlopen(address).close()
                break
            except OSError:
                time.sleep(0.5)
        picture = 'img[src^="blob:"]'
        yield App("peer", picture, picture, address)


@contextmanager
def process(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(command, **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | options)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()


# --- in the page

PROBE = """
([picture, settleMs]) => {
  const eye = document.createElement("canvas");
  // Every eighth pixel each way: looking must not cost what is measured.
  eye.width = eye.height = 64;
  const context = eye.getContext("2d", { willReadFrequently: true, alpha: false });
  context.imageSmoothingEnabled = false;
  const shown = () => [...document.querySelectorAll(picture)].find((one) => one.offsetParent || one.width);
  const look = () => {
    const one = shown();
    if (!one || !(one.naturalWidth ?? one.width)) return 0;
    context.drawImage(one, 0, 0, 64, 64);
    const words = new Uint32Array(context.getImageData(0, 0, 64, 64).data.buffer);
    let sum = 0;
    for (const word of words) sum = (Math.imul(sum, 31) + word) | 0;
    return sum;
  };
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  window.probe = {
    async settled() {
      let last = look(), since = performance.now();
      while (performance.now() - since < settleMs) {
        await new Promise((done) => setTimeout(done, 20));
        const now = look();
        if (now !== last) [last, since] = [now, performance.now()];
      }
      return last;
    },
    async react(act) {
      const before = await this.settled();
      const start = performance.now();
      act();
      while (performance.now() - start < 3000) {
        await frame();
        if (look() !== before) return performance.now() - start;
      }
      return null;
    },
    // Frames that differ while events come as fast as a hand and a screen make them.
    async rate(act, forMs) {
      let frames = 0, last = look();
      const start = performance.now();
      for (let number = 0; performance.now() - start < forMs; number++) {
        act(number);
        await frame();
        const now = look();
        if (now !== last) frames++;
        last = now;
      }
      return (frames * 1000) / (performance.now() - start);
    },
  };
}
"""
ACTS = """
(stageSelector) => {
  const stage = [...document.querySelectorAll(stageSelector)].find((one) => one.clientWidth);
  const at = (x, y) => {
    const box = stage.getBoundingClientRect();
    const place = { clientX: box.left + x, clientY: box.top + y };
    return { ...place, bubbles: true, cancelable: true, pointerId: 1, isPrimary: true };
  };
  let wheel = 0, step = 0;
  window.acts = {
    // Up and down around the middle: every slice differs from its neighbours.
    scroll() {
      wheel++;
      const deltaY = Math.floor(wheel / 40) % 2 ? 100 : -100;
      stage.dispatchEvent(new WheelEvent("wheel", { ...at(256, 256), deltaY }));
    },
    press() { stage.dispatchEvent(new PointerEvent("pointerdown", { ...at(60, 100), button: 0, buttons: 1 })); },
    release() { stage.dispatchEvent(new PointerEvent("pointerup", { ...at(60, 100), button: 0 })); },
    // Line by line over the picture, never twice over the same place.
    stroke() {
      step++;
      const x = 60 + ((step * 12) % 384), y = 100 + 22 * Math.floor((step * 12) / 384);
      stage.dispatchEvent(new PointerEvent("pointermove", { ...at(x, y), button: -1, buttons: 1 }));
    },
  };
  const box = stage.getBoundingClientRect();
  return [box.width, box.height];
}
"""


def prepare(page: Any, app: App) -> None:
    """One view of VIEW x VIEW pixels, and the probe in the page."""
    page.goto(app.address)
    page.wait_for_function(
        "selector => [...document.querySelectorAll(selector)].some(one => one.clientWidth)",
        arg=app.picture,
        timeout=120_000,
    )
    if app.name == "ours":
        page.wait_for_function("() => document.querySelector('#axial_position').textContent", timeout=120_000)
        page.locator("#axial_maximize").click()
    for _ in range(2):
        page.wait_for_timeout(700)
        width, height = page.evaluate(ACTS, app.stage)
        now = page.viewport_size
        page.set_viewport_size(
            {"width": round(now["width"] + VIEW - width), "height": round(now["height"] + VIEW - height)}
        )
    page.wait_for_timeout(1000)
    size = page.evaluate(ACTS, app.stage)
    assert [round(one) for one in size] == [VIEW, VIEW], f"{app.name}: the view has {size} pixels"
    # The peer draws a view at its full rate only while the mouse is in it.
    box = page.locator(app.stage).first.bounding_box()
    page.mouse.move(box["x"] + VIEW / 2, box["y"] + VIEW / 2, steps=3)
    page.evaluate(PROBE, [app.picture, SETTLE_MS])


def sampled(page: Any, act: str, samples: int) -> list[float]:
    found = [page.evaluate(f"() => probe.react(acts.{act})") for _ in range(samples)]
    return [one for one in found if one is not None]


def measured(app: App, kinds: tuple[str, ...], samples: int, browser: Any) -> dict[str, Any]:
    """Latencies in ms by kind of event, and frames a second while the hand does not rest."""
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    prepare(page, app)
    row: dict[str, Any] = {}
    for kind in kinds:
        if kind == "stroke":
            if app.name == "ours":
                page.locator("#edit_paint").click()
            page.evaluate("() => acts.press()")
        sampled(page, kind, 5)
        row[kind] = summary(sampled(page, kind, samples), samples)
        row[kind]["frames_a_second"] = page.evaluate(f"() => probe.rate(acts.{kind}, 3000)")
    page.close()
    return row


def summary(times: list[float], asked: int) -> dict[str, Any]:
    assert len(times) >= 0.9 * asked, f"only {len(times)} of {asked} events changed the picture"
    return {
        "samples": len(times),
        "median_ms": statistics.median(times),
        "p95_ms": float(np.percentile(times, 95)),
        "max_ms": max(times),
    }


# --- the table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", choices=("ours", "peer"))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    chosen = [options.only] if options.only else ["ours", "peer"]
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder)
        write_study(study)
        parts = parts_ms(study, VIEW)
        runs = [{name: one_run(name, study, options.samples) for name in chosen} for _ in range(options.runs)]
    result = {"machine": machine(), "view": VIEW, "shape": SHAPE, "server_parts_ms": parts, "runs": runs}
    print(table(result))
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def one_run(name: str, study: Path, samples: int) -> dict[str, Any]:
    """Ours does both with one page; the peer scrolls without its brush, which would be the first change in sight."""
    if name == "ours":
        return visit(ours(study), ("scroll", "stroke"), samples)
    return visit(peer(study), ("scroll",), samples) | visit(peer(study, paints=True), ("stroke",), samples)


def visit(application: AbstractContextManager[App], kinds: tuple[str, ...], samples: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    program = os.environ.get("PETCTFUSION_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with application as app, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=_FLAGS)
        try:
            return measured(app, kinds, samples, browser)
        finally:
            browser.close()


def machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}


def table(result: dict[str, Any]) -> str:
    """Markdown: latencies of every run, the ratio to the peer, and the server's part."""
    lines = [
        "| run | what | application | median ms | p95 ms | max ms | frames/s while moving | target ms |",
        "|" + "---|" * 8,
    ]
    for number, run in enumerate(result["runs"], 1):
        for kind in ("scroll", "stroke"):
            for name, row in run.items():
                if kind in row:
                    one = row[kind]
                    cells = [f"{one[key]:.0f}" for key in ("median_ms", "p95_ms", "max_ms", "frames_a_second")]
                    target = f"{TARGETS_MS[kind]}" if name == "ours" else ""
                    lines.append(f"| {number} | {kind} | {name} | " + " | ".join(cells) + f" | {target} |")
            if all(kind in row for row in run.values()) and len(run) == 2:
                ratio = run["peer"][kind]["median_ms"] / run["ours"][kind]["median_ms"]
                lines.append(f"| {number} | {kind} | ratio | {ratio:.1f} x | | | | |")
    lines += [
        "",
        "| on the server | " + " | ".join(next(iter(result["server_parts_ms"].values()))) + " |",
        "|" + "---|" * 5,
    ]
    for kind, parts in result["server_parts_ms"].items():
        lines.append(f"| {kind}, ms | " + " | ".join(f"{value:.1f}" for value in parts.values()) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
