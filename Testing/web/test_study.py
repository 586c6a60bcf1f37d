"""Stories of data: what comes in, what goes out, and who sees what. In a real browser."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pages import enter, expect, running, visiting
from small_study import writeSmallStudy

pytest.importorskip("trame_slicer", reason="the browser workbench is not installed")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return writeSmallStudy(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def server(study, user_folders):
    files = ["--ct", study.ct, "--pet", study.pet, "--reference", study.reference, "--segmentation", study.segmentation]
    with running(*map(str, files), "--max-upload-mb", "8", testing=True) as started:
        yield started


@pytest.fixture(scope="module")
def bench(browser, server):
    with visiting(browser, server) as visit:
        yield visit


def upload(bench, *paths):
    bench.page.set_input_files("#study_files", [str(path) for path in paths])


def test_the_files_are_in_the_scene_and_the_token_is_not_in_the_address(bench, study):
    found = bench.state()
    assert found["chosen"]["ct"] == "ct CT"
    assert found["chosen"]["pet"] == "ct PET"
    assert found["volumes"]["ct CT"]["size"] == [48, 48, 24]
    assert found["segments"]["Reference"] == {"Tumor": study.referenceVoxels}
    assert found["segments"]["Result"] == {"Tumor": study.segmentationVoxels}
    assert bench.page.url == f"{bench.server.origin}/"
    assert bench.page.evaluate("document.cookie") == ""


def test_units_that_nothing_states_are_asked_for_and_not_guessed(bench):
    page = bench.page
    expect(page.locator("#study_units")).to_contain_text("unknown: choose", use_inner_text=True)
    page.locator(".v-select:has(#study_units_choice) .v-field").click()
    page.get_by_role("option", name="SUV by body weight").click()
    page.wait_for_function("document.querySelector('#study_units').innerText.includes('declared by the user')")
    expect(page.locator("#study_units")).to_contain_text("SUVbw", use_inner_text=True)
    expect(page.locator("#study_verdict")).to_contain_text("Will be resampled.", use_inner_text=True)


def test_the_page_looks_as_it_did(bench):
    bench.page.mouse.move(700, 30)
    bench.page.wait_for_timeout(1500)
    bench.looksLike("study", mean=6.0, share=0.06)


def test_a_reload_returns_to_the_same_session(bench):
    before, page = bench.state(), bench.page
    page.reload()
    enter(bench)
    page.wait_for_selector("#study_units")
    expect(page.locator("#study_units")).to_contain_text("declared by the user", use_inner_text=True)
    after = bench.state()
    assert after["pid"] == before["pid"]
    assert after["segments"] == before["segments"]
    assert after["chosen"] == before["chosen"]


def test_files_are_delivered_as_they_are_in_the_scene(bench, study):
    page = bench.page
    page.locator("#deliver_save").click()
    page.wait_for_selector("#deliver_files a", timeout=30_000)
    assert page.inner_text("#deliver_sentence").startswith("Saved and read back: Result.seg.nrrd, Result.nii.gz")
    names = page.locator("#deliver_files a").all_inner_texts()
    assert names[0] == "Result.zip"
    assert {"Result.seg.nrrd", "Result.nii.gz", "Result_lesions.csv", "Result_comparison.csv"} == set(names[1:])
    with page.expect_download() as started:
        page.get_by_text("Result.zip").click()
    archive = zipfile.ZipFile(io.BytesIO(Path(started.value.path()).read_bytes()))
    assert set(archive.namelist()) == set(names[1:])
    archive.extract("Result.nii.gz", study.ct.parent)
    labels = sitk.ReadImage(str(study.ct.parent / "Result.nii.gz"))
    wanted = sitk.ReadImage(str(study.segmentation))
    assert np.array_equal(sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(wanted))
    assert labels.GetOrigin() == pytest.approx(wanted.GetOrigin())
    assert b"Dice" in archive.read("Result_comparison.csv")
    # What is offered is offered to this visitor alone, and by its name alone.
    answer = page.request.get(f"{bench.server.origin}/download/..%2F..%2Fetc%2Fpasswd")
    assert answer.status == 404


def test_an_uploaded_study_becomes_the_study(bench, study, tmp_path):
    (tmp_path / "other").mkdir()
    ct = tmp_path / "other" / "Patient two CT.nrrd"
    sitk.WriteImage(sitk.ReadImage(str(study.ct)) + 1, str(ct))
    pet = tmp_path / "other" / "second.mha"
    sitk.WriteImage(sitk.ReadImage(str(study.pet)) * 2, str(pet))
    upload(bench, ct, pet)
    wanted = ("Patient two CT", "second")
    found = bench.wait(lambda state: (state["chosen"]["ct"], state["chosen"]["pet"]) == wanted, 60)
    assert found["volumes"]["second"]["sum"] == pytest.approx(2 * found["volumes"]["ct PET"]["sum"], rel=1e-4)
    assert bench.waitStatus("Taken as CT Patient two CT, PET second.")
    # The comparison stays; a contour that comes now is one more to look at or edit.
    assert found["chosen"]["reference"] == "Reference"
    upload(bench, study.reference)
    found = bench.wait(lambda state: "reference" in state["segments"], 30)
    assert found["segments"]["reference"] == {"Tumor": study.referenceVoxels}
    assert found["chosen"]["reference"] == "Reference"
    expect(bench.page.locator("#upload")).to_be_hidden()


def test_files_can_be_dropped_anywhere(bench, study):
    content = list(study.ct.read_bytes())
    drop = """(bytes) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], "dropped ct.nii.gz"));
        const target = document.querySelector("#status");
        for (const name of ["dragenter", "dragover"])
            target.dispatchEvent(new DragEvent(name, {dataTransfer: transfer, bubbles: true, cancelable: true}));
        window.invited = document.querySelector("#drop_here").hasAttribute("data-shown");
        target.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
    }"""
    bench.page.evaluate(drop, content)
    assert bench.page.evaluate("window.invited")
    bench.wait(lambda state: state["chosen"]["ct"] == "dropped ct", 30)
    expect(bench.page.locator("#drop_here")).to_be_hidden()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("text.nii.gz", b"this is a text", '"text.nii.gz" is not a complete NIfTI file.'),
        ("text.nii", b"this is a text " * 40, "text.nii is not a NIfTI file, whatever its name says."),
        ("notes.txt", b"x", '"notes.txt" is of a type that is not taken.'),
        ("large.nii", b"x" * (9 << 20), "The upload is larger than 8 MB."),
        ("folder.zip", b"PK", '"folder.zip" is damaged or encrypted.'),
        ("cut.nrrd", b"NRRD0004\ntype: short\n", "cut.nrrd has a header that cannot be understood."),
    ],
)
def test_rubbish_is_told_in_a_sentence_and_changes_nothing(bench, tmp_path, name, content, sentence):
    bench.expected.append(r"status of 4(00|13)")
    before = bench.state()
    (tmp_path / name).write_bytes(content)
    upload(bench, tmp_path / name)
    shown = bench.page.locator("#upload_text")
    bench.page.wait_for_function("document.querySelector('#upload_close').textContent === 'Close'", timeout=30_000)
    assert sentence in shown.inner_text()
    assert "/tmp" not in shown.inner_text()
    bench.page.locator("#upload_close").click()
    after = bench.state()
    assert after["volumes"] == before["volumes"]
    assert after["chosen"] == before["chosen"]
    assert after["uploads"] == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_two_visitors_a_killed_session_and_nothing_left(browser, study, user_folders):
    """Also without the route that tests ask: in a session that was not ordered so there is none."""
    # Mesa's cache has a thread of the lowest priority: on a saturated computer a killed process lives on because of it.
    with running("--ct", str(study.ct), testing=False, MESA_SHADER_CACHE_DISABLE="true") as server:
        others = visiting(browser, server, ready=False)
        with visiting(browser, server, ready=False) as first, others as second:
            for visit in (first, second):
                visit.page.wait_for_selector("#study_ct", timeout=240_000)
                visit.page.wait_for_function("document.querySelector('#study_section').innerText.includes('ct CT')")
            sessions = children(server.process.pid)
            assert len(sessions) == 2
            folders = [folderOf(pid) for pid in sessions]
            assert len(set(folders)) == 2
            assert first.page.request.get(f"{server.origin}/testing/state").status == 404
            private = study.ct.parent / "private name ct.nii.gz"
            private.write_bytes(study.ct.read_bytes())
            upload(first, private)
            first.page.wait_for_function("document.querySelector('#study_section').innerText.includes('private name')")
            second.page.reload()
            second.page.wait_for_selector("#study_ct", timeout=30_000)
            second.page.wait_for_timeout(500)
            assert "private name" not in second.page.content()

            for pid in sessions:
                os.kill(pid, signal.SIGKILL)
            first.page.wait_for_selector("#session_ended[data-shown]", timeout=20_000)
            expect(first.page.locator("#session_ended")).to_contain_text(
                "The session ended unexpectedly.", use_inner_text=True
            )
            for folder in folders:
                assert goneSoon(folder)
            first.page.locator("#session_begin").click()
            first.page.wait_for_selector("#study_ct", timeout=240_000)
            first.page.wait_for_function("document.querySelector('#study_section').innerText.includes('ct CT')")
            assert "private name" not in first.page.content()
            (last,) = children(server.process.pid)
            folder = folderOf(last)
            # The second visitor sees it on the page that is still open, or by coming again.
            second.page.goto(server.origin)
            expect(second.page.locator("#ended")).to_contain_text(
                "The session ended unexpectedly.", use_inner_text=True
            )
            for visit in (first, second):
                visit.expected.append("WebSocket|ERR_|status of (410|502|503)|^Object$")
    assert goneSoon(folder)
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


def children(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def folderOf(pid):
    """The temporary folder that a session was given."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    (folder,) = (one[7:].decode() for one in variables if one.startswith(b"TMPDIR="))
    assert re.search("petctfusion-view-", folder)
    assert Path(folder).is_dir()
    return Path(folder)


def goneSoon(folder, seconds=15.0):
    end = time.monotonic() + seconds
    while folder.exists() and time.monotonic() < end:
        time.sleep(0.1)
    return not folder.exists()
