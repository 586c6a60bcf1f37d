"""One lung tumour that nobody has seen before: its person, its place, its size, how far breathing takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.phantom.anatomy import Patient, procedural_labels
from petctfusion.phantom.breathing import STILL, BreathingPhantom, Chest, breathe, drawn_chest
from petctfusion.phantom.grids import axis_aligned
from petctfusion.phantom.phantom import BORDER_MM, Bounds, stream_of
from petctfusion.phantom.settings import LesionSpec, PhantomSettings
from petctfusion.phantom.shapes import Point
from petctfusion.phantom.tissues import Label

PHASES = 6
VIEW_MM = (168.0, 168.0, 168.0)
"""What the scanners see, (x, y, z): one side of the chest."""
CT_SPACING_MM = (3.5, 3.5, 3.0)
FINE_MM = 2.5
SITE = "lung"
_MOST_MOTION_MM, _MOST_DIAPHRAGM_MM = 25.0, 34.0
_OFF_CENTRE_MM = 38.0
"""The tumour lies this far from the middle of the view at most, along each axis: the view does not tell its place."""
_TRIES = 20
COARSE_MM = 5.0
# Nominal heights of the lower edge and the upper end of the chest that is looked at, half its width, front and back.
_CHEST_MM = ((-170.0, -115.0, 640.0), (170.0, 110.0, 880.0))


@dataclass(frozen=True)
class LungTumour:
    """`motion_mm`: how far the tumour goes between the ends of a breath; `amplitude_mm`: how far the diaphragm does."""

    settings: PhantomSettings
    place: Point
    view: Bounds
    amplitude_mm: float
    motion_mm: float


def draw_tumour(seed: int, whole: Chest, attempt: int = 0) -> LungTumour:
    """A tumour in a lung of `whole` (any grid): 15 to 42 mm, moving by 0 to 25 mm, near the diaphragm as often as far.

    Raises `BadInputError` where no lung is wide enough.
    """
    generator = np.random.default_rng([seed, 90, attempt])
    spec = LesionSpec(
        SITE,
        round(float(np.exp(generator.uniform(np.log(15.0), np.log(42.0)))), 1),
        round(float(np.clip(np.exp(generator.normal(np.log(7.0), 0.4)), 3.0, 16.0)), 1),
        irregularity=round(float(generator.uniform(0.05, 0.2)), 2),
        elongation=round(float(generator.uniform(0.85, 1.25)), 2),
        texture=round(float(generator.uniform(0.08, 0.2)), 2),
    )
    place = _place(whole, spec.diameter_mm / 2, generator)
    share = whole.share_at(place[2])
    amplitude = min(_MOST_MOTION_MM * float(generator.uniform()) / max(share, 1e-3), _MOST_DIAPHRAGM_MM)
    settings = PhantomSettings(
        seed=seed,
        arms=False,
        ct_spacing_mm=CT_SPACING_MM,
        psf_fwhm_mm=round(float(generator.uniform(4.8, 7.0)), 1),
        liver_cov=round(float(generator.uniform(0.07, 0.14)), 2),
        lesions=(spec,),
    )
    middle = np.asarray(place) + generator.uniform(-_OFF_CENTRE_MM, _OFF_CENTRE_MM, 3)
    middle[2] -= amplitude * share / 2
    half = np.asarray(VIEW_MM) / 2
    return LungTumour(settings, place, (middle - half, middle + half), amplitude, amplitude * share)


def breathing_tumour(
    seed: int, whole: Chest, around: Callable[[LungTumour], Chest], still: bool
) -> tuple[LungTumour, BreathingPhantom]:
    """A tumour and its scans; `around` gives the chest finely about its view, `still` holds its breath.

    Raises `BadInputError` when no tumour finds room.
    """
    for attempt in range(_TRIES):
        tumour = draw_tumour(seed, whole, attempt)
        phases, amplitude = (1, 0.0) if still else (PHASES, tumour.amplitude_mm)
        try:
            return tumour, breathe(around(tumour), {SITE: tumour.place}, tumour.settings, phases, amplitude)
        except BadInputError:
            continue
    raise BadInputError(f"No tumour of seed {seed} found room in the lung.", "Choose another seed.")


def drawn_person(seed: int) -> Chest:
    """The chest of the drawn person of this seed, coarsely."""
    settings = PhantomSettings(seed=seed, arms=False)
    patient = Patient.draw(stream_of(settings, 10), settings.arms)
    low, high = (np.asarray(patient.world(corner)) for corner in _CHEST_MM)
    return _drawn(settings, (low, high), COARSE_MM)


def drawn_around(tumour: LungTumour) -> Chest:
    """The same person about the tumour's view, finely."""
    return _drawn(tumour.settings, tumour.view, FINE_MM)


def _drawn(settings: PhantomSettings, view: Bounds, spacing_mm: float) -> Chest:
    grid = axis_aligned(view[0] - BORDER_MM, view[1] + BORDER_MM, (spacing_mm,) * 3)
    patient = Patient.draw(stream_of(settings, 10), settings.arms)
    return drawn_chest(settings, grid, procedural_labels(grid, patient, settings.seed), view)


def _place(chest: Chest, radius_mm: float, generator: np.random.Generator) -> Point:
    """A point of the lung that leaves the tumour room between ribs and muscles; each height as likely as any other."""
    grid = chest.grid
    # Beyond the grid there may be a wall.
    movable = np.pad(~np.isin(chest.labels, [int(one) for one in STILL]), 1)
    depth = ndimage.distance_transform_edt(movable, sampling=grid.spacing_zyx)[1:-1, 1:-1, 1:-1]
    roomy = (chest.labels == int(Label.LUNG)) & (depth >= 0.8 * radius_mm)
    heights = np.flatnonzero(roomy.any(axis=(1, 2)))
    if not heights.size:
        raise BadInputError(f"No lung has room for a tumour of {2 * radius_mm:g} mm.", "Choose another seed.")
    z = int(generator.choice(heights))
    y, x = (float(value) for value in generator.choice(np.argwhere(roomy[z])))
    point = grid.points(np.array([[x, y, float(z)]]))[0]
    return float(point[0]), float(point[1]), float(point[2])
