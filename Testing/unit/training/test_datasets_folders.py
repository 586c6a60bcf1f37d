"""autoPET, HECKTOR and PCLT20K: layouts that are told by the names of files and folders."""

import shutil

import dataset_miniatures as mini
import numpy as np
import pytest

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.patient import folds
from petctfusion.training.datasets.reading import read_patient
from petctfusion.training.datasets.registry import find_patients


def test_studies_of_an_autopet_patient_are_in_one_fold(tmp_path):
    patients = find_patients("autopet", mini.autopet(tmp_path))
    assert [(one.name, one.identity) for one in patients] == [
        ("PETCT_01/2003-A", "PETCT_01"),
        ("PETCT_01/2004-B", "PETCT_01"),
        ("PSMA_7/2010-C", "PSMA_7"),
    ]
    assert sorted(len(fold) for fold in folds(patients, 2, seed=0)) == [1, 2]


def test_an_autopet_study_may_have_the_original_ct_but_not_the_pet_in_becquerel(tmp_path):
    folder = mini.autopet(tmp_path)
    (folder / "PETCT_01/2003-A/CTres.nii.gz").rename(folder / "PETCT_01/2003-A/CT.nii.gz")
    (folder / "PSMA_7/2010-C/SUV.nii.gz").rename(folder / "PSMA_7/2010-C/PET.nii.gz")
    first, _, third = find_patients("autopet", folder)
    assert first.volumes["CT"].name == "CT.nii.gz"
    assert first.problem == ""
    assert third.problem == "It has no PET."


def test_an_empty_autopet_study_is_told_and_one_level_more_does_no_harm(tmp_path):
    mini.autopet(tmp_path / "FDG-PET-CT-Lesions")
    (tmp_path / "FDG-PET-CT-Lesions/PETCT_09/2001-X").mkdir(parents=True)
    patients = {one.name: one for one in find_patients("autopet", tmp_path)}
    empty = patients["FDG-PET-CT-Lesions/PETCT_09/2001-X"]
    assert empty.problem == "It has no CT and no PET and no contour."
    assert empty.identity == "PETCT_09"
    assert patients["FDG-PET-CT-Lesions/PSMA_7/2010-C"].identity == "PSMA_7"


@pytest.mark.parametrize("year", [2022, 2025])
def test_both_hecktor_layouts_and_their_labels(tmp_path, year):
    folder = mini.hecktor(tmp_path, year)
    truth = mini.array(mini.with_second_label(mini.phantom(2).reference))
    for label, wanted in ((None, truth > 0), ("GTVp", truth == 1), ("gtvn", truth == 2), ("2", truth == 2)):
        one = find_patients("hecktor", folder, label)[1]
        assert one.name == "CHUM-002"
        assert np.array_equal(mini.array(read_patient(one, ("CT", "PET"))[1]), wanted)
    with pytest.raises(BadInputError, match=r"no label 'GTVx'.*GTVp \(1\), GTVn \(2\)"):
        find_patients("hecktor", folder, "GTVx")


def test_hecktor_files_that_are_missing_there_twice_or_for_the_test(tmp_path):
    folder = mini.hecktor(tmp_path, 2025)
    (folder / "CHUM-001/CHUM-001__PT.nii.gz").unlink()
    (folder / "CHUM-002/CHUM-002.nii.gz").unlink()
    (folder / "copy").mkdir()
    shutil.copy(folder / "CHUM-003/CHUM-003__CT.nii.gz", folder / "copy")
    (folder / "imagesTs").mkdir()
    shutil.copy(folder / "CHUM-003/CHUM-003__CT.nii.gz", folder / "imagesTs/CHUM-900__CT.nii.gz")
    first, second, third = find_patients("hecktor", folder)
    assert first.problem == "It has no PET."
    assert second.problem == "It has no contour."
    assert third.problem.startswith("It is there twice: ")


def test_pclt20k_slices_with_their_patient_and_split(tmp_path):
    said = []
    patients = find_patients("pclt20k", mini.pclt20k(tmp_path), say=said.append)
    assert [(one.name, one.identity, one.split) for one in patients] == [
        ("1001_42", "1001", "train"),
        ("1001_43", "1001", "train"),
        ("1002_7", "1002", "test"),
    ]
    assert len(said) == 1
    assert "grey levels, not HU and SUV" in said[0]
    for seed, one in enumerate(patients, start=1):
        volumes, contour = read_patient(one, ("CT", "PET"))
        ct, pet, mask = mini.middle_slice(seed)
        assert np.array_equal(mini.array(volumes["CT"]), ct[None])
        assert np.array_equal(mini.array(volumes["PET"]), pet[None])
        assert np.array_equal(mini.array(contour), mask[None] > 0)


def test_pclt20k_samples_without_files_and_patients_on_both_sides(tmp_path):
    folder = mini.pclt20k(tmp_path)
    (folder / "1001/1001_42_pet.png").unlink()
    (folder / "test.txt").write_text("1002_7\n1001_43\n1003_1\n")
    (folder / "train.txt").write_text("1001_42\n1002_8\n")
    said = []
    patients = {one.name: one for one in find_patients("pclt20k", folder, say=said.append)}
    assert patients["1001_42"].problem == "It has no PET."
    assert patients["1003_1"].problem == "It has no CT and no PET and no contour."
    assert patients["1003_1"].identity == "1003"
    assert any("2 patients have slices in train.txt and in test.txt" in line for line in said)


def test_pictures_that_are_damaged_coloured_or_of_two_sizes(tmp_path):
    folder = mini.pclt20k(tmp_path)
    first, second, third = find_patients("pclt20k", folder)
    first.volumes["CT"].write_bytes(first.volumes["CT"].read_bytes()[:40])
    mini.picture(np.zeros((9, 9), np.uint8), second.volumes["PET"])
    colours = np.zeros((*mini.middle_slice(3)[0].shape, 3), np.uint8)
    colours[..., 1] = 9
    image = mini.sitk.GetImageFromArray(colours, isVector=True)
    mini.sitk.WriteImage(image, str(third.volumes["CT"]))
    for one, sentence in ((first, "damaged or no PNG"), (second, "differ in size"), (third, "coloured picture")):
        with pytest.raises(BadInputError, match=sentence):
            read_patient(one, ("CT", "PET"))


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_picture_that_was_cut_is_refused_wherever_it_was_cut(tmp_path, kept):
    values = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    path = mini.picture(values, tmp_path / "whole.png")
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    from petctfusion.training.datasets.pclt20k import read_picture

    with pytest.raises(BadInputError, match="damaged or no PNG"):
        read_picture(path)
