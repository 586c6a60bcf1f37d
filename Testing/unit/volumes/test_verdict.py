from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes import Geometry, Verdict, add_note, check_study, read_ct, read_pet, resample_image


def with_values(image: sitk.Image, change: Callable[[Any], Any]) -> sitk.Image:
    array = change(sitk.GetArrayFromImage(image))
    return Geometry.of(image).image(array)


def moved(image: sitk.Image, by: tuple[float, float, float]) -> sitk.Image:
    result = sitk.Image(image)
    result.SetOrigin([a + b for a, b in zip(image.GetOrigin(), by, strict=True)])
    return result


def refusal(verdict: Verdict) -> str:
    assert verdict.status == "refused"
    with pytest.raises(BadInputError) as caught:
        verdict.raise_if_refused()
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value.message


def notes(verdict: Verdict) -> str:
    assert verdict.status != "refused", verdict.messages
    return " ".join(f.message for f in verdict.findings if f.severity == "note")


def test_a_good_study_on_two_grids_will_be_resampled(ct: sitk.Image, pet: sitk.Image, reference: sitk.Image) -> None:
    verdict = check_study(ct, pet, reference)
    assert verdict.status == "will_resample"
    verdict.raise_if_refused()
    (finding,) = verdict.findings
    assert (finding.severity, finding.subject) == ("resample", "PET")
    assert "20 x 20 x 20 voxels of 4.00 x 4.00 x 3.00 mm" in finding.message
    assert "40 x 40 x 20 voxels of 2.00 x 2.00 x 3.00 mm" in finding.message


def test_a_good_study_on_one_grid_is_ready(ct: sitk.Image, pet: sitk.Image, reference: sitk.Image) -> None:
    verdict = check_study(ct, resample_image(pet, Geometry.of(ct), 0.0), reference)
    assert (verdict.status, verdict.findings) == ("ready", ())


def test_swapped_modalities_are_refused(ct: sitk.Image, pet: sitk.Image) -> None:
    assert "CT and PET look swapped" in refusal(check_study(pet, ct))


def test_the_same_volume_twice_is_refused(ct: sitk.Image, pet: sitk.Image) -> None:
    assert "second CT" in refusal(check_study(ct, ct))
    assert "looks like a PET" in refusal(check_study(pet, pet))


def test_a_pet_of_another_patient_does_not_overlap(ct: sitk.Image, pet: sitk.Image) -> None:
    assert "do not overlap: is it the PET of another patient?" in refusal(check_study(ct, moved(pet, (0, 0, 500))))


def test_a_partial_overlap_is_noted_in_percent(ct: sitk.Image, pet: sitk.Image) -> None:
    assert "The PET covers 50 % of the CT" in notes(check_study(ct, moved(pet, (0, 0, 30))))


def test_a_small_ct_inside_a_whole_body_pet_passes(ct: sitk.Image, pet: sitk.Image) -> None:
    wide = with_values(pet, lambda a: a)
    wide.SetSpacing((19.0, 19.0, 19.0))
    wide.SetOrigin((-180.0, -180.0, -50.0))
    assert notes(check_study(ct, wide)) == ""


def test_oblique_and_differently_turned_axes_are_noted(
    ct: sitk.Image, pet: sitk.Image, oblique: tuple[float, ...]
) -> None:
    grid = Geometry((40, 40, 40), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0), oblique)
    middle = grid.points(np.array([[19.5, 19.5, 19.5]]))[0]
    origin = np.array([0.0, 0.0, 130.0]) - middle
    turned = Geometry(grid.size, grid.spacing, (float(origin[0]), float(origin[1]), float(origin[2])), oblique)
    text = notes(check_study(ct, resample_image(pet, turned, 0.0)))
    assert "The PET is oblique, 27.6 degrees" in text
    assert "oriented differently" in text


def test_flipped_axes_are_noted_with_their_letters(ct: sitk.Image, pet: sitk.Image) -> None:
    text = notes(check_study(sitk.Flip(ct, [True, True, False]), pet))
    assert "The axes of the CT run RAS instead of LPS" in text


