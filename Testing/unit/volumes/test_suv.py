from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes import read_pet
from petctfusion.volumes.suv import parse_datetime

HOUR_FACTOR = 70000 / (350e6 * math.exp(-math.log(2) * 3600 / 6586.2))
UNDECAYED = 70000 / 350e6


def factor(series: Any, folder: Path) -> float:
    """SUV per rescaled value, measured on the voxels that come out."""
    values = sitk.GetArrayFromImage(read_pet(series.write(folder)).image).astype(np.float64)
    rescaled = series.values * np.array(series.slopes)[:, None, None]
    filled = rescaled > 1000
    ratio = values[filled] / rescaled[filled]
    assert np.ptp(ratio) < 1e-5 * ratio.mean()
    return float(ratio.mean())


def refusal(series: Any, folder: Path) -> str:
    with pytest.raises(BadInputError) as caught:
        read_pet(series.write(folder))
    assert caught.value.hint
    return caught.value.message


def private(group: int, creator: str, element: int, vr: str, value: object) -> Any:
    return lambda i, dataset: dataset.private_block(group, creator, create=True).add_new(element, vr, value)


def test_start_decays_the_dose_to_the_start_of_the_scan(pet_series: Any, tmp_path: Path) -> None:
    assert factor(pet_series, tmp_path) == pytest.approx(HOUR_FACTOR, rel=1e-6)
    assert str(read_pet(tmp_path).units) == "SUVbw (from DICOM tags: BQML, START)"


def test_admin_does_not_decay_the_dose(pet_series: Any, tmp_path: Path) -> None:
    pet_series.tags["DecayCorrection"] = "ADMIN"
    assert factor(pet_series, tmp_path) == pytest.approx(UNDECAYED, rel=1e-6)


def test_no_decay_correction_is_refused(pet_series: Any, tmp_path: Path) -> None:
    pet_series.tags["DecayCorrection"] = "NONE"
    assert "not decay corrected" in refusal(pet_series, tmp_path / "a")
    pet_series.tags["DecayCorrection"] = None
    assert "(0054,1102)" in refusal(pet_series, tmp_path / "b")
    pet_series.tags |= {"DecayCorrection": "START", "CorrectedImage": ["ATTN"]}
    assert "without DECY" in refusal(pet_series, tmp_path / "c")


def test_an_injection_before_midnight_is_the_day_before(pet_series: Any, tmp_path: Path) -> None:
    pet_series.tags |= {"SeriesTime": "002000", "AcquisitionTime": "002000"}
    pet_series.isotope["RadiopharmaceuticalStartTime"] = "232000"
    assert factor(pet_series, tmp_path) == pytest.approx(HOUR_FACTOR, rel=1e-6)
    assert "the day before" in read_pet(tmp_path).units.evidence


def test_the_full_injection_date_goes_before_the_clock(pet_series: Any, tmp_path: Path) -> None:
    pet_series.tags |= {"SeriesTime": "002000.00", "AcquisitionTime": "002000.00"}
    pet_series.isotope |= {
        "RadiopharmaceuticalStartDateTime": "20240309232000.00+0000",
        "RadiopharmaceuticalStartTime": "000000",
    }
    assert factor(pet_series, tmp_path) == pytest.approx(HOUR_FACTOR, rel=1e-6)


def test_an_injection_date_after_the_scan_falls_back_on_the_clock_and_says_so(pet_series: Any, tmp_path: Path) -> None:
    pet_series.isotope["RadiopharmaceuticalStartDateTime"] = "20240311100000"
    assert factor(pet_series, tmp_path) == pytest.approx(HOUR_FACTOR, rel=1e-6)
    assert "injection date ignored" in read_pet(tmp_path).units.evidence


def test_an_injection_after_the_scan_is_refused(pet_series: Any, tmp_path: Path) -> None:
    pet_series.isotope["RadiopharmaceuticalStartTime"] = "110500"
    assert "one of the times is wrong" in refusal(pet_series, tmp_path)


def test_a_series_time_after_the_acquisition_gives_way_to_the_earliest_acquisition(
    pet_series: Any, tmp_path: Path
) -> None:
    pet_series.tags["SeriesTime"] = "143000"
    times = ["110500", "110400", "110300", "110200", "110100", "110000"]
    pet_series.change_slice = lambda i, dataset: setattr(dataset, "AcquisitionTime", times[i])
    assert factor(pet_series, tmp_path) == pytest.approx(HOUR_FACTOR, rel=1e-6)
    assert "earliest acquisition" in read_pet(tmp_path).units.evidence


def test_the_series_time_counts_when_beds_follow_it(pet_series: Any, tmp_path: Path) -> None:
    pet_series.change_slice = lambda i, dataset: setattr(dataset, "AcquisitionTime", f"11{i * 5:02d}00")
    assert factor(pet_series, tmp_path) == pytest.approx(HOUR_FACTOR, rel=1e-6)


def test_times_without_any_date_still_count(pet_series: Any, tmp_path: Path) -> None:
    pet_series.tags |= {"SeriesDate": None, "AcquisitionDate": None}
    assert factor(pet_series, tmp_path) == pytest.approx(HOUR_FACTOR, rel=1e-6)


def test_a_series_without_times_is_refused(pet_series: Any, tmp_path: Path) -> None:
    pet_series.tags |= {"SeriesTime": None, "AcquisitionTime": None}
    assert "(0008,0031)" in refusal(pet_series, tmp_path)


