from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.metrics import assd_mm, hd95_mm, hd_mm, surface_distances, surface_voxels

SPACING = st.tuples(*[st.sampled_from((0.5, 0.98, 1.0, 2.0, 3.27, 5.47))] * 3)
PAIRS = hnp.array_shapes(min_dims=3, max_dims=3, max_side=6).flatmap(
    lambda shape: st.tuples(hnp.arrays(bool, shape), hnp.arrays(bool, shape))
)


def lumps(seed: int, shape=(30, 40, 36)) -> tuple[np.ndarray, np.ndarray]:
    """Two smooth random shapes that partly agree, touching the border for some seeds."""
    rng = np.random.default_rng(seed)
    common, one, two = (ndimage.gaussian_filter(rng.normal(size=shape), 4) for _ in range(3))
    return common + 0.5 * one > 0.02, common + 0.5 * two > 0.02


@settings(max_examples=150, deadline=None)
@given(PAIRS, SPACING)
def test_every_distance_equals_brute_force(oracles, pair, spacing):
    a, b = pair
    for percent, ours in ((95, hd95_mm), (100, hd_mm)):
        assert ours(a, b, spacing) == pytest.approx(oracles.brute_hausdorff(a, b, spacing, percent), abs=1e-9)
    if a.any() and b.any():
        forth, back = oracles.brute_distances(a, b, spacing)
        assert assd_mm(a, b, spacing) == pytest.approx(sum(forth + back) / len(forth + back), abs=1e-9)
        found = surface_distances(a, b, spacing)
        assert list(found.a_to_b.each_mm) == pytest.approx(sorted(forth), abs=1e-9)
        assert list(found.b_to_a.each_mm) == pytest.approx(sorted(back), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=3, max_side=6)))
def test_the_surface_is_the_voxels_with_a_face_neighbour_outside(oracles, mask):
    assert [tuple(i) for i in np.argwhere(surface_voxels(mask))] == oracles.brute_surface(mask)


def test_the_image_border_counts_as_outside():
    full = np.ones((5, 5, 5), bool)
    assert surface_voxels(full).sum() == 5**3 - 3**3


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.27, 0.98, 0.98), (2.0, 5.5, 4.07)])
def test_hd95_and_hd_equal_monai(monkeypatch, seed, spacing):
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics")
    a, b = lumps(seed)
    one, two = (torch.from_numpy(m)[None, None] for m in (a, b))

    def theirs(percentile: float | None) -> float:
        distance = monai.compute_hausdorff_distance(one, two, True, percentile=percentile, spacing=list(spacing))
        return distance.item()

    assert hd_mm(a, b, spacing) == pytest.approx(theirs(None), abs=1e-6, rel=2e-7)
    # MONAI ranks in float32: of 5,000 distances the 4,749.05th is found to 5e-4 ranks, times the gap to the next one.
    assert hd95_mm(a, b, spacing) == pytest.approx(theirs(95), abs=1e-4)
    # With the rank in float64 only the float32 of the distances themselves is left.
    quantile = torch.quantile
    monkeypatch.setattr(torch, "quantile", lambda values, q: quantile(values.double(), q))
    assert hd95_mm(a, b, spacing) == pytest.approx(theirs(95), abs=1e-6, rel=2e-7)
    assert theirs(95) > 1


@pytest.mark.parametrize("seed", range(3))
def test_assd_equals_the_mean_of_monai_s_distances(seed):
    torch = pytest.importorskip("torch")
    utils = pytest.importorskip("monai.metrics.utils")
    a, b = lumps(seed)
    _edges, distances, _ = utils.get_edge_surface_distance(
        torch.from_numpy(a), torch.from_numpy(b), spacing=[3.27, 0.98, 0.98], symmetric=True
    )
    pooled = np.concatenate([d.double().numpy() for d in distances])
    assert assd_mm(a, b, (3.27, 0.98, 0.98)) == pytest.approx(pooled.mean(), rel=1e-6)


def test_one_empty_mask_is_infinitely_far_and_two_are_not_apart():
    empty, full = np.zeros((4, 4, 4), bool), np.ones((4, 4, 4), bool)
    for measure in (hd95_mm, hd_mm, assd_mm):
        assert measure(empty, empty, (1, 1, 1)) == 0.0
        assert measure(empty, full, (1, 1, 1)) == math.inf
        assert measure(full, empty, (1, 1, 1)) == math.inf


def test_two_single_voxels_in_opposite_corners_are_the_diagonal_apart():
    a, b = np.zeros((3, 4, 5), bool), np.zeros((3, 4, 5), bool)
    a[0, 0, 0] = b[-1, -1, -1] = True
    diagonal = math.sqrt((2 * 3.27) ** 2 + (3 * 0.98) ** 2 + (4 * 0.5) ** 2)
    for measure in (hd95_mm, hd_mm, assd_mm):
        assert measure(a, b, (3.27, 0.98, 0.5)) == pytest.approx(diagonal, abs=1e-9)


def test_hd95_is_the_larger_directed_percentile_and_not_the_pooled_one():
    small, large = np.zeros((1, 1, 100), bool), np.zeros((1, 1, 100), bool)
    small[..., :10] = True
    large[..., :50] = True
    distances = surface_distances(small, large, (1, 1, 1))
    assert hd95_mm(small, large, (1, 1, 1)) == np.percentile(np.r_[np.zeros(10), np.arange(1, 41)], 95)
    assert hd95_mm(small, large, (1, 1, 1)) > np.percentile(
        np.r_[distances.a_to_b.each_mm, distances.b_to_a.each_mm], 95
    )


def test_cropping_and_moving_change_nothing():
    a, b = lumps(1)
    wide = [np.pad(m, 7) for m in (a, b)]
    assert hd95_mm(*wide, (3.27, 0.98, 0.98)) == pytest.approx(hd95_mm(a, b, (3.27, 0.98, 0.98)), abs=1e-9)


def test_the_masks_given_are_left_as_they_were():
    a, b = lumps(2)
    before = a.copy(), b.copy()
    a.flags.writeable = b.flags.writeable = False
    hd95_mm(a, b, (1, 1, 1))
    assert np.array_equal(a, before[0])
    assert np.array_equal(b, before[1])


def test_distances_far_from_the_origin_keep_float64_precision():
    # float32 coordinates at 2 m would be wrong by 1e-4 mm.
    a, b = np.zeros((2, 1, 2000), bool), np.zeros((2, 1, 2000), bool)
    a[0, 0, 1998], b[1, 0, 1999] = True, True
    spacing = (1e-3, 1.0, 1.0)
    assert hd95_mm(a, b, spacing) == pytest.approx(math.sqrt(1 + 1e-6), abs=1e-9)


def test_a_spacing_of_two_numbers_for_three_axes_is_refused():
    with pytest.raises(BadInputError, match="spacing"):
        hd95_mm(np.ones((2, 2, 2)), np.ones((2, 2, 2)), (1, 1))
