"""A PET/CT study with known truth: anatomy, lesions and physics put together on two grids."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.phantom.anatomy import Patient, procedural_labels
from petctfusion.phantom.fields import SmoothField
from petctfusion.phantom.grids import axis_aligned, cut_out, slices_over
from petctfusion.phantom.lesions import Lesion, PaintedLesions, paint_lesions, reach_mm
from petctfusion.phantom.organs import organ_body, read_organs
from petctfusion.phantom.physics import CT_AIR_HU, Array, add_ct_noise, add_pet_noise, image_on
from petctfusion.phantom.scatter import scatter_lesions
from petctfusion.phantom.settings import PhantomSettings
from petctfusion.phantom.shapes import Point
from petctfusion.phantom.sites import SITES
from petctfusion.phantom.tissues import LIVER_SUV, TISSUES, Label, Tissue, column, patient_tissues
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.writing import write_volume

Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]
BORDER_MM = 12.0
"""Truth is drawn this far beyond the field of view, so that the point spread has something to draw from."""
CT_FWHM_MM = 1.1
"""In-plane sharpness of a standard soft-tissue kernel."""


@dataclass(frozen=True)
class Phantom:
    """A simulated study: `ct` int16 HU, `pet` float32 SUVbw, `reference` and `reference_pet_grid` uint8 masks of all
    lesions on the two grids, `lesion_ids` their numbers on the CT grid, `organs` the tissue labels
    (`petctfusion.phantom.tissues.Label`) on the truth grid and `truth` one row a lesion."""

    ct: sitk.Image
    pet: sitk.Image
    reference: sitk.Image
    reference_pet_grid: sitk.Image
    lesion_ids: sitk.Image
    organs: sitk.Image
    truth: list[Lesion]
    settings: PhantomSettings


def make_phantom(settings: PhantomSettings | None = None) -> Phantom:
    """Simulate a study; the same settings give the same voxels.

    Raises `BadInputError` when a lesion has no place in the field of view or an organ map cannot be used.
    """
    settings = settings or PhantomSettings()
    grid, labels, sites = anatomy_of(settings)
    tissues = patient_tissues(stream_of(settings, 11), dict(settings.uptake))
    painted = _lesions(settings, grid, labels, sites, tissues)
    view = seen_box(settings, grid, painted)
    ct_grid = scanner_grid(view, settings.ct_spacing_mm, 0.0)
    pet_grid = scanner_grid(view, settings.pet_spacing_mm, 0.25)
    hounsfield = textured(labels, grid, tissues, "hu", stream_of(settings, 12))
    ct_values = image_on(hounsfield - np.float32(CT_AIR_HU), grid, ct_grid, CT_FWHM_MM, True) + np.float32(CT_AIR_HU)
    del hounsfield
    activity = textured(labels, grid, tissues, "suv", stream_of(settings, 13))
    marked = painted.ids > 0
    activity[marked] = painted.uptake[marked]
    seen = _moved(grid, settings.misregistration_mm)
    expected = image_on(activity, seen, pet_grid, settings.psf_fwhm_mm)
    del activity
    ct = add_ct_noise(ct_values, ct_grid.spacing_zyx, settings.ct_noise_hu, stream_of(settings, 14))
    pet = add_pet_noise(expected, pet_grid.spacing_zyx, LIVER_SUV, settings.liver_cov, stream_of(settings, 15))
    ids = masks_on(painted, grid, ct_grid)
    return Phantom(
        ct=ct_grid.image(ct),
        pet=pet_grid.image(pet),
        reference=ct_grid.image((ids > 0).astype(np.uint8)),
        reference_pet_grid=pet_grid.image((masks_on(painted, seen, pet_grid) > 0).astype(np.uint8)),
        lesion_ids=ct_grid.image(ids),
        organs=grid.image(labels),
        truth=painted.table,
        settings=settings,
    )


def write_phantom(phantom: Phantom, folder: Path) -> dict[str, Path]:
    """Write `CT.nii.gz`, `PET.nii.gz`, `REF.nii.gz`, `ORGANS.nii.gz` and `phantom.json`; returns the paths by key."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    images = {"ct": phantom.ct, "pet": phantom.pet, "reference": phantom.reference, "organs": phantom.organs}
    names = {"ct": "CT.nii.gz", "pet": "PET.nii.gz", "reference": "REF.nii.gz", "organs": "ORGANS.nii.gz"}
    paths = {key: folder / name for key, name in names.items()}
    for key, image in images.items():
        write_volume(image, paths[key])
    paths["json"] = folder / "phantom.json"
    paths["json"].write_text(json.dumps(describe(phantom), indent=2) + "\n", encoding="utf-8")
    return paths


def describe(phantom: Phantom) -> dict[str, Any]:
    """Seed, settings, units and truth as plain values."""
    return {
        "simulated": True,
        "pet_units": "SUVbw",
        "seed": phantom.settings.seed,
        "settings": phantom.settings.to_json(),
        "lesions": [one.to_json() for one in phantom.truth],
        "labels": {str(int(label)): TISSUES[label].name for label in Label},
    }


