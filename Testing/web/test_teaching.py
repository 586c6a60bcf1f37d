"""A lesson in the browser: from the first case to the sheet, what stays hidden, what an instructor gets wrong."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys

import pytest
from pages import Bench, expect, running, visiting

LUNG = {
    "seed": 8, "margin_mm": 35, "fine_mm": 2.5, "ct_spacing_mm": [2, 2, 2.5],
    "lesions": [{"site": "lung-right", "diameter_mm": 30, "suv": 8, "irregularity": 0.1}],
}  # fmt: skip
LIVER = {**LUNG, "lesions": [{"site": "liver", "diameter_mm": 30, "suv": 9, "irregularity": 0.1}]}
LESSON = {
    "title": "Two tumors",
    "about": "Draw both.",
    "passing": {"dice": 0.3},
    "model": "whole-body-phantom",
    "cases": [
        {"title": "In the lung", "task": "Draw it.", "phantom": LUNG,
         "hints": ["It is round.", {"text": "It is hot.", "after_checks": 1}]},
        {"title": "In the liver", "task": "Draw it too.", "phantom": LIVER, "show": {"sliders": "at once"}},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def lesson(tmp_path_factory):
    file = tmp_path_factory.mktemp("lesson") / "lesson.json"
    file.write_text(json.dumps(LESSON))
    return file


@pytest.fixture(scope="module")
def server(user_folders, lesson):
    with running("--teach", str(lesson), "--sessions", "2") as server:
        yield server


@pytest.fixture
def learner(browser, server):
    with visiting(browser, server) as bench:
        bench.page.wait_for_function("trame.state.state.teaching_ready", timeout=60_000)
        yield bench


def _state(bench: Bench) -> dict:
    """What the page knows, but for what trame and Vuetify keep there."""
    return bench.page.evaluate("JSON.parse(JSON.stringify(trame.state.state))")


def _click(bench: Bench, identifier: str) -> None:
    bench.page.click(f"#teaching_{identifier}:not([disabled])", timeout=20_000)


def _until(bench: Bench, condition: str, timeout_s: float = 20.0) -> None:
    bench.page.wait_for_function(f"(state => {condition})(trame.state.state)", timeout=1000 * timeout_s)


def _draw(bench: Bench, diameter_mm: float = 34.0) -> int:
    """With a spherical brush in the middle of the axial view, where the lesion of these phantoms is; voxels drawn."""
    page = bench.page
    page.click("#edit_paint")
    page.click("#edit_sphere")
    page.evaluate(f"trame.state.set('edit_diameter', {diameter_mm:g})")
    box = page.locator("#view_axial").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 6, y)
    page.mouse.down()
    page.mouse.move(x + 6, y, steps=4)
    page.mouse.up()
    bench.wait(lambda found: sum(found["segments"]["Your contour"].values()) > 0)
    return bench.voxels()


def test_a_lesson_from_the_first_case_to_the_sheet(learner):
    page = learner.page
    expect(page.locator("#teaching_place")).to_have_text("Two tumors: case 1 of 2", use_inner_text=True)
    expect(page.locator("#teaching_task")).to_have_text("Draw it.", use_inner_text=True)
    _hides_the_truth(learner)
    _click(learner, "hint")
    _until(learner, "state.teaching_hints.length === 1")
    _click(learner, "hint")
    learner.waitStatus("The next hint comes after 1 more check")
    assert _draw(learner) > 200
    _click(learner, "check")
    _until(learner, "state.teaching_score.length > 0")
    dice = float(page.inner_text('[data-test="score-Dice"]'))
    assert 0.3 < dice < 1
    expect(page.locator("#teaching_verdict")).to_contain_text("Passed.", use_inner_text=True)
    learner.wait(lambda found: "Agreement with the reference" in found["segments"])
    assert page.is_visible("#teaching_legend")
    _click(learner, "reference")
    truth = learner.wait(lambda found: "Truth" in found["segments"])["segments"]["Truth"]
    assert sum(truth.values()) > 1000
    _click(learner, "next")
    _until(learner, "state.teaching_number === 2 && state.teaching_ready", 60)
    assert list(learner.state()["segments"]) == ["Your contour"]
    assert learner.voxels() == 0
    _click(learner, "check")
    _until(learner, "state.teaching_score.length > 0")
    expect(page.locator('[data-test="score-HD95"]')).to_have_text("no contour", use_inner_text=True)
    assert page.inner_text("#teaching_next") == "FINISH" or page.inner_text("#teaching_next") == "Finish"
    _click(learner, "next")
    _until(learner, "state.teaching_finished && state.teaching_sheet")
    page.fill("#teaching_learner", "Ada <b>L</b>")
    _until(learner, "state.teaching_learner.length > 0")
    page.wait_for_timeout(300)
    _sheet(learner, dice)
    page.click('[data-test="case-1"]')
    _until(learner, "state.teaching_number === 1 && state.teaching_ready", 60)
    assert learner.voxels() > 200


def _hides_the_truth(learner: Bench) -> None:
    """Neither scene nor page know anything of it, and a page that was tampered with gets nothing."""
    scene, state = learner.state(), _state(learner)
    assert list(scene["segments"]) == ["Your contour"]
    assert scene["chosen"]["reference"] is None
    assert state["teaching_score"] == []
    assert state["teaching_may"] == []
    assert [one["name"] for one in state["view_contours"]] == ["Your contour"]
    text = json.dumps({key: value for key, value in state.items() if not key.startswith("trame__")})
    assert "Truth" not in text
    assert "reference" not in text.replace('"teaching_reference": false', "")
    learner.page.evaluate("trame.state.set('teaching_may', ['reference', 'errors', 'network'])")
    _click(learner, "reference")
    learner.page.wait_for_timeout(500)
    assert list(learner.state()["segments"]) == ["Your contour"]


def _sheet(learner: Bench, dice: float) -> None:
    address = learner.page.get_attribute("#teaching_sheet", "href")
    sheet = learner.page.context.new_page()
    problems = []
    # A browser asks every server for an icon.
    sheet.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    sheet.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    sheet.goto(f"{learner.server.origin}/{address}")
    text = sheet.inner_text("body")
    assert "Ada <b>L</b>" in text
    assert f"{dice:.2f}" in text
    assert "1 of 2" in text
    assert problems == []
    sheet.close()
    table = learner.page.evaluate("async path => (await fetch(path)).text()", _state(learner)["teaching_table"])
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["passed"] for row in rows] == ["True", "False"]
    assert float(rows[0]["dice"]) == pytest.approx(dice, abs=6e-4)


def test_marks_go_with_the_next_stroke_and_sliders_scan_again(learner):
    assert not learner.page.is_visible("#teaching_sliders")
    _draw(learner)
    _click(learner, "check")
    learner.wait(lambda found: "Agreement with the reference" in found["segments"])
    learner.page.click("#edit_erase")
    box = learner.page.locator("#view_axial").bounding_box()
    before = learner.voxels("Tumor")
    learner.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    learner.wait(lambda found: "Agreement with the reference" not in found["segments"])
    assert learner.voxels("Tumor") < before
    expect(learner.page.locator("#teaching_verdict")).to_contain_text("changed since", use_inner_text=True)

    _sliders(learner)


def _sliders(learner: Bench) -> None:
    page = learner.page
    _until(learner, "state.teaching_sliders")
    before = learner.state()["volumes"]["Case 1 PET"]["sum"]
    page.click("#teaching_threshold")
    _until(learner, "state.teaching_threshold_text.includes('Dice')")
    text = page.inner_text("#teaching_threshold_text")
    page.locator(".v-input:has(#teaching_fwhm) [role=slider]").press("End")
    _until(learner, "state.teaching_fwhm > 12")
    learner.wait(lambda found: found["volumes"]["Case 1 PET"]["sum"] != before)
    _until(learner, f"state.teaching_threshold_text !== {json.dumps(text)}")
    assert _dice(page.inner_text("#teaching_threshold_text")) < _dice(text) - 0.03
    assert "Threshold" in learner.state()["segments"]


def _dice(text: str) -> float:
    return float(re.search(r"Dice (\d\.\d+)", text).group(1))


@pytest.mark.slow
def test_the_network_and_its_maps_are_revealed(learner):
    _click(learner, "check")
    _until(learner, "state.teaching_may.includes('network')")
    _click(learner, "network")
    _until(learner, "state.teaching_network_score", 180)
    expect(learner.page.locator("#teaching_network_score")).to_contain_text("The network: Dice", use_inner_text=True)
    found = learner.state()
    assert sum(found["segments"]["Network"].values()) > 0
    assert any("uncertainty" in name for name in found["volumes"])
    learner.page.click("#teaching_map", force=True)
    learner.page.locator(".v-overlay-container .v-list-item").last.click()
    _until(learner, "state.teaching_map !== ''")


def test_a_wrong_instructors_file_gets_one_sentence(tmp_path, user_folders):
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps({**LESSON, "cases": [{**LESSON["cases"][0], "hint": ["x"]}]}))
    command = [sys.executable, "-m", "petctfusion.cli", "view", "--teach", str(file), "--no-browser", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert " ".join(done.stderr.split()) == "petctfusion: Case 1 does not know 'hint'. Did you mean 'hints'?"
