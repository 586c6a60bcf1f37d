"""Limits that the phantom is held to, measured on it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.phantom import Phantom, PhantomSettings
from petctfusion.phantom.grids import axis_aligned
from petctfusion.phantom.physics import add_ct_noise, add_pet_noise, image_on
from petctfusion.phantom.quality import (
    QualityReport,
    ball_centre_recovery,
    ball_mean_recovery,
    measure_liver,
    measure_quality,
    resolution_fwhm_mm,
)
from petctfusion.phantom.tissues import table_lines


@pytest.fixture(scope="module")
def report() -> QualityReport:
    return measure_quality()


@pytest.mark.parametrize("fwhm", [4.5, 6.0, 8.0])
def test_resolution_is_what_was_set(fwhm: float) -> None:
    measured = resolution_fwhm_mm(PhantomSettings(psf_fwhm_mm=fwhm))
    assert measured == pytest.approx((fwhm, fwhm, fwhm), rel=0.05)


def test_liver_uptake_and_noise_are_what_was_set(report: QualityReport) -> None:
    assert report.liver.suv_mean == pytest.approx(2.2, rel=0.05)
    assert report.liver.cov == pytest.approx(0.11, rel=0.15)
    assert report.liver.ct_sd_hu == pytest.approx(12.0, rel=0.20)
    assert report.liver.volume_ml > 20


def test_noise_follows_its_target() -> None:
    noisy = measure_quality(PhantomSettings(liver_cov=0.2, ct_noise_hu=25.0))
    assert noisy.liver.cov == pytest.approx(0.2, rel=0.15)
    assert noisy.liver.ct_sd_hu == pytest.approx(25.0, rel=0.20)


def test_recovery_rises_with_size_and_is_that_of_a_blurred_ball(report: QualityReport) -> None:
    for small, large in pairwise(report.recovery):
        assert small.mean < large.mean
        assert small.centre <= large.centre + 0.01
        assert small.mean_pet_grid < large.mean_pet_grid + 0.03
    for one in report.recovery:
        assert one.mean == pytest.approx(one.mean_expected, abs=0.05)
        assert one.centre == pytest.approx(one.centre_expected, abs=0.05)


def test_the_report_reads_as_a_table_and_knows_its_limits(report: QualityReport) -> None:
    text = "\n".join(report.lines())
    assert report.within_limits
    assert "All within limits" in text
    assert text.count("\n| ") >= 10
    blurred = replace(report, fwhm_set_mm=7.0)
    assert not blurred.within_limits
    assert "NOT within" in "\n".join(blurred.lines())


def test_the_analytical_recoveries_agree_with_numbers() -> None:
    grid = axis_aligned(np.full(3, -30.0), np.full(3, 30.0), (1.0, 1.0, 1.0))
    axis = np.arange(60) - 29.5
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    ball = (radius < 11).astype(np.float32)
    blurred = image_on(ball, grid, grid, 6.0)
    assert blurred[29:31, 29:31, 29:31].mean() == pytest.approx(ball_centre_recovery(22.0, 6.0), abs=0.02)
    assert blurred[ball > 0].mean() == pytest.approx(ball_mean_recovery(22.0, 6.0), abs=0.02)
    assert ball_centre_recovery(200.0, 6.0) == pytest.approx(1.0)


def test_blurring_keeps_activity_between_grids() -> None:
    fine = axis_aligned(np.full(3, -20.0), np.full(3, 20.0), (1.0, 1.0, 1.0))
    coarse = axis_aligned(np.full(3, -40.0), np.full(3, 40.0), (4.0, 4.0, 3.2))
    values = np.zeros(fine.shape, dtype=np.float32)
    values[12:25, 10:30, 15:22] = 3.0
    total = float(image_on(values, fine, coarse, 7.0).sum()) * coarse.voxel_ml
    assert total == pytest.approx(float(values.sum()) * fine.voxel_ml, rel=0.01)


def test_pet_noise_grows_as_the_root_of_uptake_and_is_correlated() -> None:
    levels = []
    for suv in (1.0, 4.0):
        flat = np.full((40, 40, 40), suv, dtype=np.float32)
        noise = add_pet_noise(flat, (3.0, 4.0, 4.0), 2.2, 0.10, np.random.default_rng(0)) - flat
        levels.append(float(noise.std()))
        neighbour = float((noise[:, :, 1:] * noise[:, :, :-1]).mean() / noise.var())
        assert 0.2 < neighbour < 0.9
    assert levels[1] / levels[0] == pytest.approx(2.0, rel=0.1)


def test_without_a_noise_target_the_pet_is_clean() -> None:
    flat = np.full((5, 5, 5), 2.0, dtype=np.float32)
    assert np.array_equal(add_pet_noise(flat, (3.0, 4.0, 4.0), 2.2, 0.0, np.random.default_rng(0)), flat)


def test_ct_noise_keeps_the_mean() -> None:
    flat = np.full((20, 64, 64), 50.0, dtype=np.float32)
    noisy = add_ct_noise(flat, (3.0, 1.0, 1.0), 20.0, np.random.default_rng(0))
    assert noisy.mean() == pytest.approx(50.0, abs=0.5)
    assert noisy.std() == pytest.approx(20.0, rel=0.05)


def test_a_thigh_has_no_liver_to_measure(sarcoma: Phantom) -> None:
    assert isinstance(sarcoma.organs, sitk.Image)
    with pytest.raises(BadInputError, match="too little liver"):
        measure_liver(sarcoma)


def test_the_tissue_table_of_the_documentation_is_the_one_simulated(repository: Path) -> None:
    page = (repository / "docs" / "phantom.md").read_text(encoding="utf-8")
    assert "\n".join(table_lines()) in page
