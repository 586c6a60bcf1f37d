from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid

from petctfusion.errors import BadInputError
from petctfusion.volumes import Geometry, notes_of, read_ct, read_mr, read_pet, read_volume


def refusal(path: Path) -> str:
    with pytest.raises(BadInputError) as caught:
        read_ct(path)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value.message


def flipped_x() -> tuple[float, ...]:
    return (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


@pytest.mark.parametrize("kind", ["upright", "oblique", "flipped", "sagittal"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_series_lies_where_itk_puts_it(
    ct_series: Any, tmp_path: Path, oblique: tuple[float, ...], kind: str, reverse: bool
) -> None:
    ct_series.direction = {
        "upright": ct_series.direction,
        "oblique": oblique,
        "flipped": flipped_x(),
        "sagittal": (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
    }[kind]
    ct_series.reverse_names = reverse
    folder = ct_series.write(tmp_path / "ct")
    image = read_ct(folder)
    expected = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    assert Geometry.of(image).same_grid(Geometry.of(expected), tolerance_mm=1e-4)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(expected))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), ct_series.values.clip(-1024))
    assert image.GetPixelID() == sitk.sitkInt16


def test_one_file_stands_for_its_series(ct_series: Any, tmp_path: Path) -> None:
    folder = ct_series.write(tmp_path / "ct")
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(read_volume(folder / "0003.dcm")), sitk.GetArrayFromImage(read_volume(folder))
    )


def test_every_slice_has_its_own_rescale(pet_series: Any, tmp_path: Path) -> None:
    image = read_volume(pet_series.write(tmp_path / "pet"))
    expected = pet_series.values * np.array(pet_series.slopes)[:, None, None]
    np.testing.assert_allclose(sitk.GetArrayFromImage(image), expected, rtol=1e-6)


def test_files_without_preamble_and_other_files_in_the_folder_do_no_harm(ct_series: Any, tmp_path: Path) -> None:
    folder = ct_series.write(tmp_path / "ct")
    data = (folder / "0002.dcm").read_bytes()
    dataset = pydicom.dcmread(folder / "0002.dcm")
    del dataset.file_meta
    dataset.save_as(folder / "0002.dcm", implicit_vr=True, little_endian=True)
    assert (folder / "0002.dcm").read_bytes()[:200] != data[:200]
    (folder / "README.txt").write_text("notes")
    (folder / "LICENSE").write_text("a licence\n" * 50)
    (folder / "empty.txt").touch()
    (folder / ".hidden.dcm").touch()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(folder)), ct_series.values)


def test_a_few_percent_of_jitter_pass_with_a_note_and_the_mean_spacing(ct_series: Any, tmp_path: Path) -> None:
    ct_series.along = [0.0, 3.19, 6.48, 9.75, 13.0, 16.35]
    image = read_ct(ct_series.write(tmp_path / "ct"))
    assert image.GetSpacing()[2] == pytest.approx(16.35 / 5)
    assert "3.19 and 3.35 mm" in notes_of(image)[0]


def test_an_even_series_has_no_note(ct_series: Any, tmp_path: Path) -> None:
    ct_series.values = ct_series.values.clip(-1000)
    assert notes_of(read_ct(ct_series.write(tmp_path / "ct"))) == []


def test_a_missing_slice_is_refused_with_its_place(ct_series: Any, tmp_path: Path) -> None:
    folder = ct_series.write(tmp_path / "ct")
    (folder / "0002.dcm").unlink()
    assert "missing between 33.00 and 39.00 mm" in refusal(folder)


@pytest.mark.parametrize(("gap", "passes"), [(1.45, True), (1.55, False)])
def test_the_limit_for_a_gap_is_one_and_a_half_spacings(
    ct_series: Any, tmp_path: Path, gap: float, passes: bool
) -> None:
    ct_series.along = [0.0, 3.0, 6.0, 6.0 + 3 * gap, 9.0 + 3 * gap, 12.0 + 3 * gap]
    folder = ct_series.write(tmp_path / "ct")
    if passes:
        assert notes_of(read_ct(folder))
    else:
        assert "missing" in refusal(folder)


def test_slices_that_grow_apart_are_refused(ct_series: Any, tmp_path: Path) -> None:
    ct_series.values = np.repeat(ct_series.values, 3, axis=0)
    ct_series.along = [*np.arange(9) * 3.0, *(24.0 + np.arange(1, 10) * 4.0)]
    assert "not evenly spaced" in refusal(ct_series.write(tmp_path / "ct"))


def test_a_copied_file_is_read_once(ct_series: Any, tmp_path: Path) -> None:
    folder = ct_series.write(tmp_path / "ct")
    shutil.copy(folder / "0002.dcm", folder / "copy.dcm")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(folder)), ct_series.values)


def test_two_images_at_one_place_are_refused(ct_series: Any, tmp_path: Path) -> None:
    folder = ct_series.write(tmp_path / "ct")
    dataset = pydicom.dcmread(folder / "0002.dcm")
    dataset.SOPInstanceUID = generate_uid()
    dataset.save_as(folder / "second.dcm")
    assert "different images at one position" in refusal(folder)


@pytest.mark.parametrize("shift", [(0.0, 0.6, 0.0), (0.5, 0.0, 0.0)])
def test_gantry_tilt_is_refused(ct_series: Any, tmp_path: Path, shift: tuple[float, float, float]) -> None:
    ct_series.shift_per_slice = shift
    assert "gantry tilt" in refusal(ct_series.write(tmp_path / "ct"))


