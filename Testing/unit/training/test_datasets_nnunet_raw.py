"""nnU-Net's raw format."""

import json

import dataset_miniatures as mini
import numpy as np
import pytest

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.reading import read_patient
from petctfusion.training.datasets.registry import find_patients


def change(folder, **values):
    path = folder / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.fixture
def folder(tmp_path):
    return mini.nnunet(tmp_path / "Dataset007_Mini", seeds=(1, 2))


def test_channels_are_found_by_their_names_not_their_numbers(tmp_path):
    folder = mini.nnunet(tmp_path / "d", seeds=(1,), channels={"0": "CT", "1": "SUV"})
    one = find_patients("nnunet", folder)[0]
    assert {kind: path.name for kind, path in one.volumes.items()} == {
        "CT": "case_1_0000.nii.gz",
        "PET": "case_1_0001.nii.gz",
    }


def test_background_and_ignore_are_no_tumour(folder):
    change(folder, labels={"background": 0, "primary": 1, "node": 2, "ignore": 3})
    assert find_patients("nnunet", folder)[0].contour.values == (1, 2)
    assert find_patients("nnunet", folder, label="node")[0].contour.values == (2,)
    with pytest.raises(BadInputError, match=r"has no label 'liver'.*primary \(1\), node \(2\)"):
        find_patients("nnunet", folder, label="liver")


def test_regions_are_ignored_with_a_sentence(folder):
    change(folder, labels={"background": 0, "whole": [1, 2], "core": [2], "ignore": 3})
    said = []
    assert find_patients("nnunet", folder, say=said.append)[0].contour.values == (1, 2)
    assert len(said) == 1
    assert "whole, core" in said[0]


def test_missing_files_are_told_for_the_case_they_are_missing_from(folder):
    (folder / "imagesTr" / "case_1_0001.nii.gz").unlink()
    (folder / "labelsTr" / "case_2.nii.gz").unlink()
    first, second = find_patients("nnunet", folder)
    assert first.problem == "It has no PET."
    assert second.problem == "It has no contour."


def test_a_channel_that_dataset_json_does_not_name(folder):
    (folder / "imagesTr" / "case_1_0002.nii.gz").write_bytes(b"")
    assert "channel 0002" in find_patients("nnunet", folder)[0].problem


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"channel_names": {"0": "CT", "1": "ultrasound"}}, "'ultrasound', which is no modality"),
        ({"channel_names": {"0": "CT", "1": "CT"}}, "names one modality twice"),
        ({"channel_names": ["CT", "PET"]}, "not numbered names"),
        ({"labels": {"tumour": "one"}}, "not names with whole numbers"),
        ({"file_ending": ".tif"}, "are .tif files, which are not read"),
    ],
)
def test_a_wrong_description(folder, values, sentence):
    change(folder, **values)
    with pytest.raises(BadInputError, match=sentence):
        find_patients("nnunet", folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"channel_names": {"0": "CT"}}'])
def test_a_damaged_or_incomplete_description(folder, text):
    (folder / "dataset.json").write_text(text)
    with pytest.raises(BadInputError, match=r"dataset.json (cannot be read|lacks)"):
        find_patients("nnunet", folder)


def test_the_format_of_the_first_version_is_named(folder):
    (folder / "dataset.json").write_text('{"modality": {"0": "CT"}, "labels": {"0": "background"}}')
    with pytest.raises(BadInputError, match="nnUNetv2_convert_old_nnUNet_dataset"):
        find_patients("nnunet", folder)


def test_a_description_that_lists_its_files(folder):
    listed = {
        "a": {
            "images": ["imagesTr/case_1_0000.nii.gz", "imagesTr/case_1_0001.nii.gz"],
            "label": "labelsTr/case_1.nii.gz",
        },
        "b": {"images": ["imagesTr/case_2_0000.nii.gz", "imagesTr/gone.nii.gz"], "label": "labelsTr/case_2.nii.gz"},
    }
    change(folder, dataset=listed)
    first, second = find_patients("nnunet", folder)
    assert (first.name, first.problem, second.problem) == ("a", "", "It has no PET.")
    assert np.array_equal(mini.array(read_patient(first, ("PET",))[0]["PET"]), mini.array(mini.phantom(1).pet))


def test_studies_of_an_autopet_patient_share_their_identity(folder):
    for before, after in (("case_1", "psma_95b833d65b_2018-04-16"), ("case_2", "psma_95b833d65b_2019-01-02")):
        for path in [*folder.rglob(f"{before}*")]:
            path.rename(path.with_name(path.name.replace(before, after)))
    patients = find_patients("nnunet", folder)
    assert {one.identity for one in patients} == {"psma_95b833d65b"}
    assert len({one.name for one in patients}) == 2
