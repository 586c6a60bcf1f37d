from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes import Geometry, MaskChoice, brings_grid, read_mask, read_region

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Geometry((30, 26, 12), (2.0, 2.0, 3.0), (-20.0, -30.0, 100.0), UPRIGHT)


def circle(z: float, radius: float = 15.1, centre: tuple[float, float] = (9.0, -6.0)) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle), np.full(360, z)], axis=1)


def array_of(path, grid=GRID, **choice):
    return sitk.GetArrayFromImage(read_region(path, MaskChoice(**choice), grid).image)


def disc(radius: float, grid: Geometry = GRID) -> np.ndarray:
    y = grid.origin[1] + np.arange(grid.size[1]) * grid.spacing[1]
    x = grid.origin[0] + np.arange(grid.size[0]) * grid.spacing[0]
    return np.hypot(x[None] - 9.0, y[:, None] + 6.0) <= radius


def planes(*numbers: int) -> list[float]:
    return [100.0 + 3.0 * n for n in numbers]


def test_voxels_with_their_centre_in_the_contour_are_inside_and_no_others(structure_set, tmp_path):
    path = structure_set(tmp_path / "rs.dcm", {"GTV": [circle(z) for z in planes(3, 4, 5)]})
    found = read_region(path, MaskChoice(), GRID)
    array = sitk.GetArrayFromImage(found.image)
    assert Geometry.of(found.image).same_grid(GRID)
    assert np.flatnonzero(array.any(axis=(1, 2))).tolist() == [3, 4, 5]
    for plane in array[3:6]:
        assert np.array_equal(plane > 0, disc(15.1))
    assert "GTV" in found.notes[0]
    assert "other image" in found.notes[0]


def test_a_hole_stays_open_and_the_same_contour_twice_counts_once(structure_set, tmp_path):
    ring = [circle(100.0), circle(100.0, 7.1), circle(100.0)]
    array = array_of(structure_set(tmp_path / "rs.dcm", {"GTV": ring}))
    assert np.array_equal(array[0] > 0, disc(15.1) & ~disc(7.1))


def test_a_plane_fills_the_slices_of_a_finer_grid_up_to_half_way_to_the_next(structure_set, tmp_path):
    fine = Geometry((30, 26, 36), (2.0, 2.0, 1.0), (-20.0, -30.0, 100.0), UPRIGHT)
    path = structure_set(tmp_path / "rs.dcm", {"GTV": [circle(106.0), circle(109.0), circle(112.0, 9.0)]})
    array = array_of(path, fine)
    assert np.flatnonzero(array.any(axis=(1, 2))).tolist() == list(range(5, 14))
    assert array[10].sum() > array[11].sum()


def test_between_lesions_far_apart_nothing_is_filled(structure_set, tmp_path):
    path = structure_set(tmp_path / "rs.dcm", {"GTV": [circle(z) for z in planes(1, 2, 7, 8, 11)]})
    assert np.flatnonzero(array_of(path).any(axis=(1, 2))).tolist() == [1, 2, 7, 8, 11]


def test_contours_beyond_the_grid_continue_it(structure_set, tmp_path):
    path = structure_set(tmp_path / "rs.dcm", {"GTV": [circle(z) for z in planes(-2, -1, 0, 1)]})
    image = read_region(path, MaskChoice(), GRID).image
    assert image.GetOrigin() == (-20.0, -30.0, 94.0)
    assert image.GetSize() == (30, 26, 14)
    assert np.array_equal(sitk.GetArrayFromImage(image)[0] > 0, disc(15.1))


def test_sagittal_contours_are_drawn_in_their_own_plane(structure_set, tmp_path):
    upright = [c[:, [2, 0, 1]] for c in (circle(10.0, 9.0, (-6.0, 115.0)), circle(12.0, 9.0, (-6.0, 115.0)))]
    array = array_of(structure_set(tmp_path / "rs.dcm", {"GTV": upright}))
    assert np.flatnonzero(array.any(axis=(0, 1))).tolist() == [15, 16]
    assert array[:, :, 15].sum() * 6.0 == pytest.approx(np.pi * 81, rel=0.06)


