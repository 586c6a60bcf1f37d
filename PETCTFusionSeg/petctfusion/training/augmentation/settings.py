"""What is changed at random in a training patch: the table [augmentation] of a recipe."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from petctfusion.errors import BadInputError
from petctfusion.training.settings import did_you_mean

AXES = ("z", "y", "x")


@dataclass(frozen=True)
class Augmentation:
    """Units are in the names; "probability" is a patch's chance, a pair the range a value is drawn from.

    Field of view: random margins around the contour (`margin_mm`), none at all (`uncropped_probability`), or a border
    through the contour (`cut_through_probability`); `foreground_probability` centres a patch near a contour voxel: any
    of them, or with `lesions_alike` one of a lesion, large and small ones alike.

    Geometry: mirrored or not along `flip_axes`; turned about every axis by up to `rotation_deg`; `zoom`; bent by a
    field of 5 x 5 x 5 knots with standard deviation `elastic_mm`.

    Misregistration: every modality but `contour_modality` (None: the first) is shifted along and turned about every
    axis by normal deviates whose standard deviations are half of `misregistration_mm` and `misregistration_deg`.

    CT: `ct_shift_hu` is a standard deviation, the noise has one between 0 and `ct_noise_hu`. PET: all SUV times a
    log-normal factor (`suv_scale_sd`); noise with a standard deviation between 0 and `pet_noise` at 1 SUV, growing with
    its square root, in grains of `pet_noise_fwhm_mm` (0: a voxel); blurred by a Gaussian with a full width at half
    maximum from `pet_blur_fwhm_mm` (None: the mean of 3 x 3 x 3 voxels).

    `gamma` bends the grey values of the body, of CT and of PET each, and keeps their mean and deviation; what it
    changes is what a learnable zero layer learns, so it is off unless asked for. Modality dropout takes one of the
    modalities away that the network can do without. Raises `BadInputError` for a value that makes no sense.
    """

    margin_mm: tuple[float, float] = (3.0, 50.0)
    uncropped_probability: float = 0.25
    cut_through_probability: float = 0.15
    foreground_probability: float = 0.6
    lesions_alike: bool = False
    flip_axes: tuple[str, ...] = AXES
    rotation_deg: float = 20.0
    zoom: tuple[float, float] = (0.8, 1.25)
    elastic_mm: float = 6.0
    elastic_probability: float = 0.3
    contour_modality: str | None = None
    misregistration_probability: float = 1.0
    misregistration_mm: float = 2.0
    misregistration_deg: float = 0.0
    ct_shift_hu: float = 15.0
    ct_noise_hu: float = 15.0
    suv_scale_sd: float = 0.12
    pet_noise: float = 0.08
    pet_noise_fwhm_mm: float = 0.0
    pet_blur_probability: float = 0.25
    pet_blur_fwhm_mm: tuple[float, float] | None = None
    gamma_probability: float = 0.0
    gamma: tuple[float, float] = (0.7, 1.5)
    modality_dropout_probability: float = 0.0

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if isinstance(value, float):
                highest = 1.0 if f.name.endswith("probability") else math.inf
                self._require(0.0 <= value <= highest and math.isfinite(value), f.name, f"from 0 to {highest:g}")
            elif isinstance(value, tuple) and f.name != "flip_axes":
                lowest = 0.0 if f.name.endswith("_mm") else 0.01
                fits = lowest <= value[0] <= value[1] < math.inf
                self._require(fits, f.name, f"a range whose lower end is at least {lowest:g}")
        unknown = [axis for axis in self.flip_axes if axis not in AXES]
        if unknown:
            raise BadInputError(f"flip_axes names {unknown[0]!r}, which is no axis.", did_you_mean(unknown[0], AXES))

    def _require(self, fits: bool, name: str, wanted: str) -> None:
        if not fits:
            raise BadInputError(f"{name} = {getattr(self, name)!r} must be {wanted}.", "Correct [augmentation].")
