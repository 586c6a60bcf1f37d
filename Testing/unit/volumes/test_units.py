from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

from petctfusion.errors import BadInputError
from petctfusion.volumes import check_plausible, classify_pet, read_pet
from petctfusion.volumes.units import suv_kind


def saved(image: sitk.Image, path: Path) -> Path:
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_file_without_unit_tags_is_assumed_to_be_suv_and_says_so(
    pet: sitk.Image, tmp_path: Path, suffix: str
) -> None:
    volume = read_pet(saved(sitk.Cast(pet, sitk.sitkFloat64), tmp_path / f"pet{suffix}"))
    assert str(volume.units) == "SUVbw (assumed)"
    assert volume.units.assumed
    assert volume.image.GetPixelID() == sitk.sitkFloat32
    np.testing.assert_array_equal(sitk.GetArrayFromImage(volume.image), sitk.GetArrayFromImage(pet))


def test_declared_units_are_repeated(pet: sitk.Image, tmp_path: Path) -> None:
    volume = read_pet(saved(pet, tmp_path / "pet.nii.gz"), "suvbw")
    assert str(volume.units) == "SUVbw (declared)"
    assert not volume.units.assumed


def test_bqml_without_tags_is_refused(pet: sitk.Image, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="weight, the dose and the injection time"):
        read_pet(saved(pet, tmp_path / "pet.nii.gz"), "bqml")


def test_an_unknown_choice_of_units_is_refused(pet: sitk.Image, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="'kBq' is no choice"):
        read_pet(saved(pet, tmp_path / "pet.nii.gz"), "kBq")


@pytest.mark.parametrize("declared", ["auto", "suvbw"])
def test_values_that_look_like_bqml_are_refused(pet: sitk.Image, tmp_path: Path, declared: str) -> None:
    path = saved(pet * 4000, tmp_path / "pet.nii.gz")
    with pytest.raises(BadInputError, match="looks like Bq/ml"):
        read_pet(path, declared)


@pytest.mark.parametrize(("level", "passes"), [(199.0, True), (201.0, False)])
def test_the_limit_is_200_at_the_99_9th_percentile(pet: sitk.Image, level: float, passes: bool) -> None:
    image = pet * (level / float(np.percentile(sitk.GetArrayFromImage(pet), 99.9)))
    if passes:
        check_plausible(image)
    else:
        with pytest.raises(BadInputError, match="above 200"):
            check_plausible(image)


def test_a_single_hot_voxel_does_not_make_a_pet_implausible(pet: sitk.Image) -> None:
    pet[4, 4, 4] = 5000.0
    check_plausible(pet)


def test_a_ct_given_as_pet_is_said_to_be_swapped(ct: sitk.Image, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="CT and PET look swapped"):
        read_pet(saved(ct, tmp_path / "ct.nii.gz"))


@pytest.mark.parametrize("key", ["MeasurementUnits", "units", "DICOM.MeasurementUnits", "VoxelValueUnits"])
@pytest.mark.parametrize("value", ["{SUVbw}g/ml", "g/ml{SUVbw}", "SUVbw"])
def test_units_in_the_metadata_are_recognised(pet: sitk.Image, tmp_path: Path, key: str, value: str) -> None:
    pet.SetMetaData(key, value)
    units = read_pet(saved(pet, tmp_path / "pet.nrrd")).units
    assert (units.name, units.evidence) == ("SUVbw", f"from metadata: {key} = {value}")


@pytest.mark.parametrize("value", ["Bq/ml", "kBq/mL", "{SUVlbm}g/ml", "{SUVbsa}cm2/ml", "CNTS"])
def test_other_units_in_the_metadata_are_refused_unless_declared(pet: sitk.Image, value: str) -> None:
    with pytest.raises(BadInputError, match="not in SUV by body weight"):
        classify_pet(pet, metadata={"units": value})
    assert classify_pet(pet, "suvbw", {"units": value}).evidence == "declared"


def test_a_module_can_tell_that_it_must_ask(pet: sitk.Image) -> None:
    assert classify_pet(pet).assumed
    assert not classify_pet(pet, metadata={"MeasurementUnits": "{SUVbw}g/ml"}).assumed


@pytest.mark.parametrize(
    ("code", "kind"),
    [("{SUVbw}g/ml", "bw"), ("{SUVlbm}g/ml", "lbm"), ("{SUVbsa}cm2/ml", "bsa"), ("{SUVibw}g/ml", "ibw"), ("Bq/ml", "")],
)
def test_ucum_codes_are_told_apart(code: str, kind: str) -> None:
    assert suv_kind(code) == kind


def mapping(code: str, slope: float, intercept: float) -> Dataset:
    units, item = Dataset(), Dataset()
    units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = code, "UCUM", code
    item.MeasurementUnitsCodeSequence = [units]
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, intercept
    return item


def test_a_real_world_value_mapping_to_suv_goes_before_the_units_tag(pet_series: Any, tmp_path: Path) -> None:
    def add(index: int, dataset: Dataset) -> None:
        dataset.RealWorldValueMappingSequence = [
            mapping("Bq/ml", 9.0, 0.0),
            mapping("{SUVbw}g/ml", 1e-4 * (index + 1), 0.5),
        ]

    pet_series.change_slice = add
    pet_series.tags["PatientWeight"] = None
    volume = read_pet(pet_series.write(tmp_path))
    expected = pet_series.values * (1e-4 * np.arange(1, 7))[:, None, None] + 0.5
    np.testing.assert_allclose(sitk.GetArrayFromImage(volume.image), expected, rtol=1e-6)
    assert "real world value mapping" in str(volume.units)


def test_a_mapping_on_some_slices_only_is_not_used(pet_series: Any, tmp_path: Path) -> None:
    def add(index: int, dataset: Dataset) -> None:
        if index:
            dataset.RealWorldValueMappingSequence = [mapping("{SUVbw}g/ml", 1.0, 0.0)]

    pet_series.change_slice = add
    assert "BQML" in str(read_pet(pet_series.write(tmp_path)).units)


def test_units_declared_for_a_series_go_before_its_tags(pet_series: Any, tmp_path: Path) -> None:
    pet_series.slopes = [1e-3] * 6
    folder = pet_series.write(tmp_path)
    volume = read_pet(folder, "suvbw")
    np.testing.assert_allclose(sitk.GetArrayFromImage(volume.image), pet_series.values * 1e-3, rtol=1e-6)
    assert str(volume.units) == "SUVbw (declared)"
    assert "BQML" in str(read_pet(folder, "bqml").units)


def test_bqml_declared_for_another_unit_is_a_contradiction(pet_series: Any, tmp_path: Path) -> None:
    pet_series.tags["Units"] = "GML"
    with pytest.raises(BadInputError, match="says GML"):
        read_pet(pet_series.write(tmp_path), "bqml")


def test_a_dose_that_makes_suv_implausible_is_refused(pet_series: Any, tmp_path: Path) -> None:
    pet_series.isotope["RadionuclideTotalDose"] = "350000"
    with pytest.raises(BadInputError, match="implausible as SUV"):
        read_pet(pet_series.write(tmp_path))
