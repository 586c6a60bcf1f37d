from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes import (
    Geometry,
    check_study,
    notes_of,
    read_ct,
    read_mask,
    read_mr,
    read_pet,
    read_volume,
    resample_labels,
)
from petctfusion.volumes.dicom import read_series
from petctfusion.volumes.suv import suv_factor

pytestmark = pytest.mark.data


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def test_suv_of_the_raw_series_is_the_published_one(data_folder: Path) -> None:
    folder = data_folder / "sts_raw_pet_dicom" / "STS_001" / "FDG_PET" / "image"
    assert suv_factor(read_series(folder, "PT").headers).factor == pytest.approx(2.4290298e-4, rel=1e-7)
    volume = read_pet(folder)
    assert str(volume.units) == "SUVbw (from DICOM tags: BQML, START)"
    assert "3.19 and 3.29 mm" in notes_of(volume.image)[0]
    published = read_volume(data_folder / "sts" / "STS_001" / "PET.nii.gz")
    depth, height, width = array(published).shape
    part = array(volume.image)[:depth, 45 : 45 + height, 59 : 59 + width]
    assert np.abs(part - array(published)).max() <= 7.8e-4
    # The published crop has its slices at exact multiples of 3.27 mm, the scanner does not.
    corner = Geometry.of(volume.image).points(np.array([[59.0, 45.0, 0.0]]))[0]
    np.testing.assert_allclose(corner, published.GetOrigin(), atol=0.1)


@pytest.mark.parametrize("patient", ["STS_001", "STS_002"])
def test_dicom_and_nifti_of_one_patient_are_the_same(data_folder: Path, patient: str) -> None:
    dicom, nifti = data_folder / "sts_dicom" / patient, data_folder / "sts" / patient
    pet = read_pet(dicom / "PET" / "image")
    assert str(pet.units) == "SUVbw (from DICOM tags: GML, SUVType BW)"
    for ours, theirs in ((pet.image, nifti / "PET.nii.gz"), (read_ct(dicom / "CT" / "image"), nifti / "CT.nii.gz")):
        expected = read_volume(theirs)
        np.testing.assert_allclose(array(ours), array(expected), rtol=0, atol=1e-6)
        assert Geometry.of(ours).same_grid(Geometry.of(expected))


def test_an_image_folder_beside_its_contours_is_found_from_above(data_folder: Path) -> None:
    folder = data_folder / "sts_dicom" / "STS_001" / "CT"
    assert read_ct(folder).GetSize() == read_ct(folder / "image").GetSize()
    assert read_pet(data_folder / "sts_dicom" / "STS_001").image.GetSize() == (41, 43, 59)


def test_all_patients_pass_and_none_passes_swapped(data_folder: Path) -> None:
    folders = sorted((data_folder / "sts").glob("STS_*"))
    assert len(folders) >= 39
    for folder in folders:
        ct, pet = read_ct(folder / "CT.nii.gz"), read_pet(folder / "PET.nii.gz").image
        verdict = check_study(ct, pet, read_mask(folder / "CT_GTV.nii.gz"))
        assert verdict.status == "will_resample", (folder.name, verdict.messages)
        swapped = check_study(pet, ct)
        assert "look swapped" in next(f.message for f in swapped.findings if f.severity == "refuse"), folder.name
        with pytest.raises(BadInputError, match="look swapped"):
            read_pet(folder / "CT.nii.gz")


def test_the_pet_of_another_patient_is_refused(data_folder: Path) -> None:
    ct = read_ct(data_folder / "sts" / "STS_001" / "CT.nii.gz")
    far = []
    for folder in sorted((data_folder / "sts").glob("STS_*"))[1:12]:
        pet = read_pet(folder / "PET.nii.gz").image
        gap = abs(pet.GetOrigin()[2] - ct.GetOrigin()[2])
        if gap > 300:
            far.append(folder.name)
            assert check_study(ct, pet).status == "refused"
    assert far


@pytest.mark.parametrize("patient", ["STS_001", "STS_002", "STS_030"])
def test_a_real_contour_keeps_its_volume_on_the_pet_grid_and_back(data_folder: Path, patient: str) -> None:
    folder = data_folder / "sts" / patient
    contour, pet = read_mask(folder / "CT_GTV.nii.gz"), read_volume(folder / "PET.nii.gz")
    there = resample_labels(contour, Geometry.of(pet))
    back = resample_labels(there, Geometry.of(contour))
    start = array(contour).sum() * Geometry.of(contour).voxel_ml
    assert array(there).sum() * Geometry.of(there).voxel_ml == pytest.approx(start, rel=0.01)
    assert array(back).sum() * Geometry.of(back).voxel_ml == pytest.approx(start, rel=0.01)


def test_an_mr_and_other_scanners_are_read(data_folder: Path) -> None:
    assert read_mr(data_folder / "sts" / "STS_001" / "MR.nii.gz").GetDimension() == 3
    assert read_ct(data_folder / "chest_ct" / "3DCT_lung.mha").GetSize() == (115, 157, 129)
    assert read_ct(data_folder / "totalsegmentator_example" / "example_ct.nii.gz").GetSize() == (122, 101, 112)


def test_rtstruct_given_as_a_volume_is_refused_in_a_sentence(data_folder: Path) -> None:
    (path,) = (data_folder / "sts_dicom" / "STS_001" / "CT" / "mask").iterdir()
    with pytest.raises(BadInputError, match="RTSTRUCT"):
        read_mask(path)
