"""The views of the page in a real Chromium: frames, slices, the brush, and what is drawn of hidden views."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from pages import expect

STAGE, CANVAS = "#axial_stage", "#axial_canvas"


def picture(bench, name="axial"):
    """The pixels of a view, (rows, columns, 3)."""
    from PIL import Image

    text = bench.page.evaluate("name => document.querySelector(`#${name}_canvas`).toDataURL('image/png')", name)
    shown = Image.open(io.BytesIO(base64.b64decode(text.split(",")[1])))
    return np.asarray(shown.convert("RGB"), dtype=np.int16)


def changes(bench, before, name="axial", timeout_s=20):
    """Wait until the view's picture is clearly another one; its pixels."""
    for _ in range(timeout_s * 20):
        now = picture(bench, name)
        if now.shape != before.shape or (np.abs(now - before) > 40).sum() > 30:
            return now
        bench.page.wait_for_timeout(50)
    pytest.fail(f"the {name} view shows the same as before")


def at(bench, x, y, stage=STAGE):
    """A point of the page by its share of a view's width and height."""
    box = bench.page.locator(stage).bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


@pytest.fixture
def bench(shared_workbench):
    shared_workbench.page.wait_for_function("() => document.querySelector('#axial_position').textContent")
    return shared_workbench


def test_every_view_has_a_picture_and_says_where_it_is(bench):
    for name in ("axial", "coronal", "sagittal"):
        assert (picture(bench, name) > 60).mean() > 0.02
        assert bench.page.locator(f"#{name}_position").inner_text().endswith("mm")
    letters = bench.page.locator(f"{STAGE} .petct-letter").all_inner_texts()
    assert letters == ["R", "L", "A", "P"]
    assert bench.page.locator("#sagittal_stage .petct-letter").all_inner_texts() == ["A", "P", "S", "I"]


def test_the_wheel_goes_to_the_next_slice_and_the_picture_follows(bench):
    before, state = picture(bench), bench.state()
    bench.page.mouse.move(*at(bench, 0.5, 0.5))
    bench.page.mouse.wheel(0, -100)
    changes(bench, before)
    moved = bench.state()["slices"]["Red"] - state["slices"]["Red"]
    assert moved == pytest.approx(3.0)
    bench.page.mouse.wheel(0, 100)
    bench.wait(lambda found: found["slices"]["Red"] == pytest.approx(state["slices"]["Red"]))


def test_the_slider_and_the_keys_move_the_slice(bench):
    start = bench.state()["slices"]["Yellow"]
    bench.page.locator("#sagittal_slice").evaluate(
        "one => { one.value = Number(one.value) + 6; one.dispatchEvent(new Event('input')) }"
    )
    bench.wait(lambda found: found["slices"]["Yellow"] == pytest.approx(start + 6, abs=0.8))
    bench.page.locator("#sagittal_stage").click(position={"x": 5, "y": 5}, button="right")
    now = bench.state()["slices"]["Yellow"]
    bench.page.keyboard.press("ArrowUp")
    bench.wait(lambda found: found["slices"]["Yellow"] == pytest.approx(now + 1.5, abs=0.1))


def test_a_click_brings_the_other_slices_to_it(bench):
    before = bench.state()["slices"]
    x, y = at(bench, 0.45, 0.55)
    bench.page.mouse.move(x, y)
    bench.page.mouse.down()
    bench.page.mouse.up()
    after = bench.wait(lambda found: found["slices"]["Yellow"] != before["Yellow"])["slices"]
    assert after["Red"] == before["Red"]
    assert after["Green"] != before["Green"]


def test_a_double_click_makes_a_view_large_and_another_one_all_four(bench):
    page, small = bench.page, bench.page.locator("#coronal_stage").bounding_box()
    page.locator("#coronal_stage").dblclick(position={"x": 30, "y": 30})
    page.locator("#view_axial").wait_for(state="hidden")
    large = page.locator("#coronal_stage").bounding_box()
    assert large["width"] > 1.8 * small["width"]
    # The picture grows with it, and a hidden view has none drawn.
    page.wait_for_function("() => document.querySelector('#coronal_canvas').width > 700")
    page.locator("#coronal_maximize").click()
    page.locator("#view_axial").wait_for(state="visible")
    page.wait_for_function("width => document.querySelector('#coronal_canvas').width < width", arg=700)