def test_the_private_scan_time_of_ge_counts_first(pet_series: Any, tmp_path: Path) -> None:
    pet_series.tags |= {"SeriesTime": "150000", "AcquisitionTime": "150000"}
    pet_series.change_slice = private(0x0009, "GEMS_PETD_01", 0x0D, "DT", "20240310110000.00")
    assert factor(pet_series, tmp_path) == pytest.approx(HOUR_FACTOR, rel=1e-6)


@pytest.mark.parametrize("kind", ["BW", None])
def test_gml_by_body_weight_is_suv_already(pet_series: Any, tmp_path: Path, kind: str | None) -> None:
    pet_series.tags |= {"Units": "GML", "SUVType": kind, "PatientWeight": None}
    pet_series.slopes = [s / 1000 for s in pet_series.slopes]
    image = read_pet(pet_series.write(tmp_path))
    expected = pet_series.values * np.array(pet_series.slopes)[:, None, None]
    np.testing.assert_allclose(sitk.GetArrayFromImage(image.image), expected, rtol=1e-6)
    assert "GML" in str(image.units)


@pytest.mark.parametrize(
    ("kind", "word"), [("LBM", "lean body mass"), ("BSA", "body surface area"), ("IBW", "ideal"), ("XY", "another")]
)
def test_other_normalisations_are_refused(pet_series: Any, tmp_path: Path, kind: str, word: str) -> None:
    pet_series.tags |= {"Units": "GML", "SUVType": kind}
    assert word in refusal(pet_series, tmp_path)


@pytest.mark.parametrize("units", ["PROPCPS", "CM2ML", None])
def test_unknown_units_are_refused(pet_series: Any, tmp_path: Path, units: str | None) -> None:
    pet_series.tags["Units"] = units
    assert (units or "(0054,1001)") in refusal(pet_series, tmp_path)


def test_philips_counts_use_the_suv_factor_first(pet_series: Any, tmp_path: Path) -> None:
    pet_series.tags["Units"] = "CNTS"

    def both(index: int, dataset: Any) -> None:
        block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x00, "DS", "0.000551")
        block.add_new(0x09, "DS", "2.5")

    pet_series.change_slice = both
    assert factor(pet_series, tmp_path) == pytest.approx(0.000551, rel=1e-6)


def test_philips_counts_fall_back_on_the_activity_factor(pet_series: Any, tmp_path: Path) -> None:
    pet_series.tags["Units"] = "CNTS"

    def zero_suv_factor(index: int, dataset: Any) -> None:
        block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x00, "DS", "0.0")
        block.add_new(0x09, "DS", "2.5")

    pet_series.change_slice = zero_suv_factor
    assert factor(pet_series, tmp_path) == pytest.approx(2.5 * HOUR_FACTOR, rel=1e-6)


def test_philips_factor_is_found_without_its_private_creator(pet_series: Any, tmp_path: Path) -> None:
    pet_series.tags["Units"] = "CNTS"
    pet_series.change_slice = lambda i, dataset: dataset.add_new((0x7053, 0x1000), "UN", b"0.000551 ")
    assert factor(pet_series, tmp_path) == pytest.approx(0.000551, rel=1e-6)


def test_counts_without_a_factor_are_refused(pet_series: Any, tmp_path: Path) -> None:
    pet_series.tags["Units"] = "CNTS"
    assert "(7053,1000)" in refusal(pet_series, tmp_path)


@pytest.mark.parametrize("value", [None, "0", ""])
@pytest.mark.parametrize(
    ("keyword", "tag"),
    [
        ("PatientWeight", "(0010,1030)"),
        ("RadionuclideTotalDose", "(0018,1074)"),
        ("RadionuclideHalfLife", "(0018,1075)"),
    ],
)
def test_what_is_missing_is_named_and_never_guessed(
    pet_series: Any, tmp_path: Path, keyword: str, tag: str, value: str | None
) -> None:
    (pet_series.tags if keyword == "PatientWeight" else pet_series.isotope)[keyword] = value
    assert tag in refusal(pet_series, tmp_path)


def test_a_missing_injection_time_or_isotope_sequence_is_named(pet_series: Any, tmp_path: Path) -> None:
    pet_series.isotope["RadiopharmaceuticalStartTime"] = None
    assert "injection time" in refusal(pet_series, tmp_path / "a")
    pet_series.change_slice = lambda i, dataset: delattr(dataset, "RadiopharmaceuticalInformationSequence")
    assert "(0054,0016)" in refusal(pet_series, tmp_path / "b")


def test_a_dose_in_mbq_is_refused(pet_series: Any, tmp_path: Path) -> None:
    pet_series.isotope["RadionuclideTotalDose"] = "350"
    assert "looks like MBq" in refusal(pet_series, tmp_path)


def test_slices_that_disagree_are_refused(pet_series: Any, tmp_path: Path) -> None:
    pet_series.change_slice = lambda i, dataset: setattr(dataset, "PatientWeight", "75") if i == 3 else None
    assert "disagree about PatientWeight" in refusal(pet_series, tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20240310110000", 0),
        ("20240310110000.25", 0.25),
        ("202403101100", 0),
        ("2024031011", 0),
        ("20240310110001.5+0200", 1.5),
        ("20240310110059-0500", 59),
    ],
)
def test_dicom_times_are_understood(text: str, seconds: float) -> None:
    moment = parse_datetime(text)
    assert moment is not None
    assert (moment - parse_datetime("20240310110000")).total_seconds() == seconds  # type: ignore[operator]


@pytest.mark.parametrize("text", ["", "2024", "20241310110000", "yesterday", "20240310 110000x"])
def test_what_is_no_time_is_not_taken_for_one(text: str) -> None:
    assert parse_datetime(text) is None
