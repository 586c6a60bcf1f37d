"""DICOM folders: series told apart by their tags, SUV from the tags, the contour from an RTSTRUCT."""

import dataset_miniatures as mini
import numpy as np
import pytest

from petctfusion.errors import BadInputError
from petctfusion.training.datasets.reading import read_patient
from petctfusion.training.datasets.registry import find_patients


@pytest.fixture
def write(structure_set, tmp_path):
    def patient(name: str, seed: int = 1, patient_id: str = "", beside: bool = True):
        one, folder = mini.phantom(seed), tmp_path / name
        uid = mini.dicom_series(one.ct, "CT", folder if beside else folder / "a", patient_id or name)
        mini.dicom_series(one.pet, "PT", folder if beside else folder / "b", patient_id or name)
        contours, _ = mini.box_contours(one.reference)
        path = folder / "rs.dcm" if beside else folder / "c" / "rs.dcm"

        def named(dataset):
            dataset.PatientID = patient_id or name

        structure_set(path, {"GTV": contours, "heart": contours[:1]}, uid, named)
        return tmp_path

    return patient


@pytest.mark.parametrize("beside", [True, False])
def test_a_patient_in_one_folder_or_in_subfolders(write, beside):
    (one,) = find_patients("dicom", write("anna", beside=beside), label="GTV")
    volumes, contour = read_patient(one, ("CT", "PET"))
    truth = mini.phantom(1)
    assert np.array_equal(mini.array(volumes["CT"]), mini.array(truth.ct))
    # 16-bit numbers of 2 Bq/ml are 0.0004 SUV apart.
    assert np.abs(mini.array(volumes["PET"]) - mini.array(truth.pet)).max() < 0.0005
    assert np.array_equal(mini.array(contour), mini.box_contours(truth.reference)[1])


def test_the_region_must_be_named_where_there_are_several(write):
    (one,) = find_patients("dicom", write("anna"))
    with pytest.raises(BadInputError, match="2 regions: GTV, heart"):
        read_patient(one, ("CT", "PET"))


def test_folders_of_one_patient_id_share_their_identity(write):
    write("visit 1", 1, "P7")
    write("visit 2", 2, "P7")
    root = write("other", 3)
    said = []
    patients = find_patients("dicom", root, "GTV", said.append)
    assert [(one.name, one.identity) for one in patients] == [("other", "other"), ("visit 1", "P7"), ("visit 2", "P7")]
    assert "1 folders" in said[0]


def test_a_missing_series_is_told_when_read_and_rubbish_when_found(write):
    root = write("anna")
    for path in (root / "anna").glob("PT*.dcm"):
        path.unlink()
    (root / "bert").mkdir()
    (root / "carl").mkdir()
    (root / "carl" / "1.dcm").write_bytes(b"no DICOM at all")
    anna, bert, carl = find_patients("dicom", root, "GTV")
    with pytest.raises(BadInputError, match="holds no PT series"):
        read_patient(anna, ("CT", "PET"))
    assert bert.problem == "It holds no DICOM file."
    assert "not a DICOM file" in carl.problem
