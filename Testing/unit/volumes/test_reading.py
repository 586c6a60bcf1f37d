from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes import Geometry, notes_of, read_ct, read_mask, read_mr, read_volume

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


def written(image: sitk.Image, path: Path, compressed: bool = False) -> Path:
    sitk.WriteImage(image, str(path), compressed)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BadInputError) as caught:
        read_volume(path)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_file_type_reads_back_the_same(ct: sitk.Image, tmp_path: Path, suffix: str, compressed: bool) -> None:
    image = read_volume(written(ct, tmp_path / f"a{suffix}", compressed))
    assert Geometry.of(image).same_grid(Geometry.of(ct))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(ct))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_oblique_and_flipped_axes_survive(oblique: tuple[float, ...], tmp_path: Path, suffix: str) -> None:
    for direction in (oblique, (-1.0, 0, 0, 0, 0, 1.0, 0, 1.0, 0)):
        grid = Geometry((6, 7, 8), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), direction)
        values = np.arange(6 * 7 * 8, dtype=np.int16).reshape(grid.shape)
        image = read_volume(written(grid.image(values), tmp_path / f"a{suffix}"))
        assert Geometry.of(image).same_grid(grid)


def test_a_file_written_by_nibabel_with_scaling_is_read(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(0, 9, (5, 6, 7)).astype(np.float32)
    image = nibabel.Nifti1Image(values, np.diag([2.0, 3.0, 4.0, 1.0]))
    image.header.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "n.nii.gz")
    read = read_volume(tmp_path / "n.nii.gz")
    assert read.GetSpacing() == pytest.approx((2.0, 3.0, 4.0))
    np.testing.assert_allclose(sitk.GetArrayFromImage(read).transpose(2, 1, 0), values, atol=1e-3)


def test_a_big_endian_nifti_is_read(tmp_path: Path) -> None:
    values = np.arange(210, dtype=np.float32).reshape(5, 6, 7)
    image = nibabel.Nifti1Image(values, np.eye(4), nibabel.Nifti1Header(endianness=">"))
    nibabel.save(image, tmp_path / "big.nii")
    assert (tmp_path / "big.nii").read_bytes()[:2] == b"\0\0"
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / "big.nii")).transpose(2, 1, 0), values)


def test_a_nifti_2_file_is_refused_by_its_name(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti2Image(np.zeros((5, 6, 7), np.float32), np.eye(4)), tmp_path / "n.nii.gz")
    assert "NIfTI-2" in refusal(tmp_path / "n.nii.gz")


@pytest.mark.parametrize("name", ["CT.NII.GZ", "CT.Nrrd", "CT.MHA", "a b ü.nii.gz"])
def test_capital_letters_and_odd_names_do_no_harm(ct: sitk.Image, tmp_path: Path, name: str) -> None:
    suffix = next(s for s in (".nii.gz", ".nrrd", ".mha") if name.lower().endswith(s))
    written(ct, tmp_path / f"x{suffix}").rename(tmp_path / name)
    assert read_volume(tmp_path / name).GetSize() == ct.GetSize()


