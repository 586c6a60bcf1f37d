"""What the 3-D view frames while somebody draws. In a real Chromium."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from pages import running, visiting
from small_study import writeSmallStudy

pytest.importorskip("trame_slicer", reason="the browser workbench is not installed")


def drawn(bench):
    """Where the 3-D picture shows a surface (rows, columns); the marker of the axes in its corner is left out."""
    from PIL import Image

    text = bench.page.evaluate("document.getElementById('3d_canvas').toDataURL('image/png')")
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(text.split(",")[1]))).convert("RGB")).max(axis=2) > 60
    rows, columns = pixels.shape
    pixels[round(0.75 * rows) :, round(0.8 * columns) :] = False
    return pixels


def until(bench, condition, what, seconds=20.0):
    for _ in range(round(seconds * 10)):
        pixels = drawn(bench)
        if condition(pixels):
            return pixels
        bench.page.wait_for_timeout(100)
    pytest.fail(f"{what}: not within {seconds:g} s; a surface in {100 * pixels.mean():.1f} % of the picture")


def framed(pixels):
    """Large enough to be looked at, and all of it there."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return pixels.mean() > 0.05 and not border.any()


def stroke(bench, x, y):
    """A dot at a share of the axial view's width and height."""
    view = bench.page.locator("#view_axial").bounding_box()
    bench.page.mouse.click(view["x"] + x * view["width"], view["y"] + y * view["height"])


def turn(bench):
    view = bench.page.locator("#view_3d").bounding_box()
    x, y = view["x"] + view["width"] / 2, view["y"] + view["height"] / 2
    bench.page.mouse.move(x, y)
    bench.page.mouse.down()
    for step in range(1, 6):
        bench.page.mouse.move(x + 12 * step, y + 4 * step)
    bench.page.mouse.up()


@pytest.fixture(scope="module")
def server(user_folders, tmp_path_factory):
    """Nothing but a CT: what is in the 3-D view is what was drawn."""
    with running("--ct", str(writeSmallStudy(tmp_path_factory.mktemp("study")).ct)) as started:
        yield started


@pytest.fixture
def bench(browser, server):
    """A new segment with nothing in it, and the brush in the hand."""
    with visiting(browser, server) as visit:
        visit.page.locator("#edit_new_segment").click()
        visit.wait(lambda found: found["segments"])
        visit.page.locator("#edit_paint").click()
        visit.page.wait_for_function("window.trame.state.get('edit_tool') === 'paint'")
        yield visit


def test_the_first_stroke_is_framed_and_a_far_one_is_brought_into_view(bench):
    stroke(bench, 0.45, 0.35)
    until(bench, framed, "one dot fills the view")
    stroke(bench, 0.70, 0.60)
    until(bench, lambda pixels: framed(pixels) and halves(pixels), "both dots are in view")


def halves(pixels):
    """Something in the left and in the right half."""
    middle = pixels.shape[1] // 2
    return pixels[:, :middle].any() and pixels[:, middle:].any()


def test_who_has_turned_the_view_keeps_it_until_all_is_new(bench):
    stroke(bench, 0.45, 0.35)
    until(bench, framed, "one dot fills the view")
    before = drawn(bench)
    turn(bench)
    until(bench, lambda pixels: (pixels != before).any(), "it is turned")
    bench.page.wait_for_timeout(500)
    turned = drawn(bench)
    stroke(bench, 0.46, 0.36)
    bench.page.wait_for_timeout(1500)
    # A little more of the same surface, not another view of it.
    assert (drawn(bench) & turned).sum() > 0.9 * turned.sum()
    for _ in range(2):
        bench.page.locator("#undo_button").click()
    until(bench, lambda pixels: not pixels.any(), "all is taken back")
    stroke(bench, 0.70, 0.60)
    until(bench, framed, "what is drawn then fills the view")
