"""Patches: reproducible, off-centre, pretended fields of view, physical noise."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch

from petctfusion.training.augmentation import Augmentation
from petctfusion.training.cases import AIR
from petctfusion.training.patches import PatchSettings, _sample, draw_patch

STILL = Augmentation(
    rotation_deg=0.0, zoom=(1.0, 1.0), elastic_probability=0.0, misregistration_mm=0.0,
    suv_scale_sd=0.0, ct_shift_hu=0.0, ct_noise_hu=0.0, pet_noise=0.0, pet_blur_probability=0.0,
)  # fmt: skip


def quiet(**changes) -> PatchSettings:
    return PatchSettings(patch=(24, 24, 24), augmentation=dataclasses.replace(STILL, **changes))


def test_the_same_generator_state_gives_the_same_patch(case):
    settings = PatchSettings(patch=(16, 16, 16))
    first, second, other = (draw_patch(case, settings, np.random.default_rng([1, n])) for n in (5, 5, 6))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.target, second.target)
    assert not torch.equal(first.image, other.image)


def test_the_tumour_is_not_always_in_the_middle_of_the_patch_or_of_the_field_of_view(case):
    in_patch, in_view = [], []
    for n in range(40):
        patch = draw_patch(case, quiet(), np.random.default_rng(n))
        tumour = torch.nonzero(patch.target[0] > 0.5).float()
        view = torch.nonzero(patch.image[0] > -1000).float()
        if len(tumour) > 10:
            in_patch.append((tumour.mean(0) - 11.5).numpy())
            middle = (view.amin(0) + view.amax(0)) / 2
            in_view.append((tumour.mean(0) - middle).numpy())
    assert (np.std(in_patch, axis=0) > 2).all()
    assert (np.std(in_view, axis=0) > 0.7).all()


def test_outside_the_pretended_field_of_view_everything_is_air_and_nothing_is_tumour(case):
    settings = quiet(uncropped_probability=0.0, cut_through_probability=1.0)
    cut = 0
    for n in range(20):
        patch = draw_patch(case, settings, np.random.default_rng(n))
        outside = patch.image[0] == AIR["CT"]
        assert (patch.image[1][outside] == AIR["PET"]).all()
        assert (patch.target[0][outside] == 0).all()
        cut += float(patch.target.sum()) < 0.99 * case.contour.sum()
    assert cut > 5


def test_an_unchanged_patch_shows_the_case_itself(case):
    settings = quiet(uncropped_probability=1.0)
    patch = draw_patch(case, settings, np.random.default_rng(0))
    # Mirrored or not, every grey value is one of the case (interpolation only at sub-voxel shifts).
    assert float(patch.target.sum()) == pytest.approx(case.contour.sum(), rel=0.05)
    assert float(patch.image[1].max()) == pytest.approx(6.8, rel=0.02)


def test_misregistration_moves_the_pet_against_the_ct(case):
    settings = quiet(misregistration_mm=16.0, uncropped_probability=1.0, foreground_probability=1)
    shifts = []
    for n in range(10):
        patch = draw_patch(case, settings, np.random.default_rng(n))
        ct_blob, pet_blob = torch.nonzero(patch.image[0] > 55).float(), torch.nonzero(patch.image[1] > 5).float()
        if len(ct_blob) > 20 and len(pet_blob) > 20:
            shifts.append(float((ct_blob.mean(0) - pet_blob.mean(0)).norm()))
    assert np.mean(shifts) > 0.5


def test_intensities_stay_physical_under_full_augmentation(case):
    for n in range(10):
        patch = draw_patch(case, PatchSettings(patch=(16, 16, 16)), np.random.default_rng(n))
        assert torch.isfinite(patch.image).all()
        assert patch.image[1].min() >= 0
        assert patch.target.min() >= 0
        assert patch.target.max() <= 1 + 1e-6


def sampled_from_the_whole(volume: np.ndarray, points: torch.Tensor, air: float) -> torch.Tensor:
    size = torch.tensor(volume.shape, dtype=torch.float32)
    grid = ((2 * points + 1) / size - 1).flip(-1)
    above = torch.from_numpy(volume) - air
    return torch.nn.functional.grid_sample(above[None, None], grid[None], align_corners=False)[0, 0]


@pytest.mark.parametrize("centre", [(12.0, 9.0, 20.0), (-3.0, 9.5, 41.0), (-40.0, 5.0, 5.0), (1e4, 1e4, 1e4)])
def test_sampling_a_box_gives_the_bits_of_sampling_the_whole_volume(centre):
    volume = np.random.default_rng(0).normal(0.0, 500.0, (25, 19, 43)).astype(np.float32)
    steps = torch.stack(torch.meshgrid(*[torch.arange(-5.0, 6.0)] * 3, indexing="ij"), dim=-1)
    points = steps @ torch.tensor([[0.9, 0.2, 0.0], [-0.3, 0.8, 0.1], [0.0, -0.1, 1.1]]) + torch.tensor(centre)
    assert torch.equal(_sample(volume, points, -1024.0), sampled_from_the_whole(volume, points, -1024.0))
    whole = points.round()
    assert torch.equal(_sample(volume, whole, -1024.0), sampled_from_the_whole(volume, whole, -1024.0))


def test_only_the_box_that_is_looked_at_is_read():
    volume = np.full((64, 64, 64), np.nan, dtype=np.float32)
    volume[4:14, 4:14, 4:14] = 1.0
    points = torch.stack(torch.meshgrid(*[torch.arange(6.0, 11.0)] * 3, indexing="ij"), dim=-1) + 0.25
    assert torch.equal(_sample(volume, points), torch.ones(5, 5, 5))


def test_cases_on_disk_are_drawn_from_without_a_warning(case, tmp_path):
    np.save(tmp_path / "image.npy", case.image)
    np.save(tmp_path / "contour.npy", case.contour)
    on_disk = dataclasses.replace(
        case,
        image=np.load(tmp_path / "image.npy", mmap_mode="r"),
        contour=np.load(tmp_path / "contour.npy", mmap_mode="r"),
    )
    settings = PatchSettings(patch=(16, 16, 16))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mapped = draw_patch(on_disk, settings, np.random.default_rng(3))
    assert torch.equal(mapped.image, draw_patch(case, settings, np.random.default_rng(3)).image)