def test_a_file_type_that_is_not_read_names_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG" * 100)
    with pytest.raises(BadInputError, match="type that is not read") as caught:
        read_volume(tmp_path / "photo.png")
    assert "NRRD" in caught.value.hint


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.nii.gz").endswith("absent.nii.gz does not exist.")


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".dcm"])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"zero{suffix}"
    path.touch()
    assert "empty (0 bytes)" in refusal(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_truncated_file_is_refused_and_never_filled_with_zeros(
    ct: sitk.Image, tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, compressed: bool, share: float
) -> None:
    path = written(ct, tmp_path / f"cut{suffix}", compressed)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refusal(path)
    assert capfd.readouterr() == ("", "")


def test_a_truncated_nifti_that_was_compressed_afterwards_is_refused(ct: sitk.Image, tmp_path: Path) -> None:
    raw = written(ct, tmp_path / "a.nii").read_bytes()
    path = tmp_path / "b.nii.gz"
    path.write_bytes(gzip.compress(raw[:-100]))
    assert "truncated" in refusal(path)


def test_a_damaged_gzip_stream_is_refused(ct: sitk.Image, tmp_path: Path) -> None:
    path = written(ct, tmp_path / "a.nii.gz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".dcm", ".xyz", ""])
def test_rubbish_is_refused_in_one_sentence(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rubbish{suffix}"
    path.write_bytes(np.random.default_rng(5).integers(0, 256, 4000).astype(np.uint8).tobytes())
    refusal(path)


@pytest.mark.parametrize("value", [0.0, -2.0, float("nan"), float("inf")])
@pytest.mark.parametrize("axis", [1, 2, 3])
def test_a_nifti_without_a_positive_spacing_is_refused(ct: sitk.Image, tmp_path: Path, value: float, axis: int) -> None:
    path = written(ct, tmp_path / "a.nii")
    data = bytearray(path.read_bytes())
    struct.pack_into("<f", data, 76 + 4 * axis, value)
    for target, content in ((path, bytes(data)), (tmp_path / "b.nii.gz", gzip.compress(bytes(data)))):
        target.write_bytes(content)
        assert "spacing" in refusal(target)


@pytest.mark.parametrize(("suffix", "old", "new"), [
    (".mha", "ElementSpacing = 2 2 3", "ElementSpacing = 0 2 3"),
    (".mha", "ElementSpacing = 2 2 3", "ElementSpacing = 2 -2 3"),
    (".mha", "ElementSpacing = 2 2 3", "ElementSpacing = 2 2 nan"),
    (".nrrd", "space directions: (2,0,0) (0,2,0) (0,0,3)", "space directions: (0,0,0) (0,2,0) (0,0,3)"),
    (".nrrd", "space directions: (2,0,0) (0,2,0) (0,0,3)", "space directions: (2,0,0) (0,nan,0) (0,0,3)"),
])  # fmt: skip
def test_other_files_without_a_positive_spacing_are_refused(
    ct: sitk.Image, tmp_path: Path, suffix: str, old: str, new: str
) -> None:
    path = written(ct, tmp_path / f"a{suffix}")
    data = path.read_bytes()
    assert old.encode() in data
    path.write_bytes(data.replace(old.encode(), new.encode()))
    assert "spacing" in refusal(path)


@pytest.mark.parametrize(
    ("suffix", "line"),
    [(".mha", "ElementSpacing = 2 2 3\n"), (".nrrd", "space directions: (2,0,0) (0,2,0) (0,0,3)\n")],
)
def test_a_file_that_states_no_spacing_is_refused(ct: sitk.Image, tmp_path: Path, suffix: str, line: str) -> None:
    path = written(ct, tmp_path / f"a{suffix}")
    data = path.read_bytes()
    assert line.encode() in data
    path.write_bytes(data.replace(line.encode(), b""))
    assert "states no voxel spacing" in refusal(path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_2d_image_is_refused(tmp_path: Path, suffix: str) -> None:
    flat = sitk.GetImageFromArray(np.zeros((8, 9), np.float32))
    assert "2-D image (9 x 8)" in refusal(written(flat, tmp_path / f"a{suffix}"))
    single = sitk.GetImageFromArray(np.zeros((1, 8, 9), np.float32))
    assert "2-D image (9 x 8 x 1)" in refusal(written(single, tmp_path / f"b{suffix}"))


def test_4d_is_refused_unless_it_has_one_time_point(tmp_path: Path, oblique: tuple[float, ...]) -> None:
    grid = Geometry((5, 6, 7), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), oblique)
    volume = grid.image(np.arange(210, dtype=np.float32).reshape(7, 6, 5))
    two = written(sitk.JoinSeries([volume, volume]), tmp_path / "two.nii.gz")
    assert "4-D: it holds 2 volumes" in refusal(two)
    one = read_volume(written(sitk.JoinSeries([volume]), tmp_path / "one.nii.gz"))
    assert Geometry.of(one).same_grid(grid)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(volume))
    assert notes_of(one) == ["The file is 4-D with one time point, which is used."]


def test_colours_and_vectors_are_refused(tmp_path: Path) -> None:
    colour = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    for suffix in (".nrrd", ".mha", ".nii"):
        assert "3 values per voxel" in refusal(written(colour, tmp_path / f"a{suffix}"))


@pytest.mark.parametrize("kind", [sitk.sitkFloat32, sitk.sitkFloat64])
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_no_numbers_are_counted(
    pet: sitk.Image, tmp_path: Path, bad: float, suffix: str, kind: int
) -> None:
    image = sitk.Cast(pet, kind)[:19, :19, :19]
    image[18, 18, 18] = bad
    assert "holds 1 voxel that is not a number" in refusal(written(image, tmp_path / f"one{suffix}"))
    image[0, 0, 0] = bad
    assert "holds 2 voxels that are not a number" in refusal(written(image, tmp_path / f"two{suffix}"))


def test_axes_that_are_not_at_right_angles_are_refused(ct: sitk.Image, tmp_path: Path) -> None:
    path = written(ct, tmp_path / "a.nii")
    image = nibabel.load(path)
    affine = image.affine.copy()
    affine[0, 2] = 1.5
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), tmp_path / "sheared.nii")
    assert "right angles" in refusal(tmp_path / "sheared.nii")


