"""Where the network looked, over the slices of the page: made by a second run, chosen, and taken away again."""

import numpy as np
import pytest

_RUN_S = 300


@pytest.mark.slow
def test_maps_of_a_run_lie_over_the_slices_and_give_the_pet_back(workbench):
    page = workbench.page
    page.locator("#maps_waits").filter(has_text="segment first").wait_for(state="attached")
    page.locator("#segment_apply").click()
    workbench.wait(lambda state: workbench.voxels() > 0, _RUN_S)
    workbench.wait(lambda state: not page.locator("#maps_waits").inner_text(), _RUN_S)
    page.locator("#maps_section .v-expansion-panel-title").click()
    page.locator("#maps_run:not([disabled])").click()
    found = workbench.wait(lambda state: any("attention" in name for name in state["volumes"]), _RUN_S)
    assert any("uncertainty" in name for name in found["volumes"])
    page.locator("#maps_explanation").filter(has_text="does not say why").wait_for()
    opacity = found["opacity"]
    page.locator(".v-select", has=page.locator("#maps_chosen")).click()
    page.get_by_role("option", name="None (the PET)").click()
    given = workbench.wait(lambda state: not np.allclose(state["opacity"], opacity))["opacity"]
    assert np.allclose(given, 0.5)
    page.locator("#maps_explanation").wait_for(state="hidden")
