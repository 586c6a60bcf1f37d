"""Whom a run learns from: never a validation or test patient, and folds of patients."""

import dataset_miniatures as mini
import pytest

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.patient import Contour, Patient
from petctfusion.training.material import FOLD_SEED, TrainingData, choose_patients


@pytest.fixture
def found(monkeypatch):
    """What the data set is said to hold: (name, identity, split) each."""

    def set_to(*rows):
        patients = [Patient(name, who, {}, Contour(mini.Path("c")), split) for name, who, split in rows]
        monkeypatch.setattr("petctfusion.training.material.find_patients", lambda *_: patients)

    return set_to


def chosen(folds=None, kind="csv"):
    said = []
    material = choose_patients(TrainingData(kind, mini.Path("data"), None, folds), said.append)
    return [p.name for p in material.train], [p.name for p in material.tune], said


def test_the_sarcomas_own_split_counts_and_validation_stays_aside(tmp_path):
    material = choose_patients(TrainingData("sts", mini.sts(tmp_path)), lambda _: None)
    assert [p.name for p in material.train] == ["STS_001"]
    assert [p.name for p in material.tune] == ["STS_002"]


def test_without_tuning_patients_a_fifth_is_held_out_and_said(found):
    found(*[(f"p{n}", f"p{n}", "train") for n in range(10)], ("t", "t", "test"), ("v", "v", "validation"))
    train, tune, said = chosen()
    assert (len(train), len(tune), len(said)) == (8, 2, 1)
    assert not {"t", "v"} & {*train, *tune}
    assert chosen()[:2] == (train, tune)


def test_every_patient_is_held_out_once_with_all_studies(found):
    found(*[(f"p{n}{study}", f"p{n}", "") for n in range(6) for study in "ab"])
    held = [chosen((number, 3, FOLD_SEED))[1] for number in range(3)]
    assert sorted(name for part in held for name in part) == sorted(f"p{n}{study}" for n in range(6) for study in "ab")
    for part in held:
        assert {name[:-1] + "a" for name in part} <= set(part)
        assert {name[:-1] + "b" for name in part} <= set(part)


def test_folds_take_tuning_patients_in_and_leave_kept_ones_out(found):
    found(("a", "a", "train"), ("b", "b", "tune"), ("c", "c", "train"), ("d", "d", "validation"))
    for number in range(3):
        train, tune, _ = chosen((number, 3, FOLD_SEED))
        assert sorted(train + tune) == ["a", "b", "c"]


def test_one_patient_leaves_nobody_to_choose_on(found):
    found(("a", "a", ""))
    train, tune, said = chosen()
    assert (train, tune) == (["a"], [])
    assert "0.5" in said[0]


@pytest.mark.parametrize(
    ("rows", "folds", "sentence"),
    [
        ([("a", "a", "test")], None, "All 1 patients .* are kept aside"),
        ([("a", "a", "tune")], None, "All patients .* are for tuning"),
        ([("a", "a", ""), ("b", "b", "")], (2, 2, 1), "no fold 2 of 2"),
        ([("a", "a", ""), ("b", "b", "")], (0, 5, 1), "5 folds cannot be made of 2 patients"),
    ],
)
def test_what_cannot_be_divided_is_refused(found, rows, folds, sentence):
    found(*rows)
    with pytest.raises(BadInputError, match=sentence):
        chosen(folds)
