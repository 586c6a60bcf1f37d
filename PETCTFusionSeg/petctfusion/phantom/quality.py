"""What the phantom really is, measured on it: PET resolution, liver uptake and noise, recovery by size, CT noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import integrate, ndimage, special

from petctfusion.errors import BadInputError
from petctfusion.phantom.grids import axis_aligned
from petctfusion.phantom.lesions import paint_lesions
from petctfusion.phantom.phantom import Phantom, make_phantom
from petctfusion.phantom.physics import FWHM_PER_SIGMA, add_pet_noise, image_on
from petctfusion.phantom.settings import LesionSpec, PhantomSettings
from petctfusion.phantom.tissues import LIVER_SUV, Label
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import resample_image

NEMA_DIAMETERS_MM = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
"""Spheres of the NEMA NU 2 image-quality phantom."""
SPHERE_SUV, BACKGROUND_SUV = 8.0, 2.0
"""Contrast 4:1, as NEMA NU 2 has it."""
FWHM_TOLERANCE, LIVER_TOLERANCE, COV_TOLERANCE, RECOVERY_TOLERANCE, CT_NOISE_TOLERANCE = 0.05, 0.05, 0.15, 0.05, 0.20


@dataclass(frozen=True)
class Recovery:
    """Recovery of one sphere, (measured - background) / (true - background), without noise: the mean over the true
    sphere and at its centre, each beside the value of a Gaussian-blurred ball; and the mean over the voxels of one
    noisy image on the PET grid, weighted by their share of the sphere (lower, as coarse voxels at the rim mix)."""

    diameter_mm: float
    mean: float
    mean_expected: float
    centre: float
    centre_expected: float
    mean_pet_grid: float

    @property
    def within_limits(self) -> bool:
        """True when both noise-free values are within `RECOVERY_TOLERANCE` of the analytical ones."""
        gaps = (abs(self.mean - self.mean_expected), abs(self.centre - self.centre_expected))
        return max(gaps) <= RECOVERY_TOLERANCE


@dataclass(frozen=True)
class LiverMeasure:
    """Mean SUVbw and coefficient of variation of the PET, and standard deviation of the CT in HU, in a liver volume."""

    suv_mean: float
    cov: float
    ct_sd_hu: float
    volume_ml: float


@dataclass(frozen=True)
class QualityReport:
    """All measurements beside what was asked for."""

    fwhm_mm: tuple[float, float, float]
    fwhm_set_mm: float
    liver: LiverMeasure
    liver_suv_set: float
    liver_cov_set: float
    ct_noise_set_hu: float
    recovery: tuple[Recovery, ...]

    @property
    def within_limits(self) -> bool:
        """True when every measurement is within the tolerance named at the top of this file."""
        means = [one.mean for one in self.recovery]
        return (
            all(abs(one / self.fwhm_set_mm - 1) <= FWHM_TOLERANCE for one in self.fwhm_mm)
            and abs(self.liver.suv_mean / self.liver_suv_set - 1) <= LIVER_TOLERANCE
            and abs(self.liver.cov / self.liver_cov_set - 1) <= COV_TOLERANCE
            and abs(self.liver.ct_sd_hu / self.ct_noise_set_hu - 1) <= CT_NOISE_TOLERANCE
            and all(one.within_limits for one in self.recovery)
            and all(small < large for small, large in pairwise(means))
        )

    def lines(self) -> list[str]:
        """The report as text, a Markdown table."""
        z, y, x = self.fwhm_mm
        rows = [
            ("PET FWHM x / y / z (mm)", f"{x:.2f} / {y:.2f} / {z:.2f}", f"{self.fwhm_set_mm:.2f}", FWHM_TOLERANCE),
            ("liver mean SUVbw", f"{self.liver.suv_mean:.2f}", f"{self.liver_suv_set:.2f}", LIVER_TOLERANCE),
            ("liver PET CoV (%)", f"{100 * self.liver.cov:.1f}", f"{100 * self.liver_cov_set:.1f}", COV_TOLERANCE),
            ("liver CT sd (HU)", f"{self.liver.ct_sd_hu:.1f}", f"{self.ct_noise_set_hu:.1f}", CT_NOISE_TOLERANCE),
        ]
        text = ["| measured | value | set | limit |", "|---|---|---|---|"]
        text += [f"| {name} | {value} | {wanted} | +-{100 * limit:.0f} % |" for name, value, wanted, limit in rows]
        text += [
            "",
            "| sphere (mm) | mean recovery | Gaussian ball | at the centre | Gaussian ball | on the PET grid, noisy |",
        ]
        text += ["|---|---|---|---|---|---|"]
        text += [
            f"| {r.diameter_mm:.0f} | {r.mean:.2f} | {r.mean_expected:.2f} | {r.centre:.2f} | {r.centre_expected:.2f} "
            f"| {r.mean_pet_grid:.2f} |"
            for r in self.recovery
        ]
        verdict = "within" if self.within_limits else "NOT within"
        return [*text, "", f"All {verdict} limits (recovery +-{RECOVERY_TOLERANCE:.2f}, rising with size)."]


def measure_quality(settings: PhantomSettings | None = None) -> QualityReport:
    """Measure the physics of `settings` (default: the default phantom) on a point, on spheres and on a liver.

    Anatomy and field of view of `settings` play no part: the liver is that of the procedural body with the same seed.
    """
    settings = settings or PhantomSettings()
    return QualityReport(
        fwhm_mm=resolution_fwhm_mm(settings),
        fwhm_set_mm=settings.psf_fwhm_mm,
        liver=measure_liver(make_phantom(liver_settings(settings))),
        liver_suv_set=LIVER_SUV,
        liver_cov_set=settings.liver_cov,
        ct_noise_set_hu=settings.ct_noise_hu,
        recovery=measure_recovery(settings),
    )


def liver_settings(settings: PhantomSettings) -> PhantomSettings:
    """The same scanner looking at the liver only, around a small lesion in it (quick to simulate)."""
    lesion = LesionSpec("liver", 12.0, 6.0)
    return replace(settings, field_of_view="lesion", margin_mm=75.0, lesions=(lesion,), anatomy=None, fine_mm=2.5)


def resolution_fwhm_mm(settings: PhantomSettings, points: int = 8) -> tuple[float, float, float]:
    """PET resolution (z, y, x) in mm: full width at half maximum of point sources at random places between voxels.

    A parabola through the logarithm of the samples above a tenth of the peak gives the width of the profile, summed
    over the other two axes; the mean over `points` sources.
    """
    generator = np.random.default_rng([settings.seed, 21])
    widths = [_point_widths(settings, generator.uniform(-0.5, 0.5, 3)) for _ in range(points)]
    z, y, x = np.mean(widths, axis=0)
    return float(z), float(y), float(x)


def _point_widths(settings: PhantomSettings, shift: NDArray[np.float64]) -> list[float]:
    source = axis_aligned(np.full(3, -2.0), np.full(3, 2.0), (0.8, 0.8, 0.8))
    values = np.zeros(source.shape, dtype=np.float32)
    values[2, 2, 2] = 1e4
    reach = 5 * settings.psf_fwhm_mm + np.asarray(settings.pet_spacing_mm)
    place = shift * np.asarray(settings.pet_spacing_mm)
    image = image_on(
        values, source, axis_aligned(place - reach, place + reach, settings.pet_spacing_mm), settings.psf_fwhm_mm
    )
    widths = []
    for axis, spacing in enumerate(settings.pet_spacing_mm[::-1]):
        profile = image.sum(axis=tuple(i for i in range(3) if i != axis)).astype(np.float64)
        near = np.flatnonzero(profile > 0.1 * profile.max())
        near = near if len(near) >= 3 else np.arange(int(profile.argmax()) - 1, int(profile.argmax()) + 2)
        curvature = np.polyfit(near * spacing, np.log(profile[near]), 2)[0]
        widths.append(float(FWHM_PER_SIGMA * np.sqrt(-1 / (2 * curvature))))
    return widths


def measure_liver(phantom: Phantom, border_mm: float = 14.0) -> LiverMeasure:
    """Uptake and noise in the liver, at least `border_mm` from its surface, vessels and lesions.

    Raises `BadInputError` when there is less than 20 ml of it in the field of view.
    """
    organs = phantom.organs
    depth = ndimage.distance_transform_edt(
        sitk.GetArrayFromImage(organs) == int(Label.LIVER), sampling=Geometry.of(organs).spacing_zyx
    )
    inner = Geometry.of(organs).image((depth > border_mm).astype(np.float32))
    on_pet = sitk.GetArrayFromImage(resample_image(inner, Geometry.of(phantom.pet), 0.0)) > 0.99
    on_ct = sitk.GetArrayFromImage(resample_image(inner, Geometry.of(phantom.ct), 0.0)) > 0.99
    volume = float(on_pet.sum()) * Geometry.of(phantom.pet).voxel_ml
    if volume < 20:
        raise BadInputError("There is too little liver in the field of view to measure it.", "Use the whole body.")
    suv = sitk.GetArrayFromImage(phantom.pet)[on_pet]
    hounsfield = sitk.GetArrayFromImage(phantom.ct)[on_ct].astype(np.float64)
    return LiverMeasure(float(suv.mean()), float(suv.std() / suv.mean()), float(hounsfield.std()), volume)


def measure_recovery(settings: PhantomSettings) -> tuple[Recovery, ...]:
    """Recovery of hot spheres of the NEMA sizes in a uniform background, through the same painter and physics."""
    return tuple(_sphere(settings, diameter, number) for number, diameter in enumerate(NEMA_DIAMETERS_MM))


def _sphere(settings: PhantomSettings, diameter: float, number: int) -> Recovery:
    half = diameter / 2 + 3 * settings.psf_fwhm_mm
    generator = np.random.default_rng([settings.seed, 22, number])
    centre = generator.uniform(-2, 2, 3)
    fine = axis_aligned(np.full(3, -half - 6), np.full(3, half + 6), (1.0, 1.0, 1.0))
    labels = np.full(fine.shape, int(Label.MUSCLE), dtype=np.uint8)
    spec = LesionSpec("centre", diameter, SPHERE_SUV, irregularity=0.0, texture=0.0)
    site = {"centre": (float(centre[0]), float(centre[1]), float(centre[2]))}
    inside = paint_lesions(labels, fine, site, (spec,), settings.seed).ids > 0
    excess = np.where(inside, np.float32(SPHERE_SUV - BACKGROUND_SUV), np.float32(0))
    pet = axis_aligned(np.full(3, -half), np.full(3, half), settings.pet_spacing_mm)
    # The background is added after the blur: the box is small, and beyond its edge there would be none.
    clean = image_on(excess, fine, pet, settings.psf_fwhm_mm) + np.float32(BACKGROUND_SUV)
    noisy = add_pet_noise(clean, pet.spacing_zyx, LIVER_SUV, settings.liver_cov, generator)
    share = image_on(inside.astype(np.float32), fine, pet, 0.0, True)
    sharp = image_on(excess, fine, fine, settings.psf_fwhm_mm)
    middle = axis_aligned(centre - 0.5, centre + 0.5, (1.0, 1.0, 1.0))
    peak = float(image_on(excess, fine, middle, settings.psf_fwhm_mm)[0, 0, 0])
    span = SPHERE_SUV - BACKGROUND_SUV
    return Recovery(
        diameter_mm=diameter,
        mean=float(sharp[inside].mean()) / span,
        mean_expected=ball_mean_recovery(diameter, settings.psf_fwhm_mm),
        centre=peak / span,
        centre_expected=ball_centre_recovery(diameter, settings.psf_fwhm_mm),
        mean_pet_grid=float(((noisy - BACKGROUND_SUV) * share).sum() / share.sum()) / span,
    )


def ball_centre_recovery(diameter_mm: float, fwhm_mm: float) -> float:
    """Value at the centre of a ball of height one under a Gaussian: erf(a) - 2 a exp(-a^2) / sqrt(pi) with
    a = R / (sqrt(2) s) (Kessler, Ellis, Eden, J Comput Assist Tomogr 1984)."""
    a = diameter_mm / 2 / (np.sqrt(2) * fwhm_mm / FWHM_PER_SIGMA)
    return float(special.erf(a) - 2 * a * np.exp(-(a**2)) / np.sqrt(np.pi))


def ball_mean_recovery(diameter_mm: float, fwhm_mm: float) -> float:
    """Mean over the ball of the ball under a Gaussian: the Gaussian integrated with the ball's own overlap function
    1 - 3 r / (4 R) + r^3 / (16 R^3), r < 2 R."""
    radius, sigma = diameter_mm / 2, fwhm_mm / FWHM_PER_SIGMA

    def weight(r: float) -> float:
        overlap = 1 - 3 * r / (4 * radius) + r**3 / (16 * radius**3)
        return float(overlap * 4 * np.pi * r**2 * np.exp(-(r**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2) ** 1.5)

    return float(integrate.quad(weight, 0, min(2 * radius, 12 * sigma))[0])
