from __future__ import annotations

from pathlib import Path

import pytest

from petctfusion.errors import BadInputError
from petctfusion.evaluation import cohort_pairs, is_cohort
from petctfusion.evaluation.pairs import stem_of


def touched(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_files_are_paired_by_their_name_without_the_suffix(tmp_path):
    touched(tmp_path / "p" / "A.nii.gz", tmp_path / "p" / "B.seg.nrrd", tmp_path / "p" / "notes.txt")
    touched(tmp_path / "r" / "A.mha", tmp_path / "r" / "B.nrrd", tmp_path / "r" / ".hidden.nii")
    pairs = cohort_pairs(tmp_path / "p", tmp_path / "r", None)
    assert [(p.patient, p.prediction.name, p.reference.name, p.problem) for p in pairs] == [
        ("A", "A.nii.gz", "A.mha", ""),
        ("B", "B.seg.nrrd", "B.nrrd", ""),
    ]
    assert is_cohort(tmp_path / "p", tmp_path / "r")


@pytest.mark.parametrize("name", ["a.b.nii.gz", "a.b.SEG.NRRD", "a.b.nrrd", "a.b.nii", "a.b.MHA", "a.b.dcm", "a.b"])
def test_the_stem_is_the_name_without_the_format(name):
    assert stem_of(name) == "a.b"


def test_patients_are_counted_as_a_person_counts(tmp_path):
    names = [f"P{n}.nii" for n in (10, 9, 1, 2)]
    touched(*(tmp_path / side / name for side in "pr" for name in names))
    assert [p.patient for p in cohort_pairs(tmp_path / "p", tmp_path / "r", None)] == ["P1", "P2", "P9", "P10"]


def test_folders_of_patients_hold_one_mask_each(tmp_path):
    touched(tmp_path / "p" / "A" / "mask.nii.gz", tmp_path / "p" / "B" / "mask.nii.gz")
    touched(tmp_path / "r" / "A.nii.gz", tmp_path / "r" / "B.nii.gz")
    pairs = cohort_pairs(tmp_path / "p", tmp_path / "r", None)
    assert [(p.patient, p.prediction.parent.name) for p in pairs] == [("A", "A"), ("B", "B")]


def test_a_patient_folder_with_two_masks_or_none_is_that_patient_s_problem(tmp_path):
    touched(tmp_path / "p" / "A" / "CT.nii.gz", tmp_path / "p" / "A" / "mask.nii.gz")
    touched(tmp_path / "p" / "B" / "mask.nii.gz", tmp_path / "p" / "C" / "readme.txt")
    touched(*(tmp_path / "r" / f"{name}.nii.gz" for name in "ABC"))
    a, b, c = cohort_pairs(tmp_path / "p", tmp_path / "r", None)
    assert "2 files that may be the mask: CT.nii.gz, mask.nii.gz" in a.problem
    assert "pattern" in a.hint
    assert b.problem == ""
    assert "holds no mask" in c.problem


def test_patients_on_one_side_only_are_listed_with_what_they_lack(tmp_path):
    touched(tmp_path / "p" / "A.nii", tmp_path / "p" / "B.nii", tmp_path / "r" / "B.nii", tmp_path / "r" / "C.nii")
    a, b, c = cohort_pairs(tmp_path / "p", tmp_path / "r", None)
    assert (a.problem, b.problem, c.problem) == ("There is no reference.", "", "There is no prediction.")
    assert a.hint


def test_a_pet_belongs_to_its_patient_and_its_lack_is_a_problem(tmp_path):
    touched(*(tmp_path / side / f"{name}.nii" for side in "pr" for name in "AB"), tmp_path / "pet" / "A.nii.gz")
    a, b = cohort_pairs(tmp_path / "p", tmp_path / "r", tmp_path / "pet")
    assert (a.pet.name, a.problem) == ("A.nii.gz", "")
    assert b.problem == "There is no PET."


def test_a_star_is_the_patient(tmp_path):
    for name in ("STS_1", "STS_2"):
        touched(tmp_path / "d" / name / "CT.nii", tmp_path / "d" / name / "GTV.nii", tmp_path / "p" / f"{name}_seg.nii")
    pairs = cohort_pairs(tmp_path / "p" / "*_seg.nii", tmp_path / "d" / "*" / "GTV.nii", None)
    assert [(p.patient, p.prediction.name) for p in pairs] == [("STS_1", "STS_1_seg.nii"), ("STS_2", "STS_2_seg.nii")]
    # A folder is its patient also where the pattern spells part of its name.
    again = cohort_pairs(tmp_path / "p" / "*_seg.nii", tmp_path / "d" / "STS_*" / "GTV.nii", None)
    assert [p.patient for p in again] == ["STS_1", "STS_2"]
    assert is_cohort(tmp_path / "p" / "*_seg.nii", tmp_path / "d" / "*" / "GTV.nii")


@pytest.mark.parametrize(
    ("pattern", "words"), [("*/*.nii", "more than one star"), ("*_x.nii", "Nothing is called"), ("none/*", "Nothing")]
)
def test_a_pattern_that_finds_nothing_is_told(tmp_path, pattern, words):
    touched(tmp_path / "r" / "A.nii")
    with pytest.raises(BadInputError, match=words):
        cohort_pairs(tmp_path / "r" / pattern, tmp_path / "r", None)


def test_folders_without_a_common_patient_are_refused_naming_both(tmp_path):
    touched(*(tmp_path / "p" / f"A{n}.nii" for n in range(9)), tmp_path / "r" / "B.nii")
    with pytest.raises(BadInputError, match=r"A0, A1, A2, A3, \.\.\. \(9\).*B"):
        cohort_pairs(tmp_path / "p", tmp_path / "r", None)


def test_two_files_of_one_patient_and_an_empty_folder_are_refused(tmp_path):
    touched(tmp_path / "p" / "A.nii", tmp_path / "p" / "A.nrrd", tmp_path / "r" / "A.nii")
    (tmp_path / "e").mkdir()
    with pytest.raises(BadInputError, match=r"two files for A: A\.nii and A\.nrrd"):
        cohort_pairs(tmp_path / "p", tmp_path / "r", None)
    with pytest.raises(BadInputError, match="no mask and no patient folder"):
        cohort_pairs(tmp_path / "e", tmp_path / "r", None)


def test_a_mask_and_a_folder_of_masks_do_not_go_together(tmp_path, structure_set):
    touched(tmp_path / "p" / "A.nii", tmp_path / "r" / "A.nii")
    study = structure_set(tmp_path / "study" / "rs.dcm", {"GTV": []}).parent
    assert not is_cohort(tmp_path / "p" / "A.nii", study)
    with pytest.raises(BadInputError, match="do not go together"):
        is_cohort(tmp_path / "p", study)