def test_a_turned_grid_takes_the_contours_where_its_slices_are_parallel(structure_set, tmp_path):
    path = structure_set(tmp_path / "rs.dcm", {"GTV": [circle(z) for z in planes(3, 4)]})
    flipped = Geometry(GRID.size, GRID.spacing, (38.0, 20.0, 100.0), (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
    assert np.array_equal(array_of(path, flipped)[:, ::-1, ::-1], array_of(path))


def test_oblique_contours_are_refused(structure_set, tmp_path):
    tilted = circle(110.0)
    tilted[:, 2] += 0.2 * tilted[:, 0] + 0.1 * tilted[:, 1]
    with pytest.raises(BadInputError, match="GTV are oblique"):
        array_of(structure_set(tmp_path / "rs.dcm", {"GTV": [tilted]}))


def test_contours_far_from_the_grid_share_no_space_with_it(structure_set, tmp_path):
    with pytest.raises(BadInputError, match="share no space"):
        array_of(structure_set(tmp_path / "rs.dcm", {"GTV": [circle(900.0)]}))


def test_regions_are_chosen_by_name_and_named_when_there_is_no_such_one(structure_set, tmp_path):
    path = structure_set(tmp_path / "rs.dcm", {"GTV 1": [circle(100.0)], "BODY": [circle(100.0, 20.1)]})
    assert np.array_equal(array_of(path, roi="BODY")[0] > 0, disc(20.1))
    assert np.array_equal(array_of(path, roi="gtv 1 ")[0] > 0, disc(15.1))
    assert np.array_equal(array_of(path, label="GTV 1")[0] > 0, disc(15.1))
    with pytest.raises(BadInputError, match=r"no region 'CTV', only GTV 1, BODY"):
        array_of(path, roi="CTV")
    with pytest.raises(BadInputError, match=r"2 regions: GTV 1, BODY.*--roi"):
        array_of(path)


def test_points_and_open_curves_are_left_out_and_said(structure_set, tmp_path):
    contours = [circle(100.0), ("POINT", np.array([[0.0, 0, 100]])), ("OPEN_PLANAR", circle(103.0))]
    found = read_region(structure_set(tmp_path / "rs.dcm", {"GTV": contours}), MaskChoice(), GRID)
    assert np.flatnonzero(sitk.GetArrayFromImage(found.image).any(axis=(1, 2))).tolist() == [0]
    assert any("2 points or open curves" in note for note in found.notes)


def test_a_region_without_contours_is_empty_when_named_and_refused_when_not(structure_set, tmp_path):
    path = structure_set(tmp_path / "rs.dcm", {"GTV": []})
    found = read_region(path, MaskChoice(roi="GTV"), GRID)
    assert not sitk.GetArrayFromImage(found.image).any()
    assert any("counts as empty" in note for note in found.notes)
    with pytest.raises(BadInputError, match="no closed contour"):
        read_region(path, MaskChoice(), GRID)


@pytest.mark.parametrize("data", [["1", "2"], ["1", "2", "3", "4"], []])
def test_damaged_coordinates_are_refused(structure_set, tmp_path, data):
    def damage(dataset):
        dataset.ROIContourSequence[0].ContourSequence[0].ContourData = data

    path = structure_set(tmp_path / "rs.dcm", {"GTV": [circle(100.0)]}, change=damage)
    with pytest.raises(BadInputError, match="damaged coordinates"):
        read_region(path, MaskChoice(), GRID)


def test_alone_it_has_no_voxels(structure_set, tmp_path):
    path = structure_set(tmp_path / "rs.dcm", {"GTV": [circle(100.0)]})
    assert not brings_grid(path)
    with pytest.raises(BadInputError, match="contours alone have no voxels"):
        read_region(path, MaskChoice())


@pytest.mark.data
@pytest.mark.parametrize("patient", ["STS_001", "STS_002"])
@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_real_contours_make_the_mask_that_was_published_with_them(data_folder, patient, modality):
    folder = data_folder / "sts_dicom" / patient / modality
    published = sitk.GetArrayFromImage(read_mask(data_folder / "sts" / patient / f"{modality}_GTV.nii.gz")) > 0
    assert brings_grid(folder)
    found = read_region(folder, MaskChoice())
    assert "its own images" in found.notes[0]
    assert np.array_equal(sitk.GetArrayFromImage(found.image) > 0, published)


@pytest.mark.data
def test_real_contours_of_a_whole_body_pet_lie_where_the_cropped_mask_does(data_folder):
    found = read_region(data_folder / "sts_raw_pet_dicom" / "STS_001" / "FDG_PET", MaskChoice(roi="GTV_Mass"))
    published = read_mask(data_folder / "sts" / "STS_001" / "PET_GTV.nii.gz")
    cut = sitk.Resample(found.image, published, sitk.Transform(), sitk.sitkNearestNeighbor)
    a, b = sitk.GetArrayFromImage(cut) > 0, sitk.GetArrayFromImage(published) > 0
    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.97
    assert sitk.GetArrayFromImage(found.image).sum() == a.sum()
