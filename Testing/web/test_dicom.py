"""A real patient as a scanner sends it (CT, PET, RTSTRUCT), segmented and compared. In a real browser."""

from __future__ import annotations

import copy
import re
import shutil

import numpy as np
import pydicom
import pytest
from pages import expect, running, visiting

pytest.importorskip("trame_slicer", reason="the browser workbench is not installed")

pytestmark = pytest.mark.data

LOADING_S, RUN_S = 60, 180


@pytest.fixture(scope="module")
def patient(data_folder):
    return data_folder / "sts_dicom" / "STS_001"


@pytest.fixture(scope="module")
def bench(browser, patient, user_folders):
    with running("--dicom", str(patient), testing=True) as server, visiting(browser, server) as visit:
        yield visit


@pytest.fixture
def plan(patient, tmp_path):
    """The study with a structure set as a planning system writes it: the tumour, and an organ 60 mm beside it."""
    for part in ("CT", "PET"):
        shutil.copytree(patient / part / "image", tmp_path / "study" / part)
    shutil.copy(patient / "CT" / "mask" / "RS.dcm", tmp_path / "alone.dcm")
    dataset = pydicom.dcmread(tmp_path / "alone.dcm")
    organ, drawn = copy.deepcopy(dataset.StructureSetROISequence[0]), copy.deepcopy(dataset.ROIContourSequence[0])
    organ.ROINumber = drawn.ReferencedROINumber = 7
    organ.ROIName = "Bladder"
    for contour in drawn.ContourSequence:
        values = np.array(contour.ContourData, dtype=float)
        values[::3] += 60.0
        contour.ContourData = [f"{value:.6g}" for value in values]
    # The organ comes first, as the body does in most plans.
    dataset.StructureSetROISequence.insert(0, organ)
    dataset.ROIContourSequence.insert(0, drawn)
    dataset.SeriesDescription = "Plan"
    (tmp_path / "study" / "RS").mkdir()
    dataset.save_as(tmp_path / "study" / "RS" / "RS.dcm")
    return tmp_path / "study"


def test_the_series_are_paired_and_their_units_known(bench):
    found = bench.wait(lambda state: state["chosen"]["reference"], LOADING_S)
    # The one that was drawn on the CT; the PET has one of its own.
    assert found["chosen"]["reference"].endswith("CT_mask")
    assert found["chosen"]["ct"] == "STS_001 CT"
    assert found["chosen"]["pet"] == "STS_001 PET"
    expect(bench.page.locator("#study_units")).to_contain_text("SUV", use_inner_text=True)
    expect(bench.page.locator("#study_units_choice")).to_be_hidden()
    # One region: there is nothing to choose.
    expect(bench.page.locator("#study_segment")).to_be_hidden()
    assert next(iter(found["segments"][found["chosen"]["reference"]].values())) > 1000


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
    expect(bench.page.locator("#study_units")).to_contain_text("SUV", use_inner_text=True)


def test_of_a_plan_with_organs_the_tumor_is_compared_and_any_other_can_be_chosen(browser, plan, user_folders):
    with running("--dicom", str(plan), testing=True) as server, visiting(browser, server) as bench:
        found = bench.wait(lambda state: state["chosen"]["reference"], LOADING_S)
        assert found["chosen"]["reference"] == "Plan"
        sizes = found["segments"]["Plan"]
        assert list(sizes) == ["Bladder", "GTV_Mass_CT"]
        assert min(sizes.values()) > 1000
        # A drawing to compare: one short stroke is enough to have numbers.
        bench.page.locator("#edit_new_segment").click()
        bench.page.keyboard.press("1")
        box = bench.page.locator("#view_axial").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        bench.page.mouse.move(x, y)
        bench.page.mouse.down()
        bench.page.mouse.move(x + 10, y, steps=4)
        bench.page.mouse.up()
        sentence = bench.page.locator("#compare_sentence")
        sentence.filter(has_text='against "GTV_Mass_CT" of "Plan".').wait_for(timeout=20_000)
        choice = bench.page.locator("#study_segment")
        expect(choice.locator("xpath=ancestor::*[contains(@class, 'v-select')]")).to_contain_text(
            "GTV_Mass_CT", use_inner_text=True
        )
        choice.click(force=True)
        bench.page.get_by_role("option", name="Bladder").click()
        sentence.filter(has_text='against "Bladder" of "Plan".').wait_for(timeout=20_000)
        # A structure set alone is drawn on the CT that is there; what is compared with stays.
        bench.page.set_input_files("#study_files", str(plan.parent / "alone.dcm"))
        found = bench.wait(lambda state: "IBSI_1_STS_001_CT_mask" in state["segments"], LOADING_S)
        assert found["segments"]["IBSI_1_STS_001_CT_mask"] == {"Tumor": sizes["GTV_Mass_CT"]}
        assert found["chosen"]["reference"] == "Plan"
