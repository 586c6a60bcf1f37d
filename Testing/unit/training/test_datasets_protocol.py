"""What all data sets have in common: the registry, the contents, labels, folds."""

import dataset_miniatures as mini
import numpy as np
import pytest

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.patient import Contour, Patient, folds, known_modality, of_split
from petctfusion.training.datasets.reading import read_patient
from petctfusion.training.datasets.registry import KINDS, Kind, find_patients

MINIATURES = {
    "sts": mini.sts,
    "nnunet": lambda root: mini.nnunet(root / "Dataset001_Mini"),
    "autopet": mini.autopet,
    "hecktor": lambda root: mini.hecktor(root, 2022),
    "csv": mini.table,
}


def patient(name: str, identity: str | None = None, split: str = "") -> Patient:
    return Patient(name, identity or name, {}, None, split)


@pytest.mark.parametrize("kind", MINIATURES)
def test_every_layout_gives_back_the_voxels_of_its_phantoms(kind, tmp_path):
    patients = find_patients(kind, MINIATURES[kind](tmp_path))
    assert len(patients) == 3
    for seed, one in enumerate(patients, start=1):
        volumes, contour = read_patient(one, ("CT", "PET"))
        truth = mini.phantom(seed)
        assert list(volumes) == ["CT", "PET"]
        assert np.array_equal(mini.array(volumes["CT"]), mini.array(truth.ct))
        assert np.array_equal(mini.array(volumes["PET"]), mini.array(truth.pet))
        # STS_019 learns from the PET contour.
        wanted = truth.reference_pet_grid if one.name == "STS_019" else truth.reference
        assert np.array_equal(mini.array(contour), mini.array(wanted))


def test_the_order_of_modalities_is_the_networks(tmp_path):
    one = find_patients("nnunet", mini.nnunet(tmp_path / "d", seeds=(1,)))[0]
    assert list(read_patient(one, ("PET", "CT"))[0]) == ["PET", "CT"]


def test_the_sarcoma_split_stays_with_its_patients(tmp_path):
    patients = find_patients("sts", mini.sts(tmp_path))
    assert [(one.name, one.split) for one in patients] == [
        ("STS_001", "train"),
        ("STS_002", "tune"),
        ("STS_019", "validation"),
    ]


@pytest.mark.data
def test_the_real_sarcoma_patients_are_found_whole(sts_folder):
    patients = find_patients("sts", sts_folder)
    assert [len(of_split(patients, part)) for part in ("train", "tune", "validation")] == [26, 5, 8]
    assert not any(one.problem for one in patients)


def test_an_unknown_kind_is_told_with_the_one_that_was_meant(tmp_path):
    with pytest.raises(BadInputError, match=r"no kind of data set called 'nnunett'.*Did you mean 'nnunet'"):
        find_patients("nnunett", tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_another_layout_is_told_in_one_sentence(kind, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(BadInputError) as caught:
        find_patients(kind, tmp_path)
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_is_not_there_is_told(kind, tmp_path):
    with pytest.raises(BadInputError, match="is not a"):
        find_patients(kind, tmp_path / "nowhere")


def test_a_disk_that_fails_while_looking_is_told(monkeypatch, tmp_path):
    def fails(*_):
        raise PermissionError(13, "Permission denied", str(tmp_path / "secret"))

    monkeypatch.setitem(KINDS, "autopet", Kind(fails, ""))
    with pytest.raises(BadInputError, match=r"cannot be read .*secret: Permission denied"):
        find_patients("autopet", tmp_path)


def test_a_word_that_is_no_modality():
    assert [known_modality(word, "x") for word in ("CT", "pt", "SUV", "CTres", "MRI")] == [
        "CT",
        "PET",
        "PET",
        "CT",
        "MR",
    ]
    with pytest.raises(BadInputError, match="'ultrasound', which is no modality"):
        known_modality("ultrasound", "dataset.json")


def test_a_modality_that_the_recipe_wants_and_the_patient_lacks(tmp_path):
    one = find_patients("nnunet", mini.nnunet(tmp_path / "d", seeds=(1,)))[0]
    with pytest.raises(BadInputError, match="It has no MR"):
        read_patient(one, ("CT", "MR"))


def test_ct_and_pet_of_two_patients_are_refused(tmp_path):
    folder = mini.nnunet(tmp_path / "d", seeds=(1,))
    one = find_patients("nnunet", folder)[0]
    far = mini.sitk.Image(mini.phantom(2).pet)
    far.SetOrigin((900.0, 900.0, 900.0))
    mini.write_volume(far, one.volumes["PET"])
    with pytest.raises(BadInputError, match="do not overlap"):
        read_patient(one, ("CT", "PET"))


def test_folds_keep_patients_together_and_hold_each_out_once():
    patients = [patient(f"p{number}/{study}", f"p{number}") for number in range(11) for study in range(1 + number % 3)]
    dealt = folds(patients, 4, seed=7)
    identities = [{one.identity for one in fold} for fold in dealt]
    assert sorted(one.name for fold in dealt for one in fold) == sorted(one.name for one in patients)
    assert sum(len(part) for part in identities) == len(set.union(*identities)) == 11
    assert sorted(len(part) for part in identities) == [2, 3, 3, 3]


def test_folds_depend_on_the_seed_and_on_nothing_else():
    patients = [patient(f"p{number}") for number in range(20)]
    names = [[one.name for one in fold] for fold in folds(patients, 5, seed=1)]
    backwards = [{one.name for one in fold} for fold in folds(patients[::-1], 5, seed=1)]
    assert [set(fold) for fold in names] == backwards
    assert names != [[one.name for one in fold] for fold in folds(patients, 5, seed=2)]
    # Known once and for all: a table of results names folds by their numbers.
    assert names[0] == ["p2", "p14", "p17", "p18"]


@pytest.mark.parametrize("k", [0, 1, 4])
def test_folds_that_cannot_be_made(k):
    with pytest.raises(BadInputError, match=f"{k} folds cannot be made of 3 patients"):
        folds([patient("a"), patient("b"), patient("c"), patient("c/2", "c")], k, seed=0)


def test_patients_kept_aside_are_not_dealt_into_folds():
    with pytest.raises(BadInputError, match="kept aside for validation or test, b among them"):
        folds([patient("a"), patient("b", split="validation")], 2, seed=0)


def test_a_contour_of_chosen_labels_leaves_out_the_others(tmp_path):
    labels = mini.with_second_label(mini.phantom(1).reference)
    path = mini.write_volume(labels, tmp_path / "labels.nii.gz")
    folder = mini.nnunet(tmp_path / "d", seeds=(1,))
    one = find_patients("nnunet", folder)[0]
    second = Patient(one.name, one.identity, one.volumes, Contour(path, (2,)))
    assert np.array_equal(mini.array(read_patient(second, ("CT", "PET"))[1]), mini.array(labels) == 2)