def test_a_header_whose_data_file_is_gone_is_refused(ct: sitk.Image, tmp_path: Path) -> None:
    written(ct, tmp_path / "a.mhd")
    (tmp_path / "a.raw").unlink()
    assert "a.raw, which is not there" in refusal(tmp_path / "a.mhd")


def test_padding_of_a_ct_becomes_air_with_a_note(ct: sitk.Image, tmp_path: Path) -> None:
    padded = sitk.GetArrayFromImage(ct)
    padded[:, :3] = -3024
    image = read_ct(written(Geometry.of(ct).image(padded), tmp_path / "a.nii.gz"))
    assert sitk.GetArrayFromImage(image).min() == -1024
    assert image.GetPixelID() == sitk.sitkInt16
    assert "-3024" in notes_of(image)[0]
    inner = sitk.GetArrayFromImage(image)[:, 10:]
    np.testing.assert_array_equal(inner, padded[:, 10:].clip(-1024))


def test_a_ct_without_padding_is_untouched_and_without_note(ct: sitk.Image, tmp_path: Path) -> None:
    array = sitk.GetArrayFromImage(ct).clip(-1024)
    path = written(Geometry.of(ct).image(array), tmp_path / "a.nii.gz")
    for read in (read_ct, read_mr):
        assert notes_of(read(path)) == []
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read(path)), array)


def test_a_mask_keeps_its_labels_as_uint8(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 5, (4, 5, 6))
    for kind in (np.uint8, np.int16, np.float32, np.float64):
        mask = read_mask(written(sitk.GetImageFromArray(values.astype(kind)), tmp_path / "m.nii.gz"))
        assert mask.GetPixelID() == sitk.sitkUInt8
        np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), values)


@pytest.mark.parametrize("wrong", [-1.0, 256.0, 0.5])
def test_a_volume_that_is_no_label_map_is_refused(tmp_path: Path, wrong: float) -> None:
    values = np.zeros((4, 5, 6), np.float32)
    values[1, 2, 3] = wrong
    with pytest.raises(BadInputError, match="not a label map"):
        read_mask(written(sitk.GetImageFromArray(values), tmp_path / "m.nii.gz"))


def test_itk_warnings_stay_off_the_terminal_and_are_restored(ct: sitk.Image, tmp_path: Path) -> None:
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    read_volume(written(ct, tmp_path / "a.nii"))
    assert sitk.ProcessObject.GetGlobalWarningDisplay() == before
