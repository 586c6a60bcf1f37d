"""Comparing in the browser: numbers as numpy has them, which move with the brush; the overlay; the ways to a place."""

import re

import numpy as np
import pytest
from pages import expect
from reading import CUBE, SPACING_MM, dice, result, truth, volumeMl

LOW_MM = -(48 - 1) / 2 * SPACING_MM


def row(bench):
    return bench.page.locator("#compare_table tbody tr").first.locator("td").all_inner_texts()


def until(bench, column, text):
    cell = bench.page.locator("#compare_table tbody tr").first.locator("td").nth(column)
    cell.filter(has_text=re.compile(text)).wait_for(timeout=15_000)
    return row(bench)


def paint(bench, dx, dy):
    """A short stroke in the axial view, beside its middle (pixels)."""
    page = bench.page
    box = page.locator("#view_axial").bounding_box()
    x, y = box["x"] + box["width"] / 2 + dx, box["y"] + box["height"] / 2 + dy
    page.keyboard.press("1")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 12, y, steps=4)
    page.mouse.up()
    page.keyboard.press("Escape")


@pytest.fixture
def compare(reading):
    """The first numbers."""
    until(reading, 1, f"^{dice(result(), truth()):.3f}$")
    yield reading
    if reading.page.locator("#compare_overlay").is_checked():
        reading.page.locator("#compare_overlay").uncheck()
    if not reading.page.locator("#compare_live").is_checked():
        reading.page.locator("#compare_live").check()


def test_the_numbers_are_those_of_numpy(compare):
    cells = row(compare)
    assert cells[1] == f"{dice(result(), truth()):.3f}"
    assert cells[2] == "9.0"
    assert cells[3] == f"{volumeMl(result()):.1f}"
    assert cells[4] == f"{volumeMl(truth()):.1f}"
    assert 0.3 < float(cells[5]) < 1
    expect(compare.page.locator("#compare_table thead")).to_contain_text("4.5 mm", use_inner_text=True)
    expect(compare.page.locator("#compare_sentence")).to_contain_text(
        '"Result" against "Reference"', use_inner_text=True
    )
    expect(compare.page.locator("#compare_definition")).to_contain_text("95th percentiles", use_inner_text=True)


def test_a_stroke_moves_the_numbers_and_undo_brings_them_back(compare):
    before, voxels = row(compare), compare.voxels()
    paint(compare, 120, 60)
    found = compare.wait(lambda _state: compare.voxels() > voxels)
    painted = compare.voxels()
    assert sum(found["segments"]["Reference"].values()) == np.count_nonzero(truth())
    cells = until(compare, 3, f"^{painted * SPACING_MM**3 / 1000:.1f}$")
    assert float(cells[1]) < float(before[1])
    assert cells[4] == before[4]
    compare.page.keyboard.press("Control+z")
    until(compare, 3, f"^{re.escape(before[3])}$")
    assert row(compare) == before
    assert compare.voxels() == voxels


def test_without_live_the_old_numbers_are_in_brackets_until_asked(compare):
    before = row(compare)
    compare.page.locator("#compare_live").uncheck()
    until(compare, 1, "^[0-9]")
    paint(compare, 120, 60)
    until(compare, 1, r"^\(")
    assert row(compare)[1] == f"({before[1]})"
    expect(compare.page.locator("#compare_sentence")).to_contain_text("Compare now", use_inner_text=True)
    expect(compare.page.locator("#compare_worst_point")).to_be_disabled()
    compare.page.locator("#compare_now").click()
    assert float(until(compare, 1, "^[0-9.]+$")[1]) < float(before[1])
    compare.page.keyboard.press("z")
    compare.page.locator("#compare_live").check()
    until(compare, 1, f"^{before[1]}$")


def test_the_overlay_marks_hits_extra_and_missed(compare):
    compare.page.locator("#compare_overlay").check()
    expect(compare.page.locator("#compare_legend span span")).to_have_count(3)
    a, b = result(), truth()
    wanted = {
        "In both": np.count_nonzero(a & b),
        "Only in the segmentation": np.count_nonzero(a & ~b),
        "Only in the reference": np.count_nonzero(b & ~a),
    }
    found = compare.wait(lambda state: "Agreement with the reference" in state["segments"])
    assert found["segments"]["Agreement with the reference"] == wanted
    compare.page.locator("#compare_overlay").uncheck()
    compare.wait(lambda state: "Agreement with the reference" not in state["segments"])
    assert compare.page.locator("#compare_legend").is_hidden()


def test_a_click_on_the_curve_goes_to_the_slice_and_the_marker_follows(compare):
    page, curve = compare.page, compare.page.locator("#compare_curve")
    curve.scroll_into_view_if_needed()
    box = curve.bounding_box()
    curve.click(position={"x": box["width"] * 0.12, "y": box["height"] / 2})
    low = compare.wait(lambda state: state["slices"]["Red"] < -50)["slices"]["Red"]
    # The cube's slices are the lowest ones; its slices agree, and the marker stands at the left.
    assert LOW_MM + CUBE[0].start * SPACING_MM - 0.1 <= low <= LOW_MM + CUBE[0].stop * SPACING_MM
    here = page.locator("#compare_here")
    page.wait_for_function("parseFloat(document.querySelector('#compare_here').style.left) < 30")
    left = float(here.get_attribute("style").split("left:")[1].split("%")[0])
    curve.click(position={"x": box["width"] * 0.95, "y": box["height"] / 2})
    compare.wait(lambda state: state["slices"]["Red"] > low + 50)
    page.wait_for_function(f"parseFloat(document.querySelector('#compare_here').style.left) > {left + 30}")


def test_the_worst_places_are_one_click_away(compare):
    compare.page.locator("#compare_worst_point").click()
    sentence = compare.page.locator("#compare_sentence")
    sentence.filter(has_text="mm from the other one").wait_for()
    # The shifted ball is 9 mm beside the other one, along x.
    expect(sentence).to_contain_text("9.0 mm", use_inner_text=True)
    found = compare.state()["slices"]
    compare.page.locator("#compare_worst_slice").click()
    compare.wait(lambda state: state["slices"] != found)
    slices = (compare.state()["slices"]["Red"] - LOW_MM) / SPACING_MM
    scores = {k: dice(result()[k], truth()[k]) for k in range(48) if truth()[k].any()}
    worst = min(scores.values())
    assert min(abs(slices - k) for k, score in scores.items() if score < worst + 1e-9) < 0.6


def test_the_matched_lesions_are_listed_and_lead_to_their_place(compare):
    compare.page.locator("#compare_lesions_tab").click()
    rows = compare.page.locator("#compare_lesions tbody tr")
    rows.nth(1).wait_for(timeout=15_000)
    texts = [rows.nth(k).locator("td").all_inner_texts() for k in range(rows.count())]
    assert [text[0] for text in texts] == ["found", "found"]
    cube = next(k for k, text in enumerate(texts) if text[3] == "1.0000")
    rows.nth(cube).click()
    middle = LOW_MM + (CUBE[0].start + CUBE[0].stop - 1) / 2 * SPACING_MM
    compare.wait(lambda state: abs(state["slices"]["Red"] - middle) < SPACING_MM)
    compare.page.locator("#compare_slices_tab").click()