def test_values_under_the_pointer(bench):
    bench.page.mouse.move(*at(bench, 0.5, 0.5))
    bench.page.wait_for_function("() => document.querySelector('#axial_value').textContent.includes('SUV')")
    expect(bench.page.locator("#axial_value")).to_contain_text("CT", use_inner_text=True)


def test_the_brush_paints_and_undo_takes_it_back(bench):
    page, before = bench.page, picture(bench)
    voxels = bench.voxels()
    page.locator("#edit_paint").click()
    page.wait_for_function("() => document.querySelector('#axial_stage').classList.contains('petct-draws')")
    page.mouse.move(*at(bench, 0.2, 0.2))
    ring = page.locator(f"{STAGE} > svg circle").last
    assert ring.get_attribute("visibility") == "visible"
    page.mouse.down()
    page.mouse.move(*at(bench, 0.3, 0.2), steps=4)
    changes(bench, before)
    page.mouse.up()
    painted = bench.wait(lambda found: bench.voxels() > voxels + 20)
    assert painted
    page.locator("#undo_button").click()
    bench.wait(lambda found: bench.voxels() == voxels)
    page.locator("#redo_button").click()
    bench.wait(lambda found: bench.voxels() > voxels + 20)
    page.locator("#undo_button").click()
    page.locator("#edit_paint").click()
    page.wait_for_function("() => !document.querySelector('#axial_stage').classList.contains('petct-draws')")


def test_shift_and_wheel_change_the_brush_and_not_the_slice(bench):
    page, start = bench.page, bench.state()["slices"]["Red"]
    page.locator("#edit_paint").click()
    page.mouse.move(*at(bench, 0.3, 0.3))
    ring = page.locator(f"{STAGE} > svg circle").last
    page.wait_for_function("() => document.querySelector('#axial_stage > svg circle').getAttribute('r')")
    radius = float(ring.get_attribute("r"))
    page.keyboard.down("Shift")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Shift")
    page.wait_for_timeout(400)
    assert float(ring.get_attribute("r")) == pytest.approx(1.15 * radius, rel=0.02)
    assert bench.state()["slices"]["Red"] == start
    page.locator("#edit_paint").click()


def test_the_last_frame_at_rest_is_sharp(bench):
    """Fewer bytes a picture while it moves; what stays on the screen has them all."""
    bench.page.evaluate(
        "() => { const make = window.createImageBitmap; window.sizes = [];"
        " window.createImageBitmap = (blob) => { window.sizes.push(blob.size); return make(blob); } }"
    )
    bench.page.mouse.move(*at(bench, 0.5, 0.5))
    for _ in range(5):
        bench.page.mouse.wheel(0, -100)
    bench.page.wait_for_function("() => Math.max(...window.sizes) > 1.5 * Math.min(...window.sizes)")
    bench.page.wait_for_timeout(1000)
    sizes = bench.page.evaluate("window.sizes")
    assert sizes[-1] == max(sizes) > 1.5 * sizes[0]


def test_the_screenshot_is_what_is_shown(bench):
    from PIL import Image

    with bench.page.expect_download() as download:
        bench.page.locator("#view_screenshot").click()
    shot = Image.open(io.BytesIO(download.value.path().read_bytes()))
    assert shot.format == "PNG"
    canvas = bench.page.evaluate("() => [...document.querySelectorAll('canvas')].map(one => [one.width, one.height])")
    assert shot.width >= 2 * canvas[0][0]


def test_a_page_that_is_loaded_again_shows_the_same(bench):
    position = bench.page.locator("#axial_position").inner_text()
    bench.page.reload()
    bench.page.wait_for_function(
        "text => document.querySelector('#axial_position')?.textContent === text", arg=position
    )
    for _ in range(100):
        if (picture(bench) > 60).mean() > 0.02:
            return
        bench.page.wait_for_timeout(100)
    pytest.fail("no picture came")


def test_rubbish_from_a_page_is_ignored(bench):
    page = bench.page
    for message in (
        {"what": "wheel"},
        {"what": "pointer", "kind": 3},
        {"what": "size", "w": "x"},
        {"what": "eval"},
        {},
    ):
        page.evaluate(
            "m => trame.client.getConnection().getSession().call('petct.view', ['axial', m])",
            message,
        )
    page.evaluate("() => trame.client.getConnection().getSession().call('petct.view', [7, 8])")
    before = picture(bench)
    page.mouse.move(*at(bench, 0.5, 0.5))
    page.mouse.wheel(0, 100)
    changes(bench, before)
