"""All regions of a structure set at once: the same masks as one by one, by name, and nothing lost with a bad one."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

from petctfusion.volumes import Geometry, MaskChoice, read_region
from petctfusion.volumes.dicom_files import find_series
from petctfusion.volumes.regions import draw_regions, structure_sets, tumor_region
from petctfusion.volumes.rtstruct import read_structure_set

GRID = Geometry((30, 26, 12), (2.0, 2.0, 3.0), (-20.0, -30.0, 100.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def discs(*slices: int, radius: float = 15.1, centre: tuple[float, float] = (9.0, -6.0)) -> list[np.ndarray]:
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    x, y = centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)
    return [np.stack([x, y, np.full(90, 100.0 + 3.0 * n)], axis=1) for n in slices]


FAR = discs(0, centre=(900.0, 0.0))


def drawn(path):
    return draw_regions(read_structure_set(path, pydicom.dcmread(path)), GRID)


def test_overlapping_regions_are_the_masks_that_one_by_one_gives(structure_set, tmp_path):
    outlines = {
        "GTV": discs(4, 5, radius=6.0),
        "Body": discs(2, 3, 4, 5, 6),
        "Beyond": discs(10, 11, 12, radius=8.0, centre=(-20.0, -30.0)),
    }
    path = structure_set(tmp_path / "rs.dcm", outlines)
    found = dict(drawn(path).masks(GRID))
    assert list(found) == ["GTV", "Body", "Beyond"]
    for name, mask in found.items():
        one = read_region(path, MaskChoice(roi=name), GRID).image
        if name != "Beyond":
            assert mask.GetSize() == one.GetSize()
        inside = [sitk.GetArrayFromImage(image).sum() for image in (mask, one)]
        assert inside[0] == inside[1] > 0
        onGrid = sitk.Resample(mask, one, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        assert np.array_equal(sitk.GetArrayFromImage(onGrid), sitk.GetArrayFromImage(one))


def test_a_region_that_cannot_be_drawn_costs_itself_only(structure_set, tmp_path):
    good = discs(3, 4)
    found = drawn(structure_set(tmp_path / "rs.dcm", {"GTV": good, "Couch": FAR, "Note": [], "gtv": good}))
    assert list(found.boxes) == ["GTV", "gtv"]
    assert len(found.left_out) == 1
    assert "Couch" in found.left_out[0]
    for name, outlines in (("Couch", {"Couch": FAR}), ("no closed contour", {"Note": []})):
        nothing = drawn(structure_set(tmp_path / "none.dcm", outlines))
        assert not nothing.boxes
        assert name in " ".join(nothing.left_out)


def test_two_of_one_name_are_told_apart(structure_set, tmp_path):
    path = structure_set(tmp_path / "rs.dcm", {"a": discs(3), "b": discs(5)})
    dataset = pydicom.dcmread(path)
    for item in dataset.StructureSetROISequence:
        item.ROIName = "GTV"
    dataset.save_as(path)
    assert list(drawn(path).boxes) == ["GTV", "GTV 2"]


def images(**tags):
    header = Dataset()
    for name, value in tags.items():
        setattr(header, name, value)
    return header


def found(folder, **tags):
    return [one.path.stem for one in structure_sets(find_series(folder), images(**tags))]


def test_those_drawn_on_these_images_are_taken_else_those_of_their_frame_else_of_their_patient(structure_set, tmp_path):
    def framed(dataset):
        dataset.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = "1.9.1"

    outlines = {"GTV": discs(3)}
    structure_set(tmp_path / "ct.dcm", outlines, "1.2.1")
    structure_set(tmp_path / "pet.dcm", outlines, "1.2.2", framed)
    patient = {"PatientID": "P1"}
    assert found(tmp_path, SeriesInstanceUID="1.2.1", FrameOfReferenceUID="1.9.1", **patient) == ["ct"]
    # The first one names no frame, but is of this patient.
    assert found(tmp_path, SeriesInstanceUID="1.2.3", FrameOfReferenceUID="1.9.1", **patient) == ["ct", "pet"]
    assert found(tmp_path, SeriesInstanceUID="1.2.3", FrameOfReferenceUID="1.9.2", **patient) == ["ct"]
    assert found(tmp_path, SeriesInstanceUID="1.2.3", FrameOfReferenceUID="1.9.2", PatientID="P2") == []


@pytest.mark.parametrize(
    ("names", "tumor"),
    [
        (["BODY", "GTV_p", "Lung_L"], "GTV_p"),
        (["Heart", "IGTV 50%"], "IGTV 50%"),
        (["tumor", "Bladder"], "tumor"),
        (["GTVp1", "Heart"], "GTVp1"),
        (["GTVp", "GTVn"], None),
        (["PTV", "CTV"], None),
        (["Massachusetts", "Biomass"], None),
        (["GTV_Mass", "GTV_Edema"], None),
        (["Lesion1", "Liver"], "Lesion1"),
    ],
)
def test_the_tumor_is_known_by_its_name_where_only_one_can_be_meant(names, tumor):
    assert tumor_region(names) == tumor
