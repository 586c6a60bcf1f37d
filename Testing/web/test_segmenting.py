"""A run in the browser and what can be done with its result: cancel, kill, threshold, clicks, brush, segments."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest
from pages import expect

BUSY_S = 120


def value(bench, *keys):
    """What the page knows."""
    found = bench.page.evaluate("(keys) => keys.map((key) => window.trame.state.get(key))", list(keys))
    return found[0] if len(keys) == 1 else found


def until(bench, condition, what, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s; it says: {value(bench, 'status')!r}"
        bench.page.wait_for_timeout(50)


def startRun(bench):
    """Press Apply, and wait until windows are being computed."""
    bench.page.locator("#segment_apply").click()
    until(bench, lambda: "%" in value(bench, "status"), "progress", BUSY_S)


def steady(bench):
    """The voxels of the result, once they do not change any more."""
    before = bench.voxels("GTV")
    while True:
        bench.page.wait_for_timeout(400)
        now = bench.voxels("GTV")
        if now == before and value(bench, "edit_volume").endswith(" ml"):
            return now
        before = now


def drag(bench, toPercent):
    """Take the threshold's slider with the mouse and let it go elsewhere."""
    page = bench.page
    page.locator("#edit_threshold").scroll_into_view_if_needed()
    thumb = page.locator("#edit_threshold .v-slider-thumb").bounding_box()
    track = page.locator("#edit_threshold .v-slider-track__background").bounding_box()
    y, x = thumb["y"] + thumb["height"] / 2, thumb["x"] + thumb["width"] / 2
    end = track["x"] + track["width"] * (toPercent - 1) / 98
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(x + (end - x) * step / 8, y)
        page.wait_for_timeout(40)
    page.mouse.up()
    until(bench, lambda: abs(value(bench, "edit_percent") - toPercent) <= 1, "the slider is there")


def clickView(bench, right, down):
    """Click into the axial view at shares of its width and height."""
    view = bench.page.locator("#view_axial").bounding_box()
    bench.page.mouse.click(view["x"] + view["width"] * right, view["y"] + view["height"] * down)


@pytest.fixture(scope="module")
def segmented(shared_workbench):
    """The simulated patient with the result of one run."""
    bench = shared_workbench
    startRun(bench)
    seen = []
    while value(bench, "segment_busy"):
        seen.append(value(bench, "segment_percent", "status"))
        bench.page.wait_for_timeout(30)
    bench.seen = seen
    until(bench, lambda: not value(bench, "edit_reason"), "the threshold can be moved")
    return bench


LARGE_LESION = (0.45, 0.32)
MUSCLE = (0.68, 0.55)


def test_a_run_shows_its_progress_and_brings_a_contour_that_fits_the_reference(segmented):
    percents = [percent for percent, _status in segmented.seen]
    assert percents == sorted(percents)
    # How many of the steps the page shows depends on how fast the run is.
    assert len(set(percents)) >= 3
    assert any(status.endswith(" s left") for _percent, status in segmented.seen)
    assert value(segmented, "status") == 'The result is in "Phantom CT tumor".'
    until(segmented, lambda: value(segmented, "compare_rows"), "the comparison")
    until(segmented, lambda: re.match(r"0\.\d+", value(segmented, "compare_rows")[0][1]), "Dice")
    assert float(value(segmented, "compare_rows")[0][1]) >= 0.8
    expect(segmented.page.locator("#segment_apply")).to_have_text("Apply", use_inner_text=True)
    expect(segmented.page.locator("#segment_progress")).to_have_count(0)


def test_a_drag_moves_the_threshold_as_one_step_and_leaves_what_was_drawn(segmented):
    page, before = segmented.page, steady(segmented)
    drag(segmented, 30)
    more = steady(segmented)
    assert more > before
    page.locator("#undo_button").click()
    until(segmented, lambda: segmented.voxels("GTV") == before, "one step goes all the way back")
    until(segmented, lambda: value(segmented, "edit_percent") == 60, "the slider follows Undo")
    page.locator("#edit_paint").click()
    until(segmented, lambda: value(segmented, "edit_tool") == "paint", "the brush is in the hand")
    clickView(segmented, *MUSCLE)
    until(segmented, lambda: segmented.voxels("GTV") > before, "the stroke is drawn")
    drawn = steady(segmented) - before
    page.locator("#edit_paint").click()
    drag(segmented, 30)
    assert steady(segmented) == more + drawn
    page.locator("#edit_reset").click()
    until(segmented, lambda: segmented.voxels("GTV") == before + drawn, "reset keeps the stroke")
    for _ in range(3):
        page.locator("#undo_button").click()
    until(segmented, lambda: segmented.voxels("GTV") == before, "everything is taken back")


def click(bench, button, words):
    """Say tumor or no tumor at the large lesion; the voxels afterwards."""
    bench.page.locator(f"#{button}").click()
    until(bench, lambda: value(bench, "edit_placing") is not None, "the click is awaited")
    clickView(bench, *LARGE_LESION)
    bench.waitStatus(words, BUSY_S)
    until(bench, lambda: value(bench, "edit_placing") is None, "no further click is awaited")
    return steady(bench)


def test_clicks_remove_and_add_tumor_and_can_be_undone(segmented):
    page, before = segmented.page, steady(segmented)
    less = click(segmented, "edit_remove", r"The click removed [\d.]+ ml")
    assert less < before
    assert click(segmented, "edit_add", r"The click added [\d.]+ ml") > less
    page.locator("#undo_button").click()
    until(segmented, lambda: segmented.voxels("GTV") == less, "the second click is taken back")
    page.locator("#undo_button").click()
    until(segmented, lambda: segmented.voxels("GTV") == before, "the first click is taken back")


