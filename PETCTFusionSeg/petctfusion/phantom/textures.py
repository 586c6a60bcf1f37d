"""Two kinds of lesion that differ in nothing but where their uptake lies: hottest inside, or in a rim.

Volume, mean and highest SUV are drawn alike for both and reached in the image, noise and all: the uptake is a + b p
with the kind's pattern p, and what a scanner sees is linear in it. The CT is the same for both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.phantom.fields import SmoothField
from petctfusion.phantom.lesions import PaintedLesions, paint_lesions
from petctfusion.phantom.phantom import CT_FWHM_MM, anatomy_of, masks_on, scanner_grid, seen_box, stream_of, textured
from petctfusion.phantom.physics import CT_AIR_HU, SCATTER_SUV, Array, add_ct_noise, add_pet_noise, image_on
from petctfusion.phantom.settings import LesionSpec, PhantomSettings
from petctfusion.phantom.tissues import LIVER_SUV, patient_tissues
from petctfusion.volumes.geometry import Geometry

KINDS = ("solid", "rim")
"""The class of a lesion is its place here."""
_SITES = ("thigh-left", "thigh-right")
_DIAMETER_MM, _MEAN_SUV, _HIGHEST_SHARE = (42.0, 62.0), (3.5, 9.0), (1.6, 1.9)
_WANTED_STREAM, _PATTERN_STREAM = 30, 31
_LOWEST_SHARE = 0.05


@dataclass(frozen=True)
class Wanted:
    """What a seed asks for, whatever the kind; SUV as measured inside the contour."""

    settings: PhantomSettings
    mean_suv: float
    highest_suv: float


@dataclass(frozen=True)
class TexturedLesion:
    """CT (int16, HU), PET (float32, SUVbw) and contour (uint8, CT grid) around one lesion."""

    ct: sitk.Image
    pet: sitk.Image
    contour: sitk.Image
    kind: str
    wanted: Wanted


def wanted_of(seed: int, spacing_mm: float = 4.0, fine_mm: float = 2.5) -> Wanted:
    """Place, size, shape and SUV of the lesion of a seed."""
    rng = np.random.default_rng([seed, _WANTED_STREAM])
    spec = LesionSpec(
        _SITES[int(rng.integers(2))],
        float(rng.uniform(*_DIAMETER_MM)),
        1.0,
        irregularity=float(rng.uniform(0.12, 0.2)),
        elongation=float(rng.uniform(1.0, 1.4)),
        texture=0.0,
    )
    mean = float(np.exp(rng.uniform(*np.log(_MEAN_SUV))))
    settings = PhantomSettings(
        seed=seed, field_of_view="lesion", margin_mm=float(rng.uniform(12, 22)), lesions=(spec,), fine_mm=fine_mm,
        ct_spacing_mm=(spacing_mm,) * 3, pet_spacing_mm=(spacing_mm,) * 3, psf_fwhm_mm=float(rng.uniform(5.5, 7.0)),
    )  # fmt: skip
    return Wanted(settings, mean, mean * float(rng.uniform(*_HIGHEST_SHARE)))


def make_textured(wanted: Wanted, kind: str) -> TexturedLesion:
    """The lesion of this kind. Raises `BadInputError` where it has no room, or either kind cannot reach its SUV: so
    none of what is made has other numbers because of its kind."""
    if kind not in KINDS:
        raise BadInputError(f"There is no kind of lesion {kind!r}.", f"Choose {' or '.join(KINDS)}.")
    settings = wanted.settings
    grid, labels, sites = anatomy_of(settings)
    tissues = patient_tissues(stream_of(settings, 11), dict(settings.uptake))
    painted = paint_lesions(labels, grid, sites, settings.chosen_lesions, settings.seed)
    view = seen_box(settings, grid, painted)
    ct_grid = scanner_grid(view, settings.ct_spacing_mm, 0.0)
    pet_grid = scanner_grid(view, settings.pet_spacing_mm, 0.25)
    hounsfield = textured(labels, grid, tissues, "hu", stream_of(settings, 12)) - np.float32(CT_AIR_HU)
    ct = image_on(hounsfield, grid, ct_grid, CT_FWHM_MM, True) + np.float32(CT_AIR_HU)
    activity = textured(labels, grid, tissues, "suv", stream_of(settings, 13))
    activity[painted.ids > 0] = 0.0
    patterns = _patterns(painted, grid, stream_of(settings, _PATTERN_STREAM))
    seen = _Seen(painted, grid, pet_grid, activity, wanted)
    pets = {one: seen.showing(patterns[one]) for one in KINDS}
    noisy = add_ct_noise(ct, ct_grid.spacing_zyx, settings.ct_noise_hu, stream_of(settings, 14))
    contour = (masks_on(painted, grid, ct_grid) > 0).astype(np.uint8)
    return TexturedLesion(ct_grid.image(noisy), pet_grid.image(pets[kind]), ct_grid.image(contour), kind, wanted)


def _patterns(painted: PaintedLesions, grid: Geometry, generator: np.random.Generator) -> dict[str, Array]:
    """Both kinds' patterns (0 to 1) on the truth grid, torn by the same random field."""
    inside = painted.ids > 0
    depth = ndimage.distance_transform_edt(inside, sampling=grid.spacing_zyx).astype(np.float32)
    depth /= float(depth.max())
    depth += np.float32(0.16) * SmoothField.draw(generator, 16.0).on(grid, 3)
    core = np.clip((depth - 0.3) / 0.4, 0.0, 1.0)
    return {"solid": np.where(inside, core, 0.0), "rim": np.where(inside, 1.0 - core, 0.0)}


