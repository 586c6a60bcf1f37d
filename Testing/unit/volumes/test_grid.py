from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes import (
    Geometry,
    common_grid,
    resample_image,
    resample_labels,
    resample_probability,
)
from petctfusion.volumes.grid import CT_AIR_HU

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
FLIPPED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
CENTRE = np.array([3.0, -8.0, 40.0])


def ct_grid(direction: tuple[float, ...] = UPRIGHT) -> Geometry:
    return centred((80, 80, 24), (0.98, 0.98, 3.27), direction)


def centred(size: tuple[int, int, int], spacing: tuple[float, float, float], direction: tuple[float, ...]) -> Geometry:
    """A grid whose middle is `CENTRE`."""
    at_zero = Geometry(size, spacing, (0.0, 0.0, 0.0), direction)
    middle = at_zero.points((np.array([size]) - 1) / 2)[0]
    origin = CENTRE - middle
    return Geometry(size, spacing, (float(origin[0]), float(origin[1]), float(origin[2])), direction)


def sphere(grid: Geometry, radius: float) -> sitk.Image:
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in grid.shape), indexing="ij")
    points = grid.points(np.stack([x, y, z], axis=-1).reshape(-1, 3))
    inside = np.linalg.norm(points - CENTRE, axis=1) <= radius
    return grid.image(inside.reshape(grid.shape).astype(np.uint8))


def volume_ml(mask: sitk.Image) -> float:
    return float((sitk.GetArrayViewFromImage(mask) > 0).sum()) * Geometry.of(mask).voxel_ml


@pytest.mark.parametrize("direction", [UPRIGHT, FLIPPED, "oblique"])
def test_a_label_on_its_own_grid_returns_bit_equal(direction: tuple[float, ...], oblique: tuple[float, ...]) -> None:
    grid = ct_grid(oblique if direction == "oblique" else direction)
    labels = np.random.default_rng(0).integers(0, 4, grid.shape).astype(np.uint8)
    result = resample_labels(grid.image(labels), grid)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), labels)
    assert result.GetPixelID() == sitk.sitkUInt8
    assert Geometry.of(result) == grid


@pytest.mark.parametrize("radius", [10.0, 15.0, 25.0])
@pytest.mark.parametrize("spacing", [(4.69, 4.69, 3.27), (5.47, 5.47, 3.27), (3.0, 3.0, 3.0)])
@pytest.mark.parametrize("direction", [UPRIGHT, FLIPPED, "oblique"])
def test_a_sphere_keeps_its_volume_there_and_back(
    direction: tuple[float, ...], spacing: tuple[float, float, float], radius: float, oblique: tuple[float, ...]
) -> None:
    fine = ct_grid()
    truth = sphere(fine, radius)
    size = (int(78 / spacing[0]), int(78 / spacing[1]), int(78 / spacing[2]))
    coarse = centred(size, spacing, oblique if direction == "oblique" else direction)
    there = resample_labels(truth, coarse)
    back = resample_labels(there, fine)
    assert volume_ml(there) == pytest.approx(volume_ml(truth), rel=0.01)
    assert volume_ml(back) == pytest.approx(volume_ml(truth), rel=0.01)
    overlap = sitk.GetArrayFromImage(sitk.And(truth, back)).sum()
    both = sitk.GetArrayFromImage(truth).sum() + sitk.GetArrayFromImage(back).sum()
    assert 2 * overlap / both > (0.88 if radius > 10 else 0.82)


def test_a_label_half_outside_the_new_field_of_view_keeps_the_half_that_is_inside() -> None:
    fine = ct_grid()
    truth = sphere(fine, 25.0)
    origin = (float(CENTRE[0]) + 2.0, float(CENTRE[1]) - 70.0, float(CENTRE[2]) - 70.0)
    half = Geometry((20, 36, 46), (4.0, 4.0, 3.0), origin, UPRIGHT)
    assert volume_ml(resample_labels(truth, half)) == pytest.approx(volume_ml(truth) / 2, rel=0.02)


def test_a_lesion_smaller_than_a_voxel_is_not_blown_up() -> None:
    fine = ct_grid()
    truth = sphere(fine, 1.0)
    coarse = centred((40, 40, 48), (4.69, 4.69, 3.27), UPRIGHT)
    assert volume_ml(resample_labels(truth, coarse)) <= Geometry.of(coarse.empty()).voxel_ml


