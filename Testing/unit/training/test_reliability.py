"""Calibration from counts: values by hand, known temperatures found again, and where errors lie."""

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.inference.uncertainty import entropy_bytes, entropy_image
from petctfusion.training.benchmark.reliability import (
    ByteCounts,
    error_share,
    expected_calibration_error,
    fit_temperature,
    log_loss,
    near_either,
    reliability,
    tempered,
)


def drawn(temperature, voxels=1_000_000, seed=3):
    """Counts of a model whose true temperature is known: tumour is drawn with the tempered probability."""
    rng = np.random.default_rng(seed)
    probability = rng.integers(0, 256, voxels).astype(np.uint8)
    tumour = rng.random(voxels) < tempered(temperature)[probability]
    return ByteCounts.of(probability, tumour)


def test_ece_by_hand():
    voxels, tumour = np.zeros(256, np.int64), np.zeros(256, np.int64)
    voxels[51], tumour[51] = 80, 8  # says 0.2, is 0.1
    voxels[204], tumour[204] = 20, 20  # says 0.8, is 1
    assert expected_calibration_error(ByteCounts(voxels, tumour)) == pytest.approx(0.8 * 0.1 + 0.2 * 0.2)
    first, second = reliability(ByteCounts(voxels, tumour))
    assert (first.probability, first.tumour, first.voxels) == pytest.approx((0.2, 0.1, 80))
    assert (second.probability, second.tumour, second.voxels) == pytest.approx((0.8, 1.0, 20))


def test_what_says_the_truth_has_no_error():
    assert expected_calibration_error(drawn(1.0)) < 0.003
    assert expected_calibration_error(drawn(2.5)) > 0.05


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_and_mends_the_probability(temperature):
    counts = drawn(temperature)
    found = fit_temperature(counts)
    assert found == pytest.approx(temperature, rel=0.02)
    assert expected_calibration_error(counts, found) < 0.003
    assert log_loss(counts, found) <= log_loss(counts) + 1e-12


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_without_both_kinds_of_voxels_there_is_nothing_to_fit(share):
    counts = np.full(256, 4, np.int64)
    assert fit_temperature(ByteCounts(counts, (share * counts).astype(np.int64))) == 1.0


def test_temperature_keeps_the_order_and_the_half():
    for temperature in (0.3, 1.0, 4.0):
        shares = tempered(temperature)
        assert (np.diff(shares) > 0).all()
        assert (shares[127] + shares[128]) / 2 == pytest.approx(0.5)


def test_near_is_a_distance_in_mm():
    first, second = np.zeros((40, 60, 60), bool), np.zeros((40, 60, 60), bool)
    first[20, 30, 30] = True
    second[20, 30, 34] = True
    near = near_either(first, second, (4.0, 2.0, 1.0))
    z, y, x = np.indices(first.shape)
    nearest = np.minimum(
        *(np.sqrt((4 * (z - 20.0)) ** 2 + (2 * (y - 30.0)) ** 2 + (x - float(c)) ** 2) for c in (30, 34))
    )
    assert np.array_equal(near, nearest <= 20.0)
    assert not near_either(np.zeros_like(first), np.zeros_like(first), (1.0, 1.0, 1.0)).any()


def test_errors_among_the_least_sure():
    unsure = np.zeros(1000, np.uint8)
    unsure[:50] = 200
    wrong = np.zeros(1000, bool)
    wrong[:30] = wrong[500:510] = True
    everywhere = np.ones(1000, bool)
    assert error_share(unsure, wrong, everywhere) == pytest.approx(30 / 40)
    # Where nothing tells voxels apart, the least sure twentieth holds a twentieth of the errors.
    assert error_share(np.zeros_like(unsure), wrong, everywhere) == pytest.approx(0.05)
    assert error_share(unsure, wrong, np.arange(1000) >= 500) == pytest.approx(0.05)
    assert error_share(unsure, np.zeros_like(wrong), everywhere) is None


def test_entropy_is_one_bit_at_one_half_and_none_at_the_ends():
    found = entropy_bytes(np.array([0, 255, 127, 128, 64, 191], np.uint8))
    assert found.tolist()[:2] == [0, 0]
    assert found[2] == found[3] == 255
    assert found[4] == found[5] == pytest.approx(255 * 0.813, abs=1)
    image = sitk.GetImageFromArray(np.full((2, 3, 4), 128, np.uint8))
    image.SetSpacing((1.0, 2.0, 3.0))
    entropy = entropy_image(image)
    assert entropy.GetSpacing() == (1.0, 2.0, 3.0)
    assert entropy.GetPixel(0, 0, 0) == 255
