"""Reading lesions in the browser: uptake as numpy has it, one click or key to each, decisions that undo takes back."""

import re

import numpy as np
import pytest
from pages import expect
from reading import CUBE, SPACING_MM, result, suv, volumeMl

CUBE_VOXELS = 5 * 5 * 6


def cells(bench, line):
    return bench.page.locator("#lesions_table tbody tr").nth(line).locator("td").all_inner_texts()


def until(bench, line, column, text):
    cell = bench.page.locator("#lesions_table tbody tr").nth(line).locator("td").nth(column)
    cell.filter(has_text=re.compile(f"^{text}$")).wait_for(timeout=15_000)


@pytest.fixture
def lesions(reading):
    until(reading, 1, 1, "open")
    return reading


def press(bench, *keys):
    # As after a click beside all fields.
    bench.page.evaluate("document.activeElement?.blur()")
    for key in keys:
        bench.page.keyboard.press(key)


def test_the_uptake_is_that_of_numpy(lesions):
    mask = result()
    mask[CUBE] = False
    values = suv()[mask]
    ball, cube = cells(lesions, 0), cells(lesions, 1)
    assert ball[2] == f"{volumeMl(mask):.2f}"
    assert ball[3] == f"{values.max():.2f}"
    assert abs(float(ball[4]) - values.mean()) < 0.006
    assert abs(float(ball[6]) - values.mean() * volumeMl(mask)) < 0.06
    assert cube[2] == f"{CUBE_VOXELS * SPACING_MM**3 / 1000:.2f}"
    assert cube[3] == cube[4] == "5.00"
    expect(lesions.page.locator("#lesions_sentence")).to_contain_text("2 lesions", use_inner_text=True)


def test_a_click_on_a_row_goes_there_and_keys_go_on(lesions):
    low = -(48 - 1) / 2 * SPACING_MM
    middle = low + (CUBE[0].start + CUBE[0].stop - 1) / 2 * SPACING_MM
    lesions.page.locator("#lesions_table tbody tr").nth(1).click()
    lesions.wait(lambda state: abs(state["slices"]["Red"] - middle) < SPACING_MM)
    press(lesions, "n")
    lesions.page.locator("#lesions_sentence").filter(has_text="This is the last lesion.").wait_for()
    press(lesions, "Shift+N")
    lesions.wait(lambda state: state["slices"]["Red"] > middle + 20)
    assert "pcf-chosen" in lesions.page.locator("#lesions_table tbody tr").first.get_attribute("class")


def test_a_rejected_lesion_moves_and_undo_brings_it_back(lesions):
    before = lesions.state()["segments"]["Result"]
    (name,) = before
    lesions.page.locator("#lesions_table tbody tr").nth(1).click()
    press(lesions, "x")
    until(lesions, 1, 1, "rejected")
    moved = lesions.state()["segments"]["Result"]
    assert moved == {name: before[name] - CUBE_VOXELS, "Rejected": CUBE_VOXELS}
    expect(lesions.page.locator("#lesions_reject")).to_have_text("Take back", use_inner_text=True)
    # The comparison follows: the rejected lesion is not in the contour any more.
    cell = lesions.page.locator("#compare_table tbody tr").first.locator("td").nth(3)
    cell.filter(has_text=f"{volumeMl(result()) - CUBE_VOXELS * SPACING_MM**3 / 1000:.1f}").wait_for(timeout=15_000)
    press(lesions, "z")
    until(lesions, 1, 1, "open")
    assert lesions.state()["segments"]["Result"][name] == before[name]


def test_decisions_are_toggled_by_buttons_and_keys(lesions):
    lesions.page.locator("#lesions_table tbody tr").nth(0).click()
    press(lesions, "a")
    until(lesions, 0, 1, "accepted")
    lesions.page.locator("#lesions_flag").click()
    until(lesions, 0, 1, "flagged")
    press(lesions, "l")
    until(lesions, 0, 1, "open")


def test_a_title_sorts_and_a_second_time_turns_round(lesions):
    title = lesions.page.locator("#lesions_table th").nth(3)
    numbers = lesions.page.locator("#lesions_table tbody tr td:first-child")
    title.click()
    numbers.first.filter(has_text="1").wait_for()
    title.click()
    numbers.first.filter(has_text="2").wait_for()
    assert numbers.all_inner_texts() == ["2", "1"]
    lesions.page.locator("#lesions_table th").nth(0).click()
    numbers.first.filter(has_text="1").wait_for()


def test_what_is_typed_into_a_field_decides_nothing(lesions):
    lesions.page.locator("#lesions_table tbody tr").nth(0).click()
    field = lesions.page.locator("#segment_threshold")
    field.focus()
    for key in ("x", "a", "z", "l", "Shift+N"):
        lesions.page.keyboard.press(key)
    lesions.page.wait_for_timeout(500)
    assert cells(lesions, 0)[1] == "open"
    assert np.count_nonzero(result()) == lesions.voxels()
