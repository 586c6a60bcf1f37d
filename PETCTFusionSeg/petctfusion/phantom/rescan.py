"""A simulated patient who can be scanned again: other resolution, other counts, another breath, the same truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.errors import BadInputError
from petctfusion.phantom.breathing import ct_values, drawn_chest, phases_of
from petctfusion.phantom.lesions import Lesion, paint_lesions
from petctfusion.phantom.phantom import anatomy_of, masks_on, scanner_grid, seen_box, stream_of
from petctfusion.phantom.physics import Array, add_ct_noise, add_pet_noise, image_on
from petctfusion.phantom.settings import PhantomSettings
from petctfusion.phantom.tissues import LIVER_SUV
from petctfusion.volumes.geometry import Geometry

PHASES = 8
FWHM_MM, COUNTS, BREATHING_MM = (2.0, 20.0), (0.01, 100.0), (0.0, 40.0)
"""What a scan can be asked for."""


@dataclass(frozen=True)
class Conditions:
    """How a scan is made: `fwhm_mm` the width of the PET's point spread, `counts` relative to the patient's usual scan
    (the noise's variance goes with 1 / counts), `breathing_mm` how far the diaphragm goes in each breath."""

    fwhm_mm: float = 6.0
    counts: float = 1.0
    breathing_mm: float = 0.0

    def __post_init__(self) -> None:
        limits = {
            "resolution": (self.fwhm_mm, FWHM_MM, "mm"),
            "number of counts": (self.counts, COUNTS, "times the usual one"),
            "breathing": (self.breathing_mm, BREATHING_MM, "mm"),
        }
        for name, (value, (low, high), unit) in limits.items():
            if not low <= value <= high:
                raise BadInputError(f"A {name} of {value:g} is not simulated.", f"Give {low:g} to {high:g} {unit}.")


@dataclass(frozen=True)
class Scan:
    """`ct` int16 HU and `pet` float32 SUVbw, both averaged over the breath; `everywhere`: a uint8 mask on the CT's grid
    of all the places where a lesion is during the breath; `motion_mm`: the longest way of a lesion."""

    ct: sitk.Image
    pet: sitk.Image
    everywhere: sitk.Image
    motion_mm: float
    conditions: Conditions


class RescannedPatient:
    """The drawn patient of some settings; equal settings and conditions give equal voxels.

    At the settings' own resolution, with usual counts and a held breath, the PET is that of `make_phantom`.
    """

    def __init__(self, settings: PhantomSettings) -> None:
        """Raises `BadInputError` for organ maps, scattered lesions, and lesions without a place in the view."""
        if settings.anatomy is not None or settings.scattered:
            raise BadInputError(
                "Only a drawn patient with lesions at named places can be scanned again.",
                "Leave out the organ map and the scattered lesions.",
            )
        self.settings = settings
        grid, labels, self._sites = anatomy_of(settings)
        painted = paint_lesions(labels.copy(), grid, self._sites, settings.chosen_lesions, settings.seed)
        self._chest = drawn_chest(settings, grid, labels, seen_box(settings, grid, painted))
        self.truth: list[Lesion] = painted.table
        self.lesion_ids = self._ct_grid.image(masks_on(painted, grid, self._ct_grid))
        """The lesions' numbers on the CT's grid while the breath is held at the end of exhalation."""
        self._averaged: dict[float, _Average] = {}

    @property
    def reference(self) -> sitk.Image:
        """All lesions while the breath is held, uint8 on the CT's grid."""
        return sitk.Cast(self.lesion_ids != 0, sitk.sitkUInt8)

    @cached_property
    def breathes(self) -> bool:
        """Whether any lesion moves when the patient breathes."""
        return any(self._chest.share_at(self._sites[one.site][2]) > 0 for one in self.truth)

    def scan(self, conditions: Conditions | None = None) -> Scan:
        """Scan the patient; None: as the settings have it. Repeated with the same breath, only the PET is made anew."""
        asked = conditions or Conditions(self.settings.psf_fwhm_mm)
        average, grid = self._average(asked.breathing_mm if self.breathes else 0.0), self._pet_grid
        expected = image_on(average.activity, self._chest.grid, grid, asked.fwhm_mm)
        cov = self.settings.liver_cov / float(np.sqrt(asked.counts))
        pet = add_pet_noise(expected, grid.spacing_zyx, LIVER_SUV, cov, stream_of(self.settings, 15))
        ct, everywhere = self._ct_grid.image(average.ct), self._ct_grid.image(average.everywhere)
        return Scan(ct, grid.image(pet), everywhere, average.motion_mm, asked)

    def _average(self, breathing_mm: float) -> _Average:
        """The latest breath is kept, as resolution and counts do not touch it."""
        if breathing_mm not in self._averaged:
            self._averaged = {breathing_mm: self._breathed(breathing_mm)}
        return self._averaged[breathing_mm]

    def _breathed(self, breathing_mm: float) -> _Average:
        grid, ct_grid = self._chest.grid, self._ct_grid
        phases = PHASES if breathing_mm > 0 else 1
        hounsfield, activity = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
        everywhere = np.zeros(ct_grid.shape, dtype=np.bool_)
        motion = 0.0
        # Breathing in goes through the same places as breathing out.
        half = phases // 2 + 1
        breath = phases_of(self._chest, self._sites, self.settings, phases, breathing_mm)
        for number, phase in enumerate(islice(breath, half)):
            weight = np.float32((1 if number in (0, phases / 2) else 2) / phases)
            hounsfield += phase.hounsfield * weight
            activity += phase.activity * weight
            everywhere |= masks_on(phase.painted, grid, ct_grid) > 0
            motion = max([motion, *(abs(phase.way_mm[one.site]) for one in phase.painted.table)])
        values, noise = ct_values(hounsfield, grid, ct_grid), stream_of(self.settings, 14)
        ct = add_ct_noise(values, ct_grid.spacing_zyx, self.settings.ct_noise_hu, noise)
        return _Average(ct, activity, everywhere.astype(np.uint8), motion)

    @cached_property
    def _ct_grid(self) -> Geometry:
        return scanner_grid(self._chest.view, self.settings.ct_spacing_mm, 0.0)

    @cached_property
    def _pet_grid(self) -> Geometry:
        return scanner_grid(self._chest.view, self.settings.pet_spacing_mm, 0.25)


@dataclass(frozen=True)
class _Average:
    """A patient over one breath: the CT as it is read, the activity on the truth grid."""

    ct: NDArray[np.int16]
    activity: Array
    everywhere: NDArray[np.uint8]
    motion_mm: float
