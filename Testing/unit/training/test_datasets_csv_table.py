"""The table of paths."""

import dataset_miniatures as mini
import pytest

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.reading import read_patient
from petctfusion.training.datasets.registry import find_patients

HEADER = "patient,study,CT,PET,contour,split"
ROW = "P1,a,ct1.nii.gz,pet1.nii.gz,gtv1.nii.gz,train"


@pytest.fixture
def write(tmp_path):
    mini.table(tmp_path)

    def lines(*rows, name="own.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_text("\n".join(rows) + "\n", encoding=encoding)
        return path

    return lines


def test_studies_share_their_patient_and_blank_lines_are_nothing(write):
    table = write(HEADER, ROW, "", ROW.replace(",a,", ",b,").replace("1.nii", "2.nii"), ",,,,,")
    assert [(one.name, one.identity, one.split) for one in find_patients("csv", table)] == [
        ("P1/a", "P1", "train"),
        ("P1/b", "P1", "train"),
    ]


def test_a_table_from_a_spreadsheet_with_semicolons_and_a_byte_order_mark(write):
    table = write("Patient;CT;PT;Contour", "P1;ct1.nii.gz;pet1.nii.gz;gtv1.nii.gz", encoding="utf-8-sig")
    (one,) = find_patients("csv", table)
    assert (one.name, one.split, one.problem) == ("P1", "", "")
    assert list(read_patient(one, ("CT", "PET"))[0]) == ["CT", "PET"]


def test_an_rtstruct_as_contour_is_drawn_on_the_ct(write, structure_set, tmp_path):
    contours, mask = mini.box_contours(mini.phantom(1).reference)
    structure_set(tmp_path / "rs.dcm", {"GTV": contours, "heart": contours[:1]})
    (one,) = find_patients("csv", write(HEADER, ROW.replace("gtv1.nii.gz", "rs.dcm")), label="GTV")
    assert (mini.array(read_patient(one, ("CT", "PET"))[1]) == mask).all()


def test_what_is_missing_is_told_for_its_row(write):
    table = write(HEADER, ROW.replace("pet1.nii.gz", ""), ROW.replace(",a,", ",b,").replace("gtv1", "gone"))
    first, second = find_patients("csv", table)
    assert first.problem == "It has no PET."
    assert "gone.nii.gz does not exist" in second.problem
    assert "line 3" in second.hint


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ((HEADER, ROW, ROW), "P1/a is in .* twice, again in line 3"),
        ((HEADER, ROW, ROW.replace(",a,", ",b,").replace("train", "test")), "puts P1 into test of the split"),
        ((HEADER, ROW.replace("train", "trian")), "'trian' for its split.*'train'"),
        ((HEADER, ROW[2:]), "names no patient"),
        ((HEADER, ROW + ",more"), "Line 2 .* has 7 cells, the header 6"),
        ((HEADER.replace("PET", "ultrasound"), ROW), "'ultrasound', which is no modality"),
        (("patient,CT,PT,PET,contour", "a,b,c,d,e"), "two columns for one modality"),
        (("patient,contour", "a,b"), "no column of a modality"),
        (("patients,CT,contour", "a,b,c"), "has no column 'patient'.*'patients'"),
        (("patient,CT,CT,contour", "a,b,c,d"), "one column twice"),
        ((HEADER,), "holds no patient"),
        (("",), "has no column 'patient'"),
    ],
)
def test_a_wrong_table(write, rows, sentence):
    table = write(*(row if row != ROW[2:] else ",a,ct1.nii.gz,pet1.nii.gz,gtv1.nii.gz,train" for row in rows))
    with pytest.raises(BadInputError, match=sentence):
        find_patients("csv", table)


def test_a_file_that_is_no_text(write, tmp_path):
    (tmp_path / "own.csv").write_bytes(b"\xff\xfe\x00\x01" * 40)
    with pytest.raises(BadInputError, match="cannot be read"):
        find_patients("csv", tmp_path / "own.csv")
