"""The two pictures at the head of the README's part on the browser: made here, looked at, and compared ever since."""

from __future__ import annotations

import pytest
from pages import running, visiting


@pytest.mark.slow
def test_a_result_beside_its_reference(workbench):
    page = workbench.page
    workbench.wait(lambda found: found["chosen"]["reference"])
    page.locator("#segment_apply").click()
    workbench.wait(lambda found: workbench.voxels("GTV") > 0, 120)
    page.wait_for_function("trame.state.state.compare_rows?.length > 0", timeout=60_000)
    page.evaluate("trame.state.set('open_sections', ['compare', 'edit'])")
    page.locator("#compare_overlay").click()
    workbench.wait(lambda found: any("Agreement" in name for name in found["segments"]), 30)
    # What is above moves while sections open.
    page.wait_for_timeout(2000)
    page.evaluate("document.querySelector('#compare_section').scrollIntoView({block: 'start'})")
    workbench.looksLikeScreenshot("browser-compare")


@pytest.mark.slow
def test_a_lesson_after_the_first_check(browser, user_folders):
    with running("--teach") as server, visiting(browser, server) as bench:
        page = bench.page
        page.wait_for_function("trame.state.state.teaching_ready", timeout=120_000)
        page.click("#edit_paint")
        page.click("#edit_sphere")
        page.evaluate("trame.state.set('edit_diameter', 26)")
        box = page.locator("#view_axial").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x - 8, y)
        page.mouse.down()
        page.mouse.move(x + 4, y + 4, steps=4)
        page.mouse.up()
        bench.wait(lambda found: bench.voxels() > 0)
        page.click("#teaching_check:not([disabled])")
        page.wait_for_function("trame.state.state.teaching_score.length > 0", timeout=30_000)
        bench.looksLikeScreenshot("browser-lesson")
