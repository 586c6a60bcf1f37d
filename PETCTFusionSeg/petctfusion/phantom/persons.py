"""A person of a cohort, drawn from a seed: build, physiological uptake, scanner, lesions."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from petctfusion.phantom.settings import PhantomSettings
from petctfusion.phantom.tissues import Label

_MOST_LESIONS = 12
# Median SUVbw, spread of its logarithm, lowest and highest. Medians are those of `petctfusion.phantom.tissues`, the
# spreads wide on purpose: fasting or not (heart), metformin (bowel), marrow stimulation, hydration (urine).
_UPTAKE = {
    Label.MYOCARDIUM: (3.2, 0.65, 1.2, 14.0),
    Label.URINE: (14.0, 0.65, 3.0, 50.0),
    Label.GREY_MATTER: (8.0, 0.25, 4.0, 14.0),
    Label.KIDNEY: (3.0, 0.25, 1.6, 6.0),
    Label.BOWEL: (1.6, 0.50, 0.7, 7.0),
    Label.STOMACH: (2.1, 0.35, 1.0, 5.5),
    Label.GLAND: (2.2, 0.35, 1.0, 5.5),
    Label.LIVER: (2.2, 0.15, 1.5, 3.2),
    Label.SPLEEN: (1.8, 0.18, 1.1, 3.0),
    Label.MARROW: (1.2, 0.30, 0.6, 3.0),
    Label.MUSCLE: (0.7, 0.20, 0.4, 1.4),
    Label.PROSTATE: (1.6, 0.25, 0.9, 3.2),
}


def draw_person(organs: sitk.Image, seed: int, negative: bool, spacing_mm: float, fine_mm: float) -> PhantomSettings:
    """Settings of a whole-body phantom around an organ map.

    One to twelve lesions, few more often than many; none for a `negative`. `spacing_mm` is that of CT and PET in every
    direction, `fine_mm` that of the grid on which truth is drawn.
    """
    generator = np.random.default_rng([seed, 40])
    lesions = min(_MOST_LESIONS, int(generator.geometric(0.28)))
    uptake = {
        label: float(np.clip(median * np.exp(generator.normal() * spread), low, high))
        for label, (median, spread, low, high) in _UPTAKE.items()
    }
    uptake[Label.WHITE_MATTER] = 0.4 * uptake[Label.GREY_MATTER]
    return PhantomSettings(
        seed=seed,
        ct_spacing_mm=(spacing_mm,) * 3,
        pet_spacing_mm=(spacing_mm,) * 3,
        fine_mm=fine_mm,
        psf_fwhm_mm=round(float(generator.uniform(4.8, 7.5)), 2),
        liver_cov=round(float(generator.uniform(0.07, 0.18)), 3),
        ct_noise_hu=round(float(generator.uniform(8, 22)), 1),
        arms=bool(generator.random() < 0.5),
        lesions=(),
        scattered=0 if negative else lesions,
        uptake=tuple((label, round(suv, 2)) for label, suv in uptake.items()),
        fat=round(float(np.clip(generator.lognormal(0.0, 0.35), 0.5, 2.2)), 2),
        misregistration_mm=_misregistration(generator),
        anatomy=organs,
    )


def stretched(organs: sitk.Image, seed: int) -> sitk.Image:
    """The organ map made up to 8 % wider or longer, so that several phantoms of one map are not one body."""
    across, along = (float(factor) for factor in np.random.default_rng([seed, 41]).uniform(0.92, 1.08, 2))
    result = sitk.Image(organs)
    x, y, z = organs.GetSpacing()
    result.SetSpacing((x * across, y * across, z * along))
    return result


def _misregistration(generator: np.random.Generator) -> tuple[float, float, float]:
    """Of the body in the PET against the CT, LPS mm; more along the body than across it."""
    x, y, z = (round(float(move), 1) for move in np.clip(generator.normal(0, (1.5, 1.5, 2.5)), -6, 6))
    return x, y, z
