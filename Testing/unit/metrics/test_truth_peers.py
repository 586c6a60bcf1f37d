"""The oracles and the engine against the libraries that others use, where the definitions are the same."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import ndimage

from petctfusion.metrics import compare_masks

SPACINGS = [(1.0, 1.0, 1.0), (3.0, 2.04, 2.04), (5.0, 1.0, 0.5), (0.7, 1.9, 3.3)]


@pytest.fixture
def deepmind():
    library = pytest.importorskip("surface_distance")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield library


def lumps(seed: int, shape=(24, 30, 28)) -> tuple[np.ndarray, np.ndarray]:
    """Two smooth random shapes that partly agree, touching the border for some seeds."""
    rng = np.random.default_rng(seed)
    common, one, two = (ndimage.gaussian_filter(rng.normal(size=shape), 3) for _ in range(3))
    return common + 0.5 * one > 0.02, common + 0.5 * two > 0.02


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_256_areas_of_the_oracle_are_those_of_surface_distance(oracles, deepmind, spacing):
    theirs = deepmind.lookup_tables.create_table_neighbour_code_to_surface_area(spacing)
    assert oracles.surfel_areas(spacing) == pytest.approx(list(theirs), abs=1e-12)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_areas_of_the_oracle_know_no_inside_or_direction(oracles, spacing):
    areas = oracles.surfel_areas(spacing)
    assert areas == pytest.approx(areas[::-1])
    assert areas[0b11110000] == pytest.approx(spacing[1] * spacing[2])
    assert areas[0b11001100] == pytest.approx(spacing[0] * spacing[2])
    assert areas[0b10101010] == pytest.approx(spacing[0] * spacing[1])


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(3))
def test_surfel_numbers_equal_surface_distance(deepmind, seed, spacing):
    a, b = lumps(seed)
    ours, theirs = compare_masks(a, b, spacing).surfel, deepmind.compute_surface_distances(a, b, spacing)
    for percent in (50, 95, 100):
        expected = deepmind.compute_robust_hausdorff(theirs, percent)
        assert ours.hausdorff_mm(percent) == pytest.approx(expected, abs=1e-9)
    for tolerance in (0.3, 1.7, 4.1):
        expected = deepmind.compute_surface_dice_at_tolerance(theirs, tolerance)
        # Our areas are whole units, 2^28 to the largest cell.
        assert ours.nsd(tolerance) == pytest.approx(expected, abs=1e-7)
    one, two = deepmind.compute_average_surface_distance(theirs)
    areas = [theirs[f"surfel_areas_{of}"].sum() for of in ("gt", "pred")]
    assert ours.mean_mm() == pytest.approx(np.average([one, two], weights=areas), rel=1e-7)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_voxel_numbers_equal_medpy(spacing):
    binary = pytest.importorskip("medpy.metric.binary")
    a, b = lumps(4)
    ours = compare_masks(a, b, spacing)
    assert ours.voxel.pooled_mm(95) == pytest.approx(binary.hd95(a, b, voxelspacing=spacing), abs=1e-9)
    assert ours.hd_mm == pytest.approx(binary.hd(a, b, voxelspacing=spacing), abs=1e-9)
    assert ours.dice == pytest.approx(binary.dc(a, b), abs=1e-12)
    assert ours.assd_mm == pytest.approx(binary.assd(a, b, voxelspacing=spacing), abs=1e-9)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_both_surfaces_equal_monai(spacing):
    torch, monai = pytest.importorskip("torch"), pytest.importorskip("monai.metrics")
    a, b = lumps(5)
    one, two = (torch.from_numpy(m)[None, None] for m in (a, b))
    ours = compare_masks(a, b, spacing)
    # It answers in float32.
    for surface, subvoxels in ((ours.voxel, False), (ours.surfel, True)):
        for tolerance in (0.3, 1.7, 4.1):
            theirs = monai.compute_surface_dice(
                one, two, [tolerance], include_background=True, spacing=list(spacing), use_subvoxels=subvoxels
            )
            assert surface.nsd(tolerance) == pytest.approx(theirs.item(), abs=1e-6)
    theirs = monai.compute_average_surface_distance(one, two, True, symmetric=True, spacing=list(spacing)).item()
    assert ours.assd_mm == pytest.approx(theirs, rel=1e-6)
    theirs = monai.compute_hausdorff_distance(one, two, True, spacing=list(spacing)).item()
    assert ours.hd_mm == pytest.approx(theirs, rel=1e-6)