def anatomy_of(settings: PhantomSettings) -> tuple[Geometry, NDArray[np.uint8], dict[str, Point]]:
    """Truth grid, tissue labels and the places (LPS mm) where lesions can sit."""
    if settings.anatomy is not None:
        return organ_body(read_organs(settings.anatomy), settings)
    patient = Patient.draw(stream_of(settings, 10), settings.arms)
    shift = stream_of(settings, 16)
    sites = {}
    for name, point in SITES.items():
        move = shift.normal(0, 2.0, 3)
        sites[name] = patient.world((point[0] + move[0], point[1] + move[1], point[2] + move[2]))
    low, high = _painted_box(settings, patient, sites)
    grid = axis_aligned(low - BORDER_MM, high + BORDER_MM, (settings.fine_spacing_mm,) * 3)
    labels = procedural_labels(grid, patient, settings.seed)
    return grid, labels, {name: point for name, point in sites.items() if _inside(point, low, high)}


def _lesions(
    settings: PhantomSettings,
    grid: Geometry,
    labels: NDArray[np.uint8],
    sites: dict[str, Point],
    tissues: dict[Label, Tissue],
) -> PaintedLesions:
    """Paint what was asked for into `labels`: lesions anywhere, or at places by name."""
    if settings.scattered:
        return scatter_lesions(labels, grid, tissues, settings.scattered, settings.seed)
    specs = settings.chosen_lesions
    if settings.lesions is None and settings.anatomy is not None:
        specs = tuple(one for one in specs if one.site in sites)
    return paint_lesions(labels, grid, sites, specs, settings.seed)


def _moved(grid: Geometry, by_mm: Point) -> Geometry:
    """The grid with its content moved in LPS mm."""
    x, y, z = (origin + step for origin, step in zip(grid.origin, by_mm, strict=True))
    return Geometry(grid.size, grid.spacing, (x, y, z), grid.direction)


def _painted_box(settings: PhantomSettings, patient: Patient, sites: dict[str, Point]) -> Bounds:
    """The world box that must be painted for the field of view."""
    half = 292.0 if settings.arms else 212.0
    if settings.field_of_view == "whole-body":
        return np.array(patient.world((-half, -150, -40))), np.array(patient.world((half, 150, 1150)))
    if not settings.chosen_lesions:
        if settings.field_of_view == "lesion":
            raise BadInputError(
                "A field of view around the lesion needs a lesion.", "Give one, or another field of view."
            )
        side = 1
    else:
        first = settings.chosen_lesions[0]
        if first.site not in sites:
            raise BadInputError(
                f"The phantom has no place called '{first.site}'.", f"Use one of {', '.join(sorted(SITES))}."
            )
        if settings.field_of_view == "lesion":
            reach = reach_mm(first) + settings.margin_mm
            centre = np.array(sites[first.site])
            return centre - reach, centre + reach
        side = 1 if sites[first.site][0] > 0 else -1
    corners = np.array([patient.world((side * 90 - 108, -125, -45)), patient.world((side * 90 + 108, 130, 200))])
    return corners.min(axis=0), corners.max(axis=0)


def _inside(point: Point, low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
    return bool(np.all(np.asarray(point) > low) and np.all(np.asarray(point) < high))


def seen_box(settings: PhantomSettings, grid: Geometry, painted: PaintedLesions) -> Bounds:
    """The box that the scanners see, in LPS mm."""
    corners = grid.corners()
    low, high = corners.min(axis=0) + BORDER_MM, corners.max(axis=0) - BORDER_MM
    if settings.field_of_view != "lesion":
        return low, high
    index = np.argwhere(painted.ids == 1)[:, ::-1]
    first = grid.points(index.min(axis=0)[None] - 0.5)[0] - settings.margin_mm
    last = grid.points(index.max(axis=0)[None] + 0.5)[0] + settings.margin_mm
    return np.maximum(low, first), np.minimum(high, last)


def scanner_grid(view: Bounds, spacing: tuple[float, float, float], shift: float) -> Geometry:
    """A scanner's grid over the view; `shift` of a voxel keeps the PET grid from lining up with the CT grid."""
    low, high = view
    step = np.asarray(spacing)
    return axis_aligned(low + shift * step, high, spacing)


def textured(
    labels: NDArray[np.uint8], grid: Geometry, tissues: dict[Label, Tissue], kind: str, generator: np.random.Generator
) -> Array:
    """HU or SUV of every truth voxel: the tissue's mean with its smooth texture."""
    mean = column(tissues, f"{kind}_mean")
    spread = column(tissues, f"{kind}_texture")
    if kind == "suv":
        spread = spread * mean
    values = SmoothField.draw(generator, 13.0).on(grid, 3)
    values *= spread[labels]
    values += mean[labels]
    return np.maximum(values, 0 if kind == "suv" else CT_AIR_HU)


def masks_on(painted: PaintedLesions, grid: Geometry, target: Geometry) -> NDArray[np.uint8]:
    """Lesion ids of the voxels at least half filled by a lesion."""
    result = np.zeros(target.shape, dtype=np.uint8)
    for number, window in enumerate(ndimage.find_objects(painted.ids), start=1):
        if window is None:
            continue
        source = cut_out(grid, window)
        place = slices_over(target, source)
        if place is None:
            continue
        mask = (painted.ids[window] == number).astype(np.float32)
        filled = image_on(mask, source, cut_out(target, place), 0.0, True)
        result[place][filled >= 0.5] = number
    return result


def stream_of(settings: PhantomSettings, part: int) -> np.random.Generator:
    """The random numbers of one part of the simulation (10 patient, 11 tissues, 12 HU, 13 SUV, 14 CT, 15 PET noise)."""
    return np.random.default_rng([settings.seed, part])
