"""`petctfusion evaluate` as a person calls it."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.cli import exits


@pytest.fixture
def balls(tmp_path) -> Path:
    """Folder with `pred` and `ref` of P1 (equal), P2 (moved by 4 mm), P3 (predicted empty); `image` has P1's grid."""
    z, y, x = np.meshgrid(*(np.arange(n) * 2.0 for n in (20, 24, 28)), indexing="ij")
    for side in ("pred", "ref"):
        (tmp_path / side).mkdir()
    for name, shift in (("P1", 0.0), ("P2", 4.0), ("P3", 999.0)):
        for side, moved in (("pred", shift), ("ref", 0.0)):
            inside = (z - 20) ** 2 + (y - 24) ** 2 + (x - 26 - moved) ** 2 <= 144
            image = sitk.GetImageFromArray(inside.astype(np.uint8))
            image.SetSpacing((2.0, 2.0, 2.0))
            sitk.WriteImage(image, str(tmp_path / side / f"{name}.nii.gz"))
    return tmp_path


def test_one_pair_in_words_says_what_the_numbers_mean(cli, balls):
    answer = cli("evaluate", balls / "pred" / "P2.nii.gz", balls / "ref" / "P2.nii.gz")
    assert answer.code == exits.OK
    for words in ("Dice   ", "HD95   ", "4.0 mm", "NSD tolerance", "on the reference's grid", "95th percentiles"):
        assert words in answer.out
    assert "within 2 mm of the other" in answer.out
    assert "lesion found" in answer.out


def test_one_pair_in_json_has_every_key(cli, balls):
    answer = cli("evaluate", balls / "pred" / "P2.nii.gz", balls / "ref" / "P2.nii.gz", "--json", "--tolerance-mm", 3)
    values = answer.json
    assert {
        "dice",
        "hd95_mm",
        "hd_mm",
        "assd_mm",
        "nsd",
        "fpv_ml",
        "fnv_ml",
        "volume_ml",
        "reference_volume_ml",
    } <= set(values)
    assert (values["hd95_mm"], values["nsd_tolerance_mm"], values["resampled"]) == (4.0, 3.0, False)
    assert (values["lesions"]["tp"], values["lesions"]["fp"], values["lesions"]["fn"]) == (1, 0, 0)
    assert len(values["lesions"]["rows"]) == 1
    assert "within 3 mm" in values["definition"]


def test_a_cohort_is_a_table_with_statistics_and_a_bar_of_progress(cli, balls):
    answer = cli("evaluate", balls / "pred", balls / "ref", "--jobs", 1)
    assert answer.code == exits.OK
    lines = answer.out.splitlines()
    assert lines[0] == "3 patients, all evaluated."
    assert [line.split()[0] for line in lines[3:6]] == ["P1", "P2", "P3"]
    assert "no contour" in lines[5]
    assert any(line.startswith("mean ") for line in lines)
    assert any(line.startswith("Aggregated Dice") for line in lines)
    assert "evaluating 100 %" in answer.err
    assert "prediction is empty" in answer.err
    assert "(P3)" in answer.err


def test_a_cohort_in_json_and_in_processes_is_the_same(cli, balls):
    one, two = (cli("evaluate", balls / "pred", balls / "ref", "--json", "--jobs", n) for n in (1, 2))
    assert one.json["patients"] == two.json["patients"]
    assert one.json["summary"] == two.json["summary"]
    assert one.json["patients"][2]["hd95_note"] == "no contour"


