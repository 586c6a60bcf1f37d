"""What was sent is taken for what it is; without a browser."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("aiohttp", reason="the browser workbench is not installed")

from small_study import writeSmallStudy

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.mrml.saving import saveSegmentation
from PETCTFusionSegLib.mrml.volumes import petUnitsOfNode
from PETCTFusionSegLib.web.arrivals import addArrived, readArrival, roleOf
from PETCTFusionSegLib.web.uploads import Arrival


@pytest.fixture
def study(tmp_path):
    return writeSmallStudy(tmp_path)


VALUES = {
    "ct": np.linspace(-1000, 1000, 4096, dtype=np.float32),
    "pet": np.linspace(0, 12, 4096, dtype=np.float32),
    "labels": (np.arange(4096) > 4000).astype(np.uint8),
}


@pytest.mark.parametrize(
    ("name", "values", "role"),
    [
        ("CT.nii.gz", "ct", "CT"),
        ("patient_pet_suv.nii", "pet", "PET"),
        ("anything.nrrd", "ct", "CT"),
        ("anything.nrrd", "pet", "PET"),
        ("anything.nrrd", "labels", "contour"),
        ("STS_01-ref.nii.gz", "labels", "contour"),
        # A name that says contour is not believed when the values are none.
        ("lesion study.nii.gz", "pet", "PET"),
        ("t2_axial.nii", "pet", "MR"),
        ("architecture.nii", "ct", "CT"),
    ],
)
def test_the_name_decides_and_then_the_values(name, values, role):
    assert roleOf(name, sitk.GetImageFromArray(VALUES[values].reshape(16, 16, 16))) == role


@pytest.mark.parametrize("size", [48, 96])
def test_a_pet_of_whole_numbers_is_no_contour(size):
    """It was one every other time: its values were read in memory that had been given back."""
    values = np.full((size, size, size), 1.0, np.float32)
    values[size // 2 : size // 2 + 5] = 17.0
    assert {roleOf("second.mha", sitk.GetImageFromArray(values)) for _ in range(20)} == {"PET"}


def test_a_study_of_files(scene, study):
    found = readArrival(Arrival((study.reference, study.pet, study.ct)))
    assert [one.role for one in found] == ["CT", "PET", "contour"]
    nodes = addArrived(scene, found, None)
    # Nothing in the file states units, so they stay open.
    assert petUnitsOfNode(nodes["PET"]).units is None
    assert nodes["contour"].GetSegmentation().GetNumberOfSegments() == 1
    bounds = [0.0] * 6
    nodes["contour"].GetRASBounds(bounds)
    assert bounds[5] - bounds[4] == pytest.approx(7 * 3.0)


def test_units_that_the_file_states_are_taken(scene, study, tmp_path):
    image = sitk.ReadImage(str(study.pet))
    image.SetMetaData("MeasurementUnits", "{SUVbw}g/ml")
    path = tmp_path / "stated.nrrd"
    sitk.WriteImage(image, str(path))
    nodes = addArrived(scene, readArrival(Arrival((path,))), None)
    assert petUnitsOfNode(nodes["PET"]).units == "SUVbw"


def test_a_segmentation_keeps_its_segments(scene, study, tmp_path):
    first = addArrived(scene, readArrival(Arrival((study.ct, study.reference))), None)
    first["contour"].GetSegmentation().GetNthSegment(0).SetName("Node 7")
    path = saveSegmentation(first["contour"], tmp_path / "mine.seg.nrrd")
    (found,) = readArrival(Arrival((path,)))
    node = addArrived(scene, [found], None)["contour"]
    assert node.GetSegmentation().GetNthSegment(0).GetName() == "Node 7"


def test_a_contour_without_a_ct_waits_for_one(scene, study):
    with pytest.raises(BadInputError, match='"reference" came before its CT'):
        addArrived(scene, readArrival(Arrival((study.reference,))), None)
