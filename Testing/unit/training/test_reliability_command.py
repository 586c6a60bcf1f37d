"""`benchmark reliability` on phantoms: every voxel is counted once, and bad input is told before anything runs."""

import json

import pytest
import SimpleITK as sitk

from petctfusion.cli import main
from petctfusion.phantom.breathing_cohort import BreathingSettings, make_breathing_cohort


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """One tuning and one test phantom."""
    folder = tmp_path_factory.mktemp("cohort")
    make_breathing_cohort(folder, BreathingSettings("igtv", 5, seed=2))
    return folder


def test_phantoms_are_counted_whole_and_called_simulated(cohort, tmp_path, capsys):
    output = tmp_path / "found.json"
    arguments = ["--cohort", str(cohort), "--model", "phantom-igtv", "--output", str(output)]
    assert main(["benchmark", "reliability", *arguments]) == 0
    assert "Nothing here was measured on a patient." in capsys.readouterr().out
    document = json.loads(output.read_text())
    (model,) = document["models"]
    assert document["simulated"] is True
    assert [study["patient"] for study in model["studies"]] == ["igtv_004"]
    contour = sitk.GetArrayFromImage(sitk.ReadImage(str(cohort / "igtv_004" / "CONTOUR.nii.gz"))) > 0
    for part in ("everywhere", "near"):
        assert model[part]["tumour"] == contour.sum()
    assert model["everywhere"]["voxels"] == contour.size > model["near"]["voxels"] > contour.sum()
    assert model["near"]["ece"] == pytest.approx(model["studies"][0]["ece_near"])
    assert output.with_name(f"found-{model['model'].replace(' ', '-')}.svg").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "One of the arguments --data --cohort is required"),
        (["--cohort", "."], "With --cohort a model has to be named."),
        (["--cohort", "nowhere", "--model", "phantom-igtv"], "nowhere"),
    ],
)
def test_what_is_missing_is_told(arguments, sentence, capsys):
    assert main(["benchmark", "reliability", *arguments]) != 0
    assert sentence in capsys.readouterr().err