def test_a_folder_gets_all_reports_and_a_name_one(cli, balls):
    answer = cli("evaluate", balls / "pred", balls / "ref", "--output", balls / "new" / "folder", "--jobs", 1, "--json")
    written = sorted(path.name for path in (balls / "new" / "folder").iterdir())
    assert written == ["report.csv", "report.html", "report.json"]
    assert [Path(path).name for path in answer.json["reports"]] == ["report.html", "report.csv", "report.json"]
    document = json.loads((balls / "new" / "folder" / "report.json").read_text())
    assert document["patients"] == answer.json["patients"]
    assert "evaluate" in document["command"]
    assert "--output" in document["command"]
    cli("evaluate", balls / "pred" / "P1.nii.gz", balls / "ref" / "P1.nii.gz", "--output", balls / "one" / "mine.csv")
    with (balls / "one" / "mine.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert (rows[0]["patient"], rows[0]["dice"]) == ("P1", "1.0")
    assert [path.name for path in (balls / "one").iterdir()] == ["mine.csv"]


def test_the_rest_of_a_cohort_with_broken_patients_is_evaluated_and_the_exit_code_says_so(cli, balls):
    broken = balls / "pred" / "P2.nii.gz"
    broken.write_bytes(broken.read_bytes()[:200])
    (balls / "ref" / "P3.nii.gz").unlink()
    answer = cli("evaluate", balls / "pred", balls / "ref", "--output", balls / "out", "--jobs", 1)
    assert answer.code == exits.PARTLY
    assert "3 patients: 1 evaluated, 2 not" in answer.out
    assert "P2: " in answer.out
    assert "truncated" in answer.out
    assert "P3: There is no reference." in answer.out
    assert "truncated" in (balls / "out" / "report.html").read_text()
    assert "8    " in exits.EPILOG


def test_folders_that_do_not_pair_up_are_refused(cli, balls, refused):
    for path in (balls / "ref").iterdir():
        path.rename(path.with_name(f"other_{path.name}"))
    answer = cli("evaluate", balls / "pred", balls / "ref", "--output", balls / "out")
    refused(answer, exits.BAD_INPUT, "No patient of", "P1, P2, P3", "other_P1")
    assert not (balls / "out").exists()


def test_a_label_that_no_file_holds_is_refused(cli, balls, refused):
    refused(
        cli("evaluate", balls / "pred", balls / "ref", "--label", 7, "--jobs", 1), exits.BAD_INPUT, "label 7", "only 1"
    )
    one = cli("evaluate", balls / "pred" / "P1.nii.gz", balls / "ref" / "P1.nii.gz", "--label", 7, "--json")
    refused(one, exits.BAD_INPUT, "No file holds the label 7")
    assert one.json["error"]["kind"] == "bad_input"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--output", "report.pdf"), ".html, .csv or .json"),
        (("--threshold", "1.5"), "no probability"),
        (("--tolerance-mm", "-1"), "no distance"),
        (("--tolerance-mm", "nan"), "no number"),
        (("--jobs", "0"), "1 or more"),
        (("--connectivity", "8"), "invalid choice"),
    ],
)
def test_options_that_make_no_sense_are_refused(cli, balls, refused, options, words):
    refused(cli("evaluate", balls / "pred", balls / "ref", *options), exits.USAGE, words)


def test_an_output_that_cannot_be_written_is_told_before_the_work(cli, balls, refused):
    (balls / "file").write_text("no folder")
    answer = cli("evaluate", balls / "pred", balls / "ref", "--output", balls / "file" / "report.html")
    refused(answer, exits.OUTPUT, "could not be written")
    assert "evaluating" not in answer.err


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_told(cli, balls, refused):
    (balls / "locked").mkdir(mode=0o500)
    answer = cli("evaluate", balls / "pred", balls / "ref", "--output", balls / "locked" / "r")
    refused(answer, exits.OUTPUT, "no permission")


def test_a_structure_set_is_judged_like_a_mask(cli, balls, refused, structure_set):
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    planes = [z for z in np.arange(20) * 2.0 if abs(z - 20) < 12]
    contours = []
    for z in planes:
        radius = np.sqrt(144 - (z - 20) ** 2) + 0.01
        contours.append(np.stack([26 + radius * np.cos(angle), 24 + radius * np.sin(angle), np.full(200, z)], axis=1))
    path = structure_set(balls / "rs.dcm", {"GTV": contours, "BODY": contours[:1]})
    answer = cli("evaluate", balls / "pred" / "P1.nii.gz", path, "--roi", "GTV", "--json")
    assert answer.code == exits.OK
    assert answer.json["dice"] > 0.99
    assert any("grid of the other image" in note for note in answer.json["notes"])
    refused(
        cli("evaluate", balls / "pred" / "P1.nii.gz", path, "--roi", "CTV"),
        exits.BAD_INPUT,
        "no region 'CTV'",
        "GTV, BODY",
    )


def test_probabilities_are_judged_from_the_threshold_on(cli, balls, refused):
    image = sitk.ReadImage(str(balls / "ref" / "P1.nii.gz"), sitk.sitkFloat32)
    sitk.WriteImage(image * 0.6, str(balls / "p.nii.gz"))
    refused(cli("evaluate", balls / "p.nii.gz", balls / "ref" / "P1.nii.gz"), exits.BAD_INPUT, "--threshold 0.5")
    answer = cli("evaluate", balls / "p.nii.gz", balls / "ref" / "P1.nii.gz", "--threshold", 0.5, "--json")
    assert answer.json["dice"] == 1.0


@pytest.mark.data
def test_real_contours_in_folders_of_patients(cli, data_folder, tmp_path):
    sts = data_folder / "sts"
    answer = cli(
        "evaluate", f"{sts}/STS_00*/PET_GTV.nii.gz", f"{sts}/STS_00*/CT_GTV.nii.gz", "--output", tmp_path, "--json"
    )
    assert answer.code == exits.OK
    assert answer.json["evaluated"] == len(list(sts.glob("STS_00*")))
    assert answer.json["aggregated_dice"] > 0.95
    assert "resampled to the reference" in (tmp_path / "report.html").read_text()
