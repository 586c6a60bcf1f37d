"""A breathing chest with known truth: a CT for every phase, one PET blurred over all of them, a contour a phase.

The drawn body is the end of exhalation. Inside the rib cage tissue moves along the body: as far as the diaphragm at its
height, less above it, not at all at the lung tips and in the pelvis; bones, muscles and skin stay. Lesions move as
wholes. The time course is that of Lujan et al., Med Phys 1999 (26:715): longer near the end of exhalation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.phantom.anatomy import Patient
from petctfusion.phantom.fields import axis_points
from petctfusion.phantom.lesions import PaintedLesions, paint_lesions
from petctfusion.phantom.phantom import (
    CT_FWHM_MM,
    Bounds,
    anatomy_of,
    masks_on,
    scanner_grid,
    seen_box,
    stream_of,
    textured,
)
from petctfusion.phantom.physics import CT_AIR_HU, Array, add_ct_noise, add_pet_noise, image_on
from petctfusion.phantom.settings import LesionSpec, PhantomSettings
from petctfusion.phantom.shapes import Point
from petctfusion.phantom.tissues import LIVER_SUV, TISSUES, Label, patient_tissues
from petctfusion.volumes.geometry import Geometry

LUNG_TUMOUR = PhantomSettings(
    seed=5,
    field_of_view="lesion",
    margin_mm=115.0,
    ct_spacing_mm=(2.0, 2.0, 3.0),
    fine_mm=2.5,
    lesions=(LesionSpec("lung-right", 32.0, 9.0),),
)
_HEIGHTS_MM, _SHARES = (330.0, 640.0, 704.0, 885.0), (0.0, 0.85, 1.0, 0.0)
"""Nominal heights of pelvis, lower liver edge, diaphragm and lung tips, and how much of its way tissue there goes."""
_POWER = 4
_SEAM_MM = 5.0
"""Over this standard deviation the motion fades where the moving organs meet the wall."""
STILL = (
    Label.AIR, Label.SKIN, Label.FAT, Label.MUSCLE, Label.SEPTUM, Label.CORTICAL_BONE, Label.MARROW,
    Label.YELLOW_MARROW, Label.CARTILAGE, Label.SPINAL_CORD,
)  # fmt: skip


@dataclass(frozen=True)
class BreathingPhantom:
    """`cts` int16 HU and `references` uint8 masks of all lesions, one a phase on one grid; `pet` float32 SUVbw of all
    phases together; `igtv` the union of the references; `displacements_mm` how far the lesions of each phase lie from
    their places in phase 0, (lesion, (x, y, z)) in LPS mm."""

    cts: tuple[sitk.Image, ...]
    pet: sitk.Image
    references: tuple[sitk.Image, ...]
    igtv: sitk.Image
    displacements_mm: tuple[tuple[Point, ...], ...]

    @property
    def percents(self) -> tuple[int, ...]:
        """The phases as percent of a breath; 0 is the end of exhalation."""
        return tuple(round(100 * number / len(self.cts)) for number in range(len(self.cts)))


@dataclass(frozen=True)
class Chest:
    """A chest that holds its breath at the end of exhalation, without lesions.

    Tissue `labels`, `hounsfield` and `activity` (SUVbw) on one axis-aligned grid; `heights_mm` of pelvis, lower liver
    edge, diaphragm and lung tips in the world; `view`: the corners of what the scanners see, LPS mm.
    """

    grid: Geometry
    labels: NDArray[np.uint8]
    hounsfield: Array
    activity: Array
    heights_mm: tuple[float, ...]
    view: Bounds

    def share_at(self, height_mm: float) -> float:
        """How much of the diaphragm's way what lies in the lung at this height goes, 0 to 1."""
        return float(np.interp(height_mm, self.heights_mm, _SHARES))


def make_breathing(
    settings: PhantomSettings = LUNG_TUMOUR, phases: int = 10, amplitude_mm: float = 20.0
) -> BreathingPhantom:
    """Simulate a breath of `phases` phases in which the diaphragm goes `amplitude_mm` towards the feet.

    Equal arguments give equal voxels. Raises `BadInputError` for fewer than two phases, an amplitude that is negative
    or beyond 40 mm, organ maps and scattered lesions, and lesions without a place in the field of view.
    """
    _check(settings, phases, amplitude_mm)
    grid, still, sites = anatomy_of(settings)
    first = paint_lesions(still.copy(), grid, sites, settings.chosen_lesions, settings.seed)
    chest = drawn_chest(settings, grid, still, seen_box(settings, grid, first))
    return breathe(chest, sites, settings, phases, amplitude_mm)


def drawn_chest(settings: PhantomSettings, grid: Geometry, labels: NDArray[np.uint8], view: Bounds) -> Chest:
    """The drawn body of `settings` with the textures and uptake of its tissues."""
    tissues = patient_tissues(stream_of(settings, 11), dict(settings.uptake))
    patient = Patient.draw(stream_of(settings, 10), settings.arms)
    return Chest(
        grid,
        labels,
        textured(labels, grid, tissues, "hu", stream_of(settings, 12)),
        textured(labels, grid, tissues, "suv", stream_of(settings, 13)),
        tuple(patient.world((0.0, 0.0, height))[2] for height in _HEIGHTS_MM),
        view,
    )


