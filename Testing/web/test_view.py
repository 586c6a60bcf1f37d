"""Looking in the browser: windows, fusion, contours, layout, projection, screenshot, and the keys for it."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from reading import CUBE, SHAPE, SPACING_MM


@pytest.fixture
def view(reading):
    """The usual windows."""
    press(reading, "F2", "F7")
    reading.wait(
        lambda state: volume(state, "CT")["window"] == [-160, 240] and volume(state, "PET")["window"] == [0, 10]
    )
    return reading


def press(bench, *keys):
    bench.page.evaluate("document.activeElement?.blur()")
    for key in keys:
        bench.page.keyboard.press(key)


def volume(state, kind):
    return next(value for name, value in state["volumes"].items() if name.endswith(kind))


@pytest.mark.parametrize(
    ("button", "key", "kind", "window"),
    [
        ("softTissue", "F2", "CT", [-160, 240]),
        ("lung", "F3", "CT", [-1350, 150]),
        ("bone", "F4", "CT", [-500, 1300]),
        ("suv5", "F6", "PET", [0, 5]),
        ("suv10", "F7", "PET", [0, 10]),
        ("suv15", "F8", "PET", [0, 15]),
    ],
)
def test_windows_are_one_click_or_one_key(reading, button, key, kind, window):
    other = "view_bone" if button != "bone" else "view_lung"
    other = other if kind == "CT" else ("view_suv5" if button != "suv5" else "view_suv10")
    for act in (lambda: reading.page.locator(f"#view_{button}").click(), lambda: press(reading, key)):
        reading.page.locator(f"#{other}").click()
        reading.wait(lambda state: volume(state, kind)["window"] != window)
        act()
        reading.wait(lambda state: volume(state, kind)["window"] == window)
    reading.page.locator(f"#view_{button}.bg-primary").wait_for()


def test_the_pet_is_faded_by_the_slider_and_by_keys(reading):
    page = reading.page
    page.locator(".pcf-slider", has=page.locator("#view_opacity")).locator("[role=slider]").focus()
    reading.page.keyboard.press("End")
    reading.wait(lambda state: min(state["opacity"]) == 1)
    press(reading, "p")
    reading.wait(lambda state: max(state["opacity"]) == 0)
    press(reading, "p", "d")
    reading.wait(lambda state: np.allclose(state["opacity"], 0.9))
    for _ in range(4):
        press(reading, "d")
    reading.wait(lambda state: np.allclose(state["opacity"], 0.5))


def test_another_color_of_the_pet(reading):
    reading.page.locator("#view_color").locator("xpath=ancestor::div[contains(@class,'v-select')]").first.click()
    reading.page.get_by_role("option", name="PET-Rainbow").click()
    reading.wait(lambda state: volume(state, "PET")["color"] == "PET-Rainbow")


def test_contours_are_hidden_one_by_one_and_all_together(reading):
    reading.page.get_by_title('Show or hide "Reference"').click()
    reading.wait(lambda state: state["drawn"] == {"Reference": False, "Result": True})
    press(reading, "g")
    reading.wait(lambda state: not any(state["drawn"].values()))
    press(reading, "g")
    reading.wait(lambda state: state["drawn"] == {"Reference": False, "Result": True})
    reading.page.get_by_title('Show or hide "Reference"').click()
    reading.wait(lambda state: all(state["drawn"].values()))


def test_one_view_can_have_all_the_room(reading):
    page = reading.page
    small = page.locator("#view_coronal").bounding_box()["width"]
    page.locator("#view_layout_coronal").click()
    page.locator("#view_axial").wait_for(state="hidden")
    assert page.locator("#view_coronal").bounding_box()["width"] > 1.8 * small
    before = reading.state()["slices"]
    press(reading, "f")
    found = reading.wait(lambda state: state["slices"] != before)["slices"]
    assert {name for name in found if found[name] != before[name]} == {"Green"}
    page.locator("#view_layout_four").click()
    page.locator("#view_axial").wait_for()


def test_keys_move_the_axial_slice_by_one(reading):
    before = reading.state()["slices"]["Red"]
    press(reading, "f")
    after = reading.wait(lambda state: state["slices"]["Red"] != before)["slices"]["Red"]
    assert abs(after - before) == pytest.approx(SPACING_MM)
    press(reading, "b")
    reading.wait(lambda state: abs(state["slices"]["Red"] - before) < 1e-3)


def test_a_click_on_the_projection_goes_to_the_uptake(view):
    picture = view.page.locator("#view_projection")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    # From in front: the patient's right (low x in LPS) is on the left, the head (high z) above.
    across = (CUBE[2].start + CUBE[2].stop) / 2 / SHAPE[2]
    down = 1 - (CUBE[0].start + CUBE[0].stop) / 2 / SHAPE[0]
    picture.click(position={"x": across * box["width"], "y": down * box["height"]})
    low = -(np.array(SHAPE) - 1) / 2 * SPACING_MM
    z, y, _x = low + [SPACING_MM * (one.start + one.stop - 1) / 2 for one in CUBE]
    found = view.wait(lambda state: abs(state["slices"]["Red"] - z) < 2 * SPACING_MM)["slices"]
    assert abs(abs(found["Green"]) - abs(y)) < 3 * SPACING_MM
    grey = _pixels(view, "#view_projection")
    assert grey.min() < 80 < 200 < grey.max()


def test_the_picture_that_is_saved_is_what_is_shown(view):
    with view.page.expect_download() as download:
        view.page.locator("#view_screenshot").click()
    assert download.value.suggested_filename == "petct-view.png"
    picture = np.asarray(Image.open(download.value.path()).convert("RGB"), dtype=np.int16)
    assert picture.shape[0] > 300
    assert picture.shape[1] > 400
    colors = picture.max(axis=-1) - picture.min(axis=-1)
    assert (picture.max(axis=-1) > 60).mean() > 0.05
    assert (colors > 60).mean() > 0.002


def test_the_crosshair_is_drawn_only_when_it_is_wanted(view):
    view.page.wait_for_timeout(700)
    before = _pixels(view, "#view_axial")
    view.page.locator("#view_crosshair").check()
    view.page.wait_for_timeout(900)
    with_lines = _pixels(view, "#view_axial")
    changed = np.abs(with_lines - before).max(axis=-1) > 40
    assert 0.0005 < changed.mean() < 0.05
    view.page.locator("#view_crosshair").uncheck()
    view.page.wait_for_timeout(900)
    assert (np.abs(_pixels(view, "#view_axial") - before).max(axis=-1) > 40).mean() < 0.0005


def test_the_dialog_lists_every_key_and_so_does_the_documentation(reading, repository):
    press(reading, "?")
    rows = reading.page.locator("#keys_help tr")
    rows.first.wait_for()
    shown = [tuple(rows.nth(k).locator("td").all_inner_texts()) for k in range(rows.count())]
    page = (repository / "docs" / "keyboard.md").read_text(encoding="utf-8")
    desktop, rest = page.split("## Slicer's own keys")
    pattern = re.compile(r"^\| `([^`]+)` \| (.+?) \|$", re.MULTILINE)
    listed = pattern.findall(desktop) + pattern.findall(rest.split("## In the browser")[1])
    assert sorted(shown) == sorted(listed)
    reading.page.locator("#keys_close").click()
    reading.page.locator("#keys_help").wait_for(state="hidden")


def _pixels(bench, selector):
    shot = bench.page.locator(selector).screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), dtype=np.int16)


def test_no_two_things_on_the_page_have_the_same_name(reading):
    names = reading.page.evaluate("Array.from(document.querySelectorAll('[id]'), one => one.id)")
    assert len(names) > 50
    assert sorted({name for name in names if names.count(name) > 1}) == []