def test_a_localizer_in_the_series_is_left_out(ct_series: Any, tmp_path: Path) -> None:
    folder = ct_series.write(tmp_path / "ct")
    dataset = pydicom.dcmread(folder / "0000.dcm")
    dataset.SOPInstanceUID, dataset.ImageType = generate_uid(), ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    dataset.save_as(folder / "scout.dcm")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(folder)), ct_series.values)


@pytest.mark.parametrize(
    ("keyword", "value", "word"),
    [
        ("ImageOrientationPatient", [0, 1, 0, 1, 0, 0], "orientation"),
        ("PixelSpacing", ["2", "2"], "pixel spacing"),
        ("Rows", 11, "number of rows and columns"),
    ],
)
def test_slices_that_differ_are_refused(ct_series: Any, tmp_path: Path, keyword: str, value: object, word: str) -> None:
    ct_series.change_slice = lambda i, dataset: setattr(dataset, keyword, value) if i == 4 else None
    assert f"differ in {word}" in refusal(ct_series.write(tmp_path / "ct"))


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_a_missing_position_is_named(ct_series: Any, tmp_path: Path, keyword: str) -> None:
    ct_series.change_slice = lambda i, dataset: delattr(dataset, keyword)
    assert keyword in refusal(ct_series.write(tmp_path / "ct"))


@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_pixel_spacing_that_is_not_positive_is_refused(ct_series: Any, tmp_path: Path, value: str) -> None:
    ct_series.change_slice = lambda i, dataset: setattr(dataset, "PixelSpacing", ["1", value])
    assert "must be positive" in refusal(ct_series.write(tmp_path / "ct"))


def test_a_zero_byte_file_is_named(ct_series: Any, tmp_path: Path) -> None:
    folder = ct_series.write(tmp_path / "ct")
    (folder / "0002.dcm").write_bytes(b"")
    assert "0002.dcm is empty (0 bytes)" in refusal(folder)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_truncated_dicom_file_is_named(ct_series: Any, tmp_path: Path, share: float) -> None:
    folder = ct_series.write(tmp_path / "ct")
    data = (folder / "0002.dcm").read_bytes()
    (folder / "0002.dcm").write_bytes(data[: int(len(data) * share)])
    assert "0002.dcm" in refusal(folder)


def test_rubbish_called_dcm_is_named(ct_series: Any, tmp_path: Path) -> None:
    folder = ct_series.write(tmp_path / "ct")
    (folder / "0002.dcm").write_bytes(bytes(range(256)) * 9)
    assert "0002.dcm is not a DICOM file" in refusal(folder)


def test_an_empty_folder_and_a_folder_without_dicom_are_refused(tmp_path: Path) -> None:
    assert "holds no DICOM files" in refusal(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    assert "holds no DICOM files" in refusal(tmp_path)


def test_ct_and_pet_in_one_folder_are_told_apart(ct_series: Any, pet_series: Any, tmp_path: Path) -> None:
    ct_series.write(tmp_path / "both" / "a")
    pet_series.write(tmp_path / "both" / "b")
    assert read_ct(tmp_path / "both").GetSize() == (10, 12, 6)
    assert read_pet(tmp_path / "both").image.GetSize() == (9, 8, 6)
    with pytest.raises(BadInputError, match=r'2 image series: CT "test" \(6 files\); PT "test" \(6 files\)'):
        read_volume(tmp_path / "both")


def test_two_series_of_one_kind_are_not_guessed(ct_series: Any, tmp_path: Path) -> None:
    ct_series.write(tmp_path / "both" / "a")
    ct_series.uid = generate_uid()
    ct_series.write(tmp_path / "both" / "b")
    assert "2 CT series" in refusal(tmp_path / "both")


def test_the_series_of_the_other_modality_says_swapped(ct_series: Any, pet_series: Any, tmp_path: Path) -> None:
    ct, pet = ct_series.write(tmp_path / "ct"), pet_series.write(tmp_path / "pet")
    for read, path in ((read_ct, pet), (read_pet, ct), (read_ct, pet / "0000.dcm"), (read_pet, ct / "0000.dcm")):
        with pytest.raises(BadInputError, match="swapped"):
            read(path)
    with pytest.raises(BadInputError, match="no MR series"):
        read_mr(ct)


def test_a_single_slice_and_a_multi_frame_file_are_refused(ct_series: Any, tmp_path: Path) -> None:
    ct_series.values = ct_series.values[:1]
    folder = ct_series.write(tmp_path / "one")
    assert "single slice" in refusal(folder)
    ct_series.change_slice = lambda i, dataset: setattr(dataset, "NumberOfFrames", 5)
    assert "multi-frame" in refusal(ct_series.write(tmp_path / "multi"))


def test_a_pet_slice_without_a_slope_is_refused(pet_series: Any, tmp_path: Path) -> None:
    pet_series.change_slice = lambda i, dataset: delattr(dataset, "RescaleSlope")
    with pytest.raises(BadInputError, match="RescaleSlope"):
        read_pet(pet_series.write(tmp_path / "pet"))


def test_a_compressed_series_reads_like_the_plain_one(ct_series: Any, tmp_path: Path) -> None:
    folder = ct_series.write(tmp_path / "ct")
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.compress(pydicom.uid.RLELossless)
        dataset.save_as(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(folder)), ct_series.values)


def test_nothing_is_printed_while_reading(
    pet_series: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    pet_series.change_slice = lambda i, dataset: setattr(dataset, "StudyID", "a value far longer than sixteen")
    folder = pet_series.write(tmp_path / "pet")
    recwarn.clear()
    capfd.readouterr()
    read_pet(folder)
    assert capfd.readouterr() == ("", "")
    assert len(recwarn) == 0
