"""The SUV brush against balls whose edge is known, and against values that are no PET."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.mrml.suv_brush import MARGIN_MM, SMOOTHING_MM, Brush, SuvRule, paintedVoxels

SPACING = (3.0, 2.0, 2.0)
SHAPE = (31, 45, 45)
CENTRE = (15.0, 22.0, 22.0)
FWHM_MM = 6.0


def distance_mm(centre=CENTRE):
    axes = np.indices(SHAPE).astype(float)
    return np.sqrt(sum(((axis - c) * s) ** 2 for axis, c, s in zip(axes, centre, SPACING, strict=True)))


def blurred_ball(radius_mm, hot=10.0, cold=1.0, centre=CENTRE):
    """A ball as a PET sees it: sampled 5 times finer along each axis, then a Gaussian of 6 mm full width."""
    fine = 5
    steps = [((np.arange(n * fine) + 0.5) / fine - 0.5 - c) * s for n, c, s in zip(SHAPE, centre, SPACING, strict=True)]
    inside = steps[0][:, None, None] ** 2 + steps[1][:, None] ** 2 + steps[2] ** 2 <= radius_mm**2
    share = inside.reshape(SHAPE[0], fine, SHAPE[1], fine, SHAPE[2], fine).mean(axis=(1, 3, 5))
    sigma = FWHM_MM / 2.3548
    return (cold + (hot - cold) * ndimage.gaussian_filter(share, [sigma / s for s in SPACING])).astype(np.float32)


def volume_ml(mask):
    return mask.sum() * np.prod(SPACING) / 1000


def ball_ml(radius_mm):
    return 4 / 3 * np.pi * radius_mm**3 / 1000


def seen_radius_mm(radius_mm):
    """Where a ball blurred by a Gaussian of s is steepest: d2/dr2 vanishes near R - s * s / R."""
    return radius_mm - ((FWHM_MM / 2.3548) ** 2 + SMOOTHING_MM**2) / radius_mm


def test_fixed_rule_is_the_threshold_within_the_sphere():
    suv = blurred_ball(14)
    painted = paintedVoxels(suv, SPACING, Brush(CENTRE, 12.0), SuvRule("fixed", suv=4.0))
    assert np.array_equal(painted, (suv >= 4.0) & (distance_mm() <= 12.0))


def test_percent_rule_uses_the_highest_value_of_the_sphere_and_not_of_the_box():
    suv = blurred_ball(8)
    suv[2, 2, 2] = 90.0
    painted = paintedVoxels(suv, SPACING, Brush(CENTRE, 20.0), SuvRule("percent", percent=40.0))
    sphere = distance_mm() <= 20.0
    assert np.array_equal(painted, sphere & (suv >= 0.4 * suv[sphere].max()))
    assert painted.any()


@pytest.mark.parametrize("contrast", [2.0, 4.0, 12.0])
def test_gradient_rule_finds_the_edge_whatever_the_contrast(contrast):
    """Where a share of the maximum grows with a low contrast, the steepest edge stays where the ball ends."""
    suv = blurred_ball(14, hot=contrast)
    painted = paintedVoxels(suv, SPACING, Brush(CENTRE, 24.0), SuvRule("gradient"))
    assert volume_ml(painted) == pytest.approx(ball_ml(seen_radius_mm(14)), rel=0.08)
    # The centre of a voxel may lie on the wrong side by half its diagonal.
    assert distance_mm()[painted].max() < seen_radius_mm(14) + 2.1
    assert distance_mm()[~painted].min() > seen_radius_mm(14) - 2.1


def test_gradient_rule_leaves_a_neighbour_beyond_the_valley():
    near, far = blurred_ball(8, centre=(15.0, 14.0, 22.0)), blurred_ball(8, centre=(15.0, 31.0, 22.0))
    suv = np.maximum(near, far)
    painted = paintedVoxels(suv, SPACING, Brush((15.0, 14.0, 22.0), 12.0), SuvRule("gradient"))
    assert volume_ml(painted) == pytest.approx(ball_ml(seen_radius_mm(8)), rel=0.2)
    assert not painted[distance_mm((15.0, 31.0, 22.0)) < 10].any()


def test_gradient_rule_inside_a_lesion_paints_the_whole_brush():
    noise = np.random.default_rng(2).normal(0, 0.2, SHAPE).astype(np.float32)
    painted = paintedVoxels(10 + noise, SPACING, Brush(CENTRE, 10.0), SuvRule("gradient"))
    assert np.array_equal(painted, distance_mm() <= 10.0)


def test_gradient_rule_of_a_small_brush_on_the_edge_keeps_to_the_hot_side():
    suv = np.full(SHAPE, 1.0, np.float32)
    suv[:, :, :22] = 9.0
    suv = ndimage.gaussian_filter(suv, [1.2 / s for s in SPACING])
    painted = paintedVoxels(suv, SPACING, Brush((15.0, 22.0, 20.0), 12.0), SuvRule("gradient"))
    assert painted[:, :, :21].any()
    assert not painted[:, :, 23:].any()


def test_circle_paints_one_slice_of_the_sphere():
    suv = np.full(SHAPE, 5.0, np.float32)
    for axis, normal in enumerate(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))):
        for shift in (0.0, 0.3, -0.49):
            centre = tuple(c + (shift if i == axis else 0.0) for i, c in enumerate(CENTRE))
            painted = paintedVoxels(suv, SPACING, Brush(centre, 12.0, normal), SuvRule("fixed", suv=1.0))
            assert np.unique(np.nonzero(painted)[axis]).tolist() == [int(CENTRE[axis])]
            sphere = paintedVoxels(suv, SPACING, Brush(centre, 12.0), SuvRule("fixed", suv=1.0))
            assert (painted <= sphere).all()


def test_oblique_circle_has_no_holes():
    suv = np.full(SHAPE, 5.0, np.float32)
    normal = (np.sqrt(0.5), np.sqrt(0.5), 0.0)
    painted = paintedVoxels(suv, SPACING, Brush(CENTRE, 14.0, normal), SuvRule("fixed", suv=1.0))
    _parts, count = ndimage.label(painted, structure=np.ones((3, 3, 3)))
    assert count == 1
    # Every ray along an axis that crosses the plane meets a voxel of it.
    assert painted[:, 18:27, 20:25].any(axis=0).all()


def test_circle_takes_the_maximum_of_the_sphere():
    suv = np.full(SHAPE, 5.0, np.float32)
    suv[17] = 20.0
    painted = paintedVoxels(suv, SPACING, Brush(CENTRE, 12.0, (1.0, 0.0, 0.0)), SuvRule("percent", percent=40.0))
    assert not painted.any()


def test_tiny_brush_paints_the_voxel_under_it():
    suv = np.full(SHAPE, 5.0, np.float32)
    painted = paintedVoxels(suv, SPACING, Brush((15.3, 22.4, 21.6), 0.1), SuvRule("fixed", suv=1.0))
    assert np.argwhere(painted).tolist() == [[15, 22, 22]]


@pytest.mark.parametrize("kind", ["fixed", "percent", "gradient"])
def test_values_that_are_no_uptake_are_not_painted(kind):
    for value in (0.0, -3.0, np.nan, np.inf, -np.inf):
        suv = np.full(SHAPE, value, np.float32)
        assert not paintedVoxels(suv, SPACING, Brush(CENTRE, 12.0), SuvRule(kind)).any()


def test_holes_in_the_pet_count_as_nothing():
    suv = blurred_ball(14)
    suv[15, 22, 22] = np.nan
    painted = paintedVoxels(suv, SPACING, Brush(CENTRE, 12.0), SuvRule("percent"))
    assert not painted[15, 22, 22]
    assert painted[14, 22, 22]


def test_boxes_of_one_slice_are_painted():
    suv = blurred_ball(14)[15:16]
    for kind in ("fixed", "percent", "gradient"):
        painted = paintedVoxels(suv, SPACING, Brush((0.0, 22.0, 22.0), 20.0 + MARGIN_MM), SuvRule(kind))
        assert volume_ml(painted) == pytest.approx(np.pi * 14**2 * SPACING[0] / 1000, rel=0.3)


def test_rubbish_is_refused():
    for suv, radius in ((np.zeros((0, 3, 3)), 5.0), (np.zeros((3, 3)), 5.0), (np.zeros((3, 3, 3)), 0.0)):
        with pytest.raises(BadInputError):
            paintedVoxels(suv, SPACING, Brush((0.0, 0.0, 0.0), radius), SuvRule())