@pytest.mark.parametrize("direction", [UPRIGHT, FLIPPED, "oblique"])
def test_a_sphere_keeps_its_volume_as_probability_through_the_model_grid(
    direction: tuple[float, ...], oblique: tuple[float, ...]
) -> None:
    """Cut at one half, linear interpolation costs 1.5 % at a radius of 20 mm: `resample_labels` exists for labels."""
    fine = ct_grid(oblique if direction == "oblique" else direction)
    truth = sphere(fine, 20.0)
    model = common_grid([truth], (3.0, 3.0, 3.0))
    share = resample_image(sitk.Cast(truth, sitk.sitkFloat32), model, 0.0)
    back = resample_probability(share, fine)
    assert volume_ml(sitk.Cast(back >= 0.5, sitk.sitkUInt8)) == pytest.approx(volume_ml(truth), rel=0.02)
    labels = resample_labels(resample_labels(truth, model), fine)
    assert volume_ml(labels) == pytest.approx(volume_ml(truth), rel=0.01)


def test_common_grid_is_the_shared_box_of_different_fields_of_view() -> None:
    ct = Geometry((100, 100, 50), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), UPRIGHT)
    pet = Geometry((40, 40, 30), (4.0, 4.0, 3.0), (20.0, -50.0, 60.0), UPRIGHT)
    grid = common_grid([ct.empty(), pet.empty()], (3.0, 2.0, 2.0))
    low, high = grid.corners().min(axis=0), grid.corners().max(axis=0)
    expected_low = np.maximum(ct.corners().min(axis=0), pet.corners().min(axis=0))
    expected_high = np.minimum(ct.corners().max(axis=0), pet.corners().max(axis=0))
    assert np.all(np.abs(low - expected_low) <= np.array([1.0, 1.0, 1.5]))
    assert np.all(np.abs(high - expected_high) <= np.array([1.0, 1.0, 1.5]))
    assert grid.spacing == (2.0, 2.0, 3.0)


def test_common_grid_follows_the_axes_of_the_first_image_and_adds_the_margin(oblique: tuple[float, ...]) -> None:
    ct, pet = ct_grid(oblique), centred((64, 64, 60), (4.0, 4.0, 4.0), FLIPPED)
    narrow = common_grid([ct.empty(), pet.empty()], (3.0, 3.0, 3.0))
    wide = common_grid([ct.empty(), pet.empty()], (3.0, 3.0, 3.0), margin_voxels=2)
    assert narrow.direction == ct.direction
    assert wide.size == tuple(n + 4 for n in narrow.size)
    np.testing.assert_allclose(narrow.corners().mean(axis=0), wide.corners().mean(axis=0), atol=1e-9)


def test_common_grid_refuses_fields_of_view_that_do_not_meet() -> None:
    near = Geometry((10, 10, 10), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), UPRIGHT)
    far = Geometry((10, 10, 10), (1.0, 1.0, 1.0), (500.0, 0.0, 0.0), UPRIGHT)
    with pytest.raises(BadInputError, match="do not overlap"):
        common_grid([near.empty(), far.empty()], (1.0, 1.0, 1.0))


def test_a_point_stays_at_its_place_in_space_on_a_turned_grid(oblique: tuple[float, ...]) -> None:
    fine = ct_grid()
    values = sphere(fine, 8.0)
    turned = centred((90, 90, 60), (2.0, 2.0, 2.5), oblique)
    result = sitk.GetArrayFromImage(resample_image(values, turned, 0.0))
    index = np.argwhere(result > 0.5)[:, ::-1].astype(float)
    np.testing.assert_allclose(turned.points(index).mean(axis=0), CENTRE, atol=0.3)


def test_beyond_the_field_of_view_lies_air() -> None:
    small = Geometry((10, 10, 10), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), UPRIGHT)
    large = Geometry((20, 10, 10), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), UPRIGHT)
    image = small.image(np.full(small.shape, 30.0, np.float32))
    result = sitk.GetArrayFromImage(resample_image(image, large, CT_AIR_HU))
    np.testing.assert_array_equal(result[:, :, :10], 30.0)
    np.testing.assert_array_equal(result[:, :, 12:], CT_AIR_HU)


def test_neighbouring_labels_do_not_leak_into_each_other() -> None:
    grid = ct_grid()
    labels = np.zeros(grid.shape, np.uint8)
    labels[5:19, 8:72, 8:40] = 1
    labels[5:19, 8:72, 40:72] = 2
    coarse = centred((20, 20, 24), (3.92, 3.92, 3.27), UPRIGHT)
    result = sitk.GetArrayFromImage(resample_labels(grid.image(labels), coarse))
    assert set(np.unique(result)) == {0, 1, 2}
    middle = result[7:17, 4:16, :]
    columns = [set(np.unique(middle[:, :, x])) for x in range(4, 16)]
    assert all(c in ({1}, {2}) for c in columns)