def breathe(
    chest: Chest, sites: dict[str, Point], settings: PhantomSettings, phases: int, amplitude_mm: float
) -> BreathingPhantom:
    """`chest` with the lesions of `settings` at their `sites` (LPS mm at the end of exhalation); one phase is a still.

    Of `settings` count the seed, lesions, spacings and noise. Raises `BadInputError` for a lesion without room.
    """
    grid = chest.grid
    ct_grid = scanner_grid(chest.view, settings.ct_spacing_mm, 0.0)
    pet_grid = scanner_grid(chest.view, settings.pet_spacing_mm, 0.25)
    cts, masks, ways = [], [], []
    taken_up = np.zeros(grid.shape, dtype=np.float32)
    for number, phase in enumerate(phases_of(chest, sites, settings, phases, amplitude_mm)):
        values = ct_values(phase.hounsfield, grid, ct_grid)
        noise = np.random.default_rng([settings.seed, 14, number])
        cts.append(ct_grid.image(add_ct_noise(values, ct_grid.spacing_zyx, settings.ct_noise_hu, noise)))
        masks.append(masks_on(phase.painted, grid, ct_grid) > 0)
        ways.append(tuple((0.0, 0.0, phase.way_mm[one.site]) for one in phase.painted.table))
        taken_up += phase.activity / np.float32(phases)
    expected = image_on(taken_up, grid, pet_grid, settings.psf_fwhm_mm)
    pet = add_pet_noise(expected, pet_grid.spacing_zyx, LIVER_SUV, settings.liver_cov, stream_of(settings, 15))
    return BreathingPhantom(
        cts=tuple(cts),
        pet=pet_grid.image(pet),
        references=tuple(ct_grid.image(mask.astype(np.uint8)) for mask in masks),
        igtv=ct_grid.image(np.any(masks, axis=0).astype(np.uint8)),
        displacements_mm=tuple(ways),
    )


@dataclass(frozen=True)
class Phase:
    """What is there in one phase of a breath, on the chest's grid: HU and SUVbw with the lesions, and the lesions;
    `way_mm`: how far each site lies from its place in phase 0, along z."""

    hounsfield: Array
    activity: Array
    painted: PaintedLesions
    way_mm: dict[str, float]


def phases_of(
    chest: Chest, sites: dict[str, Point], settings: PhantomSettings, phases: int, amplitude_mm: float
) -> Iterator[Phase]:
    """The phases of a breath, one after the other; see `breathe`."""
    share = _share_of_motion(chest)
    for number in range(phases):
        depth = amplitude_mm * float(np.sin(np.pi * number / phases) ** _POWER)
        moved = _Moved(share * np.float32(depth / chest.grid.spacing[2]))
        way = {name: -depth * chest.share_at(point[2]) for name, point in sites.items()}
        places = {name: (x, y, z + way[name]) for name, (x, y, z) in sites.items()}
        labels = moved.labels(chest.labels)
        painted = paint_lesions(labels, chest.grid, places, settings.chosen_lesions, settings.seed)
        marked = painted.ids > 0
        hounsfield, activity = moved.values(chest.hounsfield), moved.values(chest.activity)
        hounsfield[marked] = TISSUES[Label.LESION].hu_mean
        activity[marked] = painted.uptake[marked]
        yield Phase(hounsfield, activity, painted, way)


class _Moved:
    """What lies at each voxel after tissue went `steps` voxels (z, y, x) towards the feet."""

    def __init__(self, steps: Array) -> None:
        source = np.arange(steps.shape[0], dtype=np.float32)[:, None, None] + steps
        np.clip(source, 0, steps.shape[0] - 1, out=source)
        self._below = np.floor(source).astype(np.intp)
        self._part = source - self._below

    def labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A label map, nearest neighbour."""
        nearest = self._below + (self._part >= 0.5)
        return np.take_along_axis(labels, nearest, axis=0)

    def values(self, values: Array) -> Array:
        """Values, linear between the voxels of a column."""
        low = np.take_along_axis(values, self._below, axis=0)
        high = np.take_along_axis(values, np.minimum(self._below + 1, len(values) - 1), axis=0)
        return np.asarray(low + self._part * (high - low), dtype=np.float32)


def ct_values(hounsfield: Array, grid: Geometry, ct_grid: Geometry) -> Array:
    """HU as the CT reads them on its grid, without noise; air beyond `grid`."""
    values = image_on(hounsfield - np.float32(CT_AIR_HU), grid, ct_grid, CT_FWHM_MM, True)
    values += np.float32(CT_AIR_HU)
    return values


def _share_of_motion(chest: Chest) -> Array:
    """How much of the diaphragm's way each voxel of the still body goes, 0 to 1."""
    grid = chest.grid
    along = np.interp(axis_points(grid)[0], chest.heights_mm, _SHARES).astype(np.float32)
    free = ~np.isin(chest.labels, [int(one) for one in STILL])
    # Slice by slice, as tissue moves along the body only: a mixed neighbour above would let the wall move.
    sigmas = (0.0, _SEAM_MM / grid.spacing[1], _SEAM_MM / grid.spacing[0])
    soft = ndimage.gaussian_filter(free.astype(np.float32), sigmas)
    soft[~free] = 0
    return np.asarray(np.clip(2 * soft - 1, 0, 1) * along[:, None, None], dtype=np.float32)


def _check(settings: PhantomSettings, phases: int, amplitude_mm: float) -> None:
    if phases < 2:
        raise BadInputError(f"A breath of {phases} phases is none.", "Give two or more.")
    if not 0 <= amplitude_mm <= 40:
        raise BadInputError(f"A diaphragm does not go {amplitude_mm:g} mm.", "Give 0 to 40 mm.")
    if settings.anatomy is not None or settings.scattered:
        raise BadInputError(
            "Breathing is simulated in the drawn body with lesions at named places.",
            "Leave out the organ map and the scattered lesions.",
        )