def test_a_second_press_or_a_brush_ends_placing(segmented):
    page = segmented.page
    for ending in ("#edit_add", "#edit_paint"):
        page.locator("#edit_add").click()
        until(segmented, lambda: value(segmented, "edit_placing") is True, "the click is awaited")
        page.locator(ending).click()
        until(segmented, lambda: value(segmented, "edit_placing") is None, "no click is awaited")
    assert value(segmented, "edit_tool") == "paint"
    page.locator("#edit_remove").click()
    until(segmented, lambda: value(segmented, "edit_tool") == "", "a click is nobody else's")
    page.locator("#edit_remove").click()
    until(segmented, lambda: value(segmented, "edit_placing") is None, "no click is awaited")


def test_segments_are_added_renamed_hidden_and_drawn_into(segmented):
    page, before = segmented.page, steady(segmented)
    page.locator("#edit_new_segment").click()
    until(segmented, lambda: len(value(segmented, "edit_segments")) == 2, "the segment is there")
    row = page.locator("[data-test='segment-Segment 1']")
    row.locator(".mdi-pencil").click()
    page.locator("#edit_name").fill("Node <b>1</b>")
    page.locator("#edit_name").press("Enter")
    segmented.wait(lambda found: found["segments"]["Phantom CT tumor"].get("Node <b>1</b>") == 0)
    assert value(segmented, "edit_segments")[1]["selected"]
    page.locator("#edit_paint").click()
    until(segmented, lambda: value(segmented, "edit_tool") == "paint", "the brush is in the hand")
    clickView(segmented, *MUSCLE)
    until(segmented, lambda: segmented.voxels("Node <b>1</b>") > 0, "it is drawn into the chosen segment")
    assert segmented.voxels("GTV") == before
    page.locator("#edit_paint").click()
    row = page.locator("[data-test='segment-GTV']")
    row.locator(".mdi-eye").click()
    until(segmented, lambda: not value(segmented, "edit_segments")[0]["visible"], "it is hidden")
    row.locator(".mdi-eye-off").click()
    until(segmented, lambda: value(segmented, "edit_segments")[0]["visible"], "it is shown")
    row.click()
    until(segmented, lambda: value(segmented, "edit_segments")[0]["selected"], "it is chosen")


def test_the_brush_follows_its_slider_and_its_keys(segmented):
    page = segmented.page
    page.locator("#edit_diameter [role=slider]").focus()
    page.keyboard.press("End")
    until(segmented, lambda: value(segmented, "edit_diameter") == 60, "as large as the slider allows")
    page.keyboard.press("Home")
    until(segmented, lambda: value(segmented, "edit_diameter") == 1, "as small")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("2")
    until(segmented, lambda: value(segmented, "edit_tool") == "erase", "the eraser by its key")
    page.keyboard.press("Escape")
    until(segmented, lambda: value(segmented, "edit_tool") == "", "no tool")


def test_rubbish_from_the_page_changes_nothing(segmented):
    before = steady(segmented)
    rubbish = {
        "edit_percent": "much",
        "edit_diameter": None,
        "edit_rule": "magic",
        "edit_suv": "hot",
        "edit_segmentation": "vtkMRMLScalarVolumeNode1",
        "segment_model": 7,
        "segment_output": "vtkMRMLScalarVolumeNode1",
        "segment_threshold": "all of it",
    }
    for key, wrong in rubbish.items():
        segmented.page.evaluate("([key, wrong]) => window.trame.state.set(key, wrong)", [key, wrong])
    until(segmented, lambda: value(segmented, "edit_percent") == 60, "the slider shows what is")
    assert steady(segmented) == before
    assert segmented.state()["chosen"]["output"] is None
    segmented.page.evaluate("window.trame.state.update({segment_threshold: 0.6, edit_rule: 'all', edit_diameter: 15})")


def heldWorker(bench):
    """The id of the worker, which stands still from now on: no run ends before the test has done its part."""
    until(bench, lambda: bench.state()["worker"], "there is a worker")
    pid = bench.state()["worker"]
    os.kill(pid, signal.SIGSTOP)
    return pid


def applyWhileHeld(bench):
    """Press Apply; nothing comes from the worker yet."""
    bench.page.locator("#segment_apply").click()
    until(bench, lambda: value(bench, "segment_busy"), "a run is under way")


def test_cancel_ends_a_run_within_two_seconds_and_the_result_stays(segmented):
    before, pid = steady(segmented), heldWorker(segmented)
    applyWhileHeld(segmented)
    expect(segmented.page.locator("#segment_apply")).to_have_text("Cancel", use_inner_text=True)
    os.kill(pid, signal.SIGCONT)
    started = time.monotonic()
    segmented.page.locator("#segment_apply").click()
    until(segmented, lambda: value(segmented, "status") == "Cancelled.", "it ends", 10)
    # After two seconds the worker is killed; the rest is the way to the page and back.
    assert time.monotonic() - started <= 3.5
    until(segmented, lambda: not value(segmented, "segment_busy"), "Apply is back", 5)
    assert segmented.voxels("GTV") == before


def test_a_killed_worker_is_said_and_another_one_takes_the_next_run(segmented):
    pid = heldWorker(segmented)
    applyWhileHeld(segmented)
    os.kill(pid, signal.SIGKILL)
    segmented.waitStatus("ended during the run.*please repeat that", BUSY_S)
    another = heldWorker(segmented)
    assert another != pid
    applyWhileHeld(segmented)
    segmented.page.locator("#segment_apply").click()
    until(segmented, lambda: value(segmented, "status") == "Cancelled.", "a worker that does not answer is killed", 10)