class _Seen:
    """What the scanner sees of surroundings, lesion and pattern, each by itself: their sum is the image."""

    def __init__(
        self, painted: PaintedLesions, grid: Geometry, pet_grid: Geometry, activity: Array, wanted: Wanted
    ) -> None:
        settings = wanted.settings
        self._grids, self._fwhm_mm, self._wanted = (grid, pet_grid), settings.psf_fwhm_mm, wanted
        self._around = self._on(activity)
        self._lesion = self._on((painted.ids > 0).astype(np.float32))
        self._inside = masks_on(painted, grid, pet_grid) > 0
        # One noise for both kinds, as it would be for an even lesion; elsewhere it goes with the root of the uptake.
        self._even = self._around + np.float32(wanted.mean_suv) * self._lesion
        stream = stream_of(settings, 15)
        noisy = add_pet_noise(self._even, pet_grid.spacing_zyx, LIVER_SUV, settings.liver_cov, stream)
        self._noise = noisy - self._even

    def showing(self, pattern: Array) -> Array:
        """The image in which the contour holds the wanted mean and highest SUV. Raises `BadInputError`."""
        seen, mean_suv = self._on(pattern), self._wanted.mean_suv
        around, lesion, noise, shown = (
            float(values[self._inside].mean()) for values in (self._around, self._lesion, self._noise, seen)
        )

        def image(contrast: float) -> Array:
            base = (mean_suv - around - noise - contrast * shown) / lesion
            expected = np.maximum(self._around + np.float32(base) * self._lesion + np.float32(contrast) * seen, 0)
            root = np.sqrt((expected + SCATTER_SUV) / (self._even + SCATTER_SUV))
            noisy: Array = np.maximum(expected + root * self._noise, 0)
            return noisy

        def highest(contrast: float) -> float:
            return float(image(contrast)[self._inside].max())

        # The base falls as the contrast rises; the coldest place keeps some uptake.
        low, high = 0.0, (mean_suv * (1 - _LOWEST_SHARE * lesion) - around - noise) / shown
        if not highest(low) <= self._wanted.highest_suv <= highest(high):
            raise BadInputError("A lesion of this size cannot have this uptake.", "Use another seed.")
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if highest(middle) < self._wanted.highest_suv else (low, middle)
        return image(high)

    def _on(self, values: Array) -> Array:
        return image_on(values, *self._grids, self._fwhm_mm)