@pytest.mark.parametrize("level", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(ct: sitk.Image, pet: sitk.Image, level: float) -> None:
    pet[1, 2, 3] = level
    assert "The PET holds 1 voxel that is not a number" in refusal(check_study(ct, pet))


def test_empty_and_constant_volumes_are_refused(ct: sitk.Image, pet: sitk.Image) -> None:
    assert "The PET is empty: every voxel is 0" in refusal(check_study(ct, pet * 0))
    assert "The CT is empty: every voxel is -1000" in refusal(check_study(ct * 0 - 1000, pet))
    negative = with_values(pet, lambda a: -0.1 * a)
    assert "no positive value" in refusal(check_study(ct, negative))


def test_a_ct_in_stored_numbers_is_refused(ct: sitk.Image, pet: sitk.Image) -> None:
    stored = with_values(ct, lambda a: (a.clip(-1024) + 1024).astype(np.uint16))
    assert "The CT is not in HU" in refusal(check_study(stored, pet))


def test_an_activity_image_given_as_ct_is_refused(ct: sitk.Image, pet: sitk.Image) -> None:
    assert "The CT is not in HU" in refusal(check_study(pet * 4000, pet))


def test_a_normalised_ct_is_refused(ct: sitk.Image, pet: sitk.Image) -> None:
    scaled = with_values(ct, lambda a: (a.astype(np.float32) / 1000).clip(-1, 1))
    assert "The CT is not in HU" in refusal(check_study(scaled, pet))


def test_a_ct_crop_without_air_passes(ct: sitk.Image, pet: sitk.Image) -> None:
    assert notes(check_study(ct[14:26, 14:26, 4:16], pet)) == ""


def test_a_ct_crop_of_soft_tissue_alone_passes(ct: sitk.Image, pet: sitk.Image) -> None:
    tissue = with_values(ct, lambda a: np.random.default_rng(0).normal(45, 12, a.shape).round().astype(np.int16))
    assert notes(check_study(tissue, pet)) == ""


def test_padding_of_a_ct_is_noted(ct: sitk.Image, pet: sitk.Image) -> None:
    padded = with_values(ct, lambda a: np.where(a < -990, np.int16(-2048), a))
    assert "(down to -2048) are padding" in notes(check_study(padded, pet))


def test_small_negative_pet_values_are_noted(ct: sitk.Image, pet: sitk.Image) -> None:
    noisy = with_values(pet, lambda a: a - np.float32(0.05))
    assert "negative values (down to -0.05)" in notes(check_study(ct, noisy))


def test_far_negative_pet_values_are_refused(ct: sitk.Image, pet: sitk.Image) -> None:
    shifted = with_values(pet, lambda a: a - np.float32(6))
    assert "The PET is not in SUV: it holds values down to -6" in refusal(check_study(ct, shifted))


def test_a_pet_in_bqml_is_refused(ct: sitk.Image, pet: sitk.Image) -> None:
    assert "looks like Bq/ml" in refusal(check_study(ct, pet * 5000))


def test_a_pet_in_millionths_is_noted(ct: sitk.Image, pet: sitk.Image) -> None:
    assert "very low for SUV" in notes(check_study(ct, pet * 1e-4))


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 25.0), (0.05, 2.0, 3.0)])
def test_an_implausible_spacing_is_refused(ct: sitk.Image, pet: sitk.Image, spacing: tuple[float, ...]) -> None:
    ct.SetSpacing(spacing)
    assert "The CT has an implausible voxel spacing" in refusal(check_study(ct, pet))


def test_wrong_dimensions_are_refused(ct: sitk.Image, pet: sitk.Image, reference: sitk.Image) -> None:
    assert "The CT is a 2-D image (40 x 40)" in refusal(check_study(ct[:, :, 3], pet))
    assert "The PET is a 2-D image (20 x 20 x 1)" in refusal(check_study(ct, pet[:, :, 3:4]))
    assert "The PET is 4-D" in refusal(check_study(ct, sitk.JoinSeries([pet, pet])))
    assert "The reference is a 2-D image" in refusal(check_study(ct, pet, reference[:, :, 3]))
    assert "2 values per voxel" in refusal(check_study(sitk.Compose(ct, ct), pet))


def test_a_reference_that_does_not_overlap_the_ct_is_refused(
    ct: sitk.Image, pet: sitk.Image, reference: sitk.Image
) -> None:
    message = refusal(check_study(ct, pet, moved(reference, (400, 0, 0))))
    assert "The reference does not overlap the CT" in message


def test_a_contour_outside_the_ct_is_refused_and_half_outside_is_noted(
    ct: sitk.Image, pet: sitk.Image, reference: sitk.Image
) -> None:
    assert "contour of the reference lies outside" in refusal(check_study(ct, pet, moved(reference, (38, 0, 0))))
    text = notes(check_study(ct, pet, moved(reference, (28, 0, 0))))
    assert "% of the reference's contour lies outside the CT" in text


def test_an_empty_reference_is_only_noted(ct: sitk.Image, pet: sitk.Image, reference: sitk.Image) -> None:
    assert "The reference is empty" in notes(check_study(ct, pet, reference * 0))


def test_a_reference_on_another_grid_is_noted(ct: sitk.Image, pet: sitk.Image) -> None:
    mask = sitk.Cast(pet > 4, sitk.sitkUInt8)
    assert "on another grid than the CT" in notes(check_study(ct, pet, mask))


def test_what_the_reader_noticed_reaches_the_verdict(ct: sitk.Image, pet: sitk.Image) -> None:
    add_note(pet, "First remark.")
    add_note(pet, "Second remark.")
    assert notes(check_study(ct, pet)) == "First remark. Second remark."


def test_two_patients_by_their_tags_are_refused(ct_series: Any, pet_series: Any, tmp_path: Path) -> None:
    pet_series.origin = ct_series.origin
    pet_series.change_slice = lambda i, dataset: setattr(dataset, "PatientID", "P2")
    ct = read_ct(ct_series.write(tmp_path / "ct"))
    pet = read_pet(pet_series.write(tmp_path / "pet")).image
    assert "different patients" in refusal(check_study(ct, pet))


def test_two_frames_of_reference_are_noted(ct_series: Any, pet_series: Any, tmp_path: Path) -> None:
    pet_series.change_slice = lambda i, dataset: setattr(dataset, "FrameOfReferenceUID", "1.2.99")
    ct = read_ct(ct_series.write(tmp_path / "ct"))
    pet = read_pet(pet_series.write(tmp_path / "pet")).image
    assert "different frames of reference" in notes(check_study(ct, pet))
