"""A real patient as a scanner sends it (CT, PET, RTSTRUCT), segmented and compared. In a real browser."""

from __future__ import annotations

import re

import pytest
from pages import running, visiting

pytest.importorskip("trame_slicer", reason="the browser workbench is not installed")

pytestmark = pytest.mark.data

LOADING_S, RUN_S = 60, 180


@pytest.fixture(scope="module")
def patient(data_folder):
    return data_folder / "sts_dicom" / "STS_001"


@pytest.fixture(scope="module")
def bench(browser, patient, user_folders):
    (contour,) = sorted((patient / "CT" / "mask").glob("*.dcm"))
    with (
        running("--dicom", str(patient), "--reference", str(contour), testing=True) as server,
        visiting(browser, server) as visit,
    ):
        yield visit


def test_the_series_are_paired_and_their_units_known(bench):
    found = bench.wait(lambda state: state["chosen"]["reference"], LOADING_S)
    assert found["chosen"]["ct"] == "STS_001 CT"
    assert found["chosen"]["pet"] == "STS_001 PET"
    assert "SUV" in bench.page.inner_text("#study_units")
    assert not bench.page.locator("#study_units_choice").is_visible()
    assert next(iter(found["segments"]["Reference"].values())) > 1000


def test_it_is_segmented_and_compared_with_the_contour_that_came_with_it(bench):
    bench.page.locator("#segment_apply").click()
    bench.waitStatus(r"The result is in ", RUN_S)
    rows = "window.trame.state.get('compare_rows')"
    bench.page.wait_for_function(f"{rows} && /^0\\.\\d/.test({rows}[0][1])", timeout=60_000)
    _name, dice, hd95, *_others = bench.page.evaluate(rows)[0]
    # Neither nothing nor the reference itself: what it is on a patient is measured elsewhere.
    assert 0.3 < float(dice) < 1.0
    assert re.match(r"\d+\.\d", hd95)


def test_loose_dicom_files_of_another_patient_can_be_given_to_the_page(bench, patient):
    other = patient.parent / "STS_002"
    files = [str(path) for part in ("CT", "PET") for path in sorted((other / part / "image").glob("*.dcm"))]
    assert len(files) > 50
    before = bench.state()["chosen"]
    bench.page.set_input_files("#study_files", files)
    found = bench.wait(
        lambda state: {state["chosen"][role] for role in ("ct", "pet")}.isdisjoint(before.values()), LOADING_S
    )
    for role in ("ct", "pet"):
        assert found["volumes"][found["chosen"][role]]["size"][2] > 10
    assert "SUV" in bench.page.inner_text("#study_units")
