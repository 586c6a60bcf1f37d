"""A patient scanned again: the physics of resolution, counts and breath, against theory; the truth stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.phantom import LesionSpec, PhantomSettings, make_phantom
from petctfusion.phantom.breathing import make_breathing
from petctfusion.phantom.physics import FWHM_PER_SIGMA
from petctfusion.phantom.rescan import Conditions, RescannedPatient
from petctfusion.volumes.geometry import Geometry

BALL = PhantomSettings(
    seed=5,
    field_of_view="lesion",
    margin_mm=50.0,
    ct_spacing_mm=(2.5, 2.5, 2.5),
    pet_spacing_mm=(2.5, 2.5, 2.5),
    fine_mm=2.5,
    liver_cov=0.1,
    lesions=(LesionSpec("lung-right", 22.0, 9.0, irregularity=0.0, texture=0.0),),
)
SPECK = replace(BALL, liver_cov=0.0, lesions=(LesionSpec("thigh-left", 4.0, 90.0, irregularity=0.0, texture=0.0),))
FAINT = replace(SPECK, lesions=(replace(SPECK.lesions[0], suv=10.0),))


@pytest.fixture(scope="module")
def ball() -> RescannedPatient:
    return RescannedPatient(BALL)


@pytest.fixture(scope="module")
def specks() -> tuple[RescannedPatient, RescannedPatient]:
    """Two that differ in a speck's uptake alone: the difference of their PETs is the image of the speck."""
    return RescannedPatient(SPECK), RescannedPatient(FAINT)


def _array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def _speck_image(specks: tuple[RescannedPatient, RescannedPatient], fwhm_mm: float) -> np.ndarray:
    hot, faint = (_array(one.scan(Conditions(fwhm_mm)).pet).astype(float) for one in specks)
    return hot - faint


def _spread_mm(image: np.ndarray) -> np.ndarray:
    """Standard deviation in mm of the profile along z, y and x."""
    found = []
    for axis in range(3):
        profile = image.sum(axis=tuple(other for other in range(3) if other != axis))
        along = np.arange(len(profile)) * 2.5
        middle = (along * profile).sum() / profile.sum()
        found.append(np.sqrt(((along - middle) ** 2 * profile).sum() / profile.sum()))
    return np.array(found)


def test_a_speck_is_as_wide_as_the_point_spread(specks):
    """Variances of blurs add: what two resolutions differ by is free of the speck's own size."""
    sharp, blurred = (_spread_mm(_speck_image(specks, fwhm)) for fwhm in (4.0, 8.0))
    added = np.sqrt(blurred**2 - sharp**2) * FWHM_PER_SIGMA
    np.testing.assert_allclose(added, np.sqrt(8.0**2 - 4.0**2), rtol=0.03)


def test_blur_moves_activity_and_takes_none_away(specks):
    sums = [_speck_image(specks, fwhm).sum() for fwhm in (4.0, 8.0)]
    assert sums[1] == pytest.approx(sums[0], rel=0.01)


def test_the_noise_variance_goes_with_one_over_the_counts(ball):
    clean = RescannedPatient(replace(BALL, liver_cov=0.0)).scan(Conditions(6.0)).pet
    # Where noise does not reach below 0, which would cut it.
    warm = _array(clean) > 1.0
    assert warm.sum() > 500
    variances = []
    for counts in (2.0, 8.0):
        noise = _array(ball.scan(Conditions(6.0, counts)).pet) - _array(clean)
        variances.append(noise[warm].var())
    assert variances[0] / variances[1] == pytest.approx(4.0, rel=0.25)


def test_breathing_moves_the_middle_and_stretches_the_uptake():
    """Over sin^4 the tumour's mean lies 3/8 of its way lower, and (35/128 - 9/64) way^2 is added to its variance."""
    calm = replace(BALL, liver_cov=0.0)
    patients = [RescannedPatient(replace(calm, lesions=(replace(BALL.lesions[0], suv=suv),))) for suv in (19.0, 9.0)]
    moments, highest = [], []
    for breathing in (0.0, 30.0):
        scans = [patient.scan(Conditions(6.0, 1.0, breathing)) for patient in patients]
        image = _array(scans[0].pet).astype(float) - _array(scans[1].pet)
        profile, heights = image.sum(axis=(1, 2)), np.arange(len(image)) * 2.5
        middle = (heights * profile).sum() / profile.sum()
        moments.append((profile.sum(), middle, ((heights - middle) ** 2 * profile).sum() / profile.sum()))
        highest.append(image.max())
    way = scans[0].motion_mm
    assert 8 < way < 30
    (sum_before, middle_before, variance_before), (sum_after, middle_after, variance_after) = moments
    assert sum_after == pytest.approx(sum_before, rel=0.02)
    assert middle_before - middle_after == pytest.approx(0.375 * way, abs=0.6)
    assert variance_after - variance_before == pytest.approx((35 / 128 - 9 / 64) * way**2, rel=0.1)
    assert highest[1] < 0.9 * highest[0]


def test_everywhere_is_what_the_ball_sweeps(ball):
    deep = ball.scan(Conditions(breathing_mm=30.0))
    radius = 11.0
    capsule = np.pi * radius**2 * (4 / 3 * radius + deep.motion_mm)
    assert _array(deep.everywhere).sum() * 2.5**3 == pytest.approx(capsule, rel=0.10)
    assert np.array_equal(_array(ball.scan().everywhere), _array(ball.reference))


def test_the_breath_is_that_of_the_breathing_phantom(ball):
    phantom = make_breathing(BALL, phases=8, amplitude_mm=20.0)
    scan = ball.scan(Conditions(breathing_mm=20.0))
    assert np.array_equal(_array(scan.everywhere), _array(phantom.igtv))
    # Equal but for the order of the sum, which may turn a rare Poisson count.
    assert np.mean(np.abs(_array(scan.pet) - _array(phantom.pet))) < 0.02


def test_the_usual_scan_is_the_phantoms_own(ball):
    phantom = make_phantom(BALL)
    assert np.array_equal(_array(ball.scan().pet), _array(phantom.pet))
    assert np.array_equal(_array(ball.reference), _array(phantom.reference))
    assert Geometry.of(ball.scan().ct).same_grid(Geometry.of(phantom.ct))


def test_equal_conditions_give_equal_voxels_and_the_truth_stays(ball):
    conditions = Conditions(9.0, 0.3, 12.0)
    first, truth = ball.scan(conditions), _array(ball.reference)
    ball.scan(Conditions(4.0))
    again = ball.scan(conditions)
    assert np.array_equal(_array(first.pet), _array(again.pet))
    assert np.array_equal(_array(first.ct), _array(again.ct))
    assert np.array_equal(truth, _array(ball.reference))


def test_a_thigh_does_not_breathe(specks):
    assert not specks[0].breathes
    assert specks[0].scan(Conditions(breathing_mm=30.0)).motion_mm == 0


@pytest.mark.parametrize(
    "wrong", [{"fwhm_mm": 0.5}, {"fwhm_mm": float("nan")}, {"counts": 0.0}, {"breathing_mm": -1.0}, {"counts": 1e9}]
)
def test_impossible_conditions_are_refused(wrong):
    with pytest.raises(BadInputError, match="not simulated"):
        Conditions(**wrong)


def test_scattered_lesions_are_refused():
    with pytest.raises(BadInputError, match="scanned again"):
        RescannedPatient(replace(BALL, lesions=None, scattered=3))
