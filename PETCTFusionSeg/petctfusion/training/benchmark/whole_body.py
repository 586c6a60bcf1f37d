"""Whole-body methods on simulated bodies: lesions found and missed, and whose uptake was wrongly marked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.inference import AnyLoaded, SegmentOptions, segment_study
from petctfusion.metrics import dice, match_lesions, volume_ml
from petctfusion.metrics.matching import f1_score
from petctfusion.phantom.cohort import ORGANS_FILE
from petctfusion.phantom.organ_names import BONE, MUSCLE, ORGAN_NAMES
from petctfusion.training.benchmark.study import phantoms
from petctfusion.training.datasets.reading import read_patient
from petctfusion.volumes import read_mask
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import PET_AIR_SUV, resample_image

RIM, ELSEWHERE = "rim of a lesion", "elsewhere"
PLACES = (*ORGAN_NAMES.values(), RIM, ELSEWHERE)
_RIM_MM = 8.0
"""Two voxels of the cohort: what is too much this near to a lesion is a matter of its outline."""
_SPILL_MM = 8.0
"""About the PET's resolution: an organ's uptake is seen this far outside it."""
_LIVER_SPHERE_MM = 15.0
_LIVER = next(number for number, name in ORGAN_NAMES.items() if name == "liver")


@dataclass(frozen=True)
class Body:
    """One simulated study: volumes by modality, lesions (uint8) and organ numbers (`ORGAN_NAMES`) on the CT grid."""

    patient: str
    volumes: Mapping[str, sitk.Image]
    contour: sitk.Image
    organs: sitk.Image


@dataclass(frozen=True)
class BodyRow:
    """One method on one study, on the CT grid; lesions are 18-connected and found when one voxel is shared.

    `fpv_ml`, `fnv_ml`: volume of marked parts that touch no lesion, and of lesions that nothing touches (autoPET).
    `wrong_ml`: all that is marked outside the lesions, by the organ whose uptake it is (`PLACES`).
    """

    method: str
    patient: str
    dice: float
    tp: int
    fp: int
    fn: int
    fpv_ml: float
    fnv_ml: float
    volume_ml: float
    reference_volume_ml: float
    wrong_ml: Mapping[str, float]
    seconds: float

    @property
    def is_negative(self) -> bool:
        """Whether there is nothing to find."""
        return self.tp + self.fn == 0

    @property
    def lesion_f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return f1_score(self.tp, self.fp, self.fn)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "wrong_ml": dict(self.wrong_ml), "lesion_f1": self.lesion_f1}


def load_bodies(cohort: Path, split: str) -> Iterator[Body]:
    """The phantoms of one part of a cohort made by `petctfusion phantom --cohort`, one at a time.

    Raises `BadInputError` for a folder that is no such cohort, a part without phantoms, and for a damaged phantom.
    """
    for patient in phantoms(cohort, split):
        volumes, contour = read_patient(patient, ("CT", "PET"))
        grid = Geometry.of(volumes["CT"])
        organs = read_mask(patient.volumes["CT"].with_name(ORGANS_FILE))
        for name, image in (("organs", organs), ("lesions", contour)):
            if not Geometry.of(image).same_grid(grid):
                raise BadInputError(f"The {name} of {patient.name} are not on the grid of its CT.", "Make it again.")
        yield Body(patient.name, volumes, contour, organs)


def measure_bodies(
    bodies: Iterable[Body],
    models: Mapping[str, AnyLoaded],
    options: SegmentOptions,
    report: Callable[[BodyRow], None],
) -> list[BodyRow]:
    """Every model and both rules on every body."""
    rows = []
    for body in bodies:
        for name, model in models.items():
            started = time.perf_counter()
            labels = segment_study(body.volumes, model, options).labels
            rows.append(row_of(name, body, labels, time.perf_counter() - started))
            report(rows[-1])
        for name, rule in RULES.items():
            started = time.perf_counter()
            mask = rule(body)
            rows.append(row_of(name, body, mask, time.perf_counter() - started))
    return rows


def row_of(method: str, body: Body, mask: sitk.Image, seconds: float) -> BodyRow:
    """`mask` on the CT grid against the lesions."""
    grid = Geometry.of(body.contour)
    marked, truth = (sitk.GetArrayViewFromImage(image) > 0 for image in (mask, body.contour))
    matching = match_lesions(marked, truth, grid.spacing_zyx, distances=False)
    return BodyRow(
        method=method,
        patient=body.patient,
        dice=dice(marked, truth),
        tp=matching.tp,
        fp=matching.fp,
        fn=matching.fn,
        fpv_ml=matching.fpv_ml,
        fnv_ml=matching.fnv_ml,
        volume_ml=volume_ml(marked, grid.spacing_zyx),
        reference_volume_ml=volume_ml(truth, grid.spacing_zyx),
        wrong_ml=wrongly_marked_ml(marked, truth, sitk.GetArrayViewFromImage(body.organs), grid.spacing_zyx),
        seconds=seconds,
    )


def wrongly_marked_ml(
    marked: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    organs: NDArray[np.uint8],
    spacing_zyx: tuple[float, float, float],
) -> dict[str, float]:
    """ml of `marked` outside `truth` by whose uptake it is (`PLACES`); they add up to all of it. Arrays (z, y, x).

    Within 8 mm of a lesion it is that lesion's rim; else within 8 mm of an organ, or in it, the nearest one's; else it
    lies in bone, in muscle or elsewhere.
    """
    wrong = marked & ~truth
    number_of = {name: number for number, name in enumerate(PLACES)}
    place = np.full(wrong.shape, number_of[ELSEWHERE])
    for tissue in (BONE, MUSCLE):
        place[organs == tissue] = number_of[ORGAN_NAMES[tissue]]
    if wrong.any():
        outside = (organs == 0) | (organs == BONE) | (organs == MUSCLE)
        if not outside.all():
            distance, nearest = ndimage.distance_transform_edt(outside, sampling=spacing_zyx, return_indices=True)
            of_organ = np.zeros(256, dtype=place.dtype)
            for number, name in ORGAN_NAMES.items():
                of_organ[number] = number_of[name]
            near = distance <= _SPILL_MM
            place[near] = of_organ[organs[tuple(nearest)][near]]
        if truth.any():
            place[ndimage.distance_transform_edt(~truth, sampling=spacing_zyx) <= _RIM_MM] = number_of[RIM]
    counts = np.bincount(place[wrong], minlength=len(PLACES))
    voxel_ml = float(np.prod(spacing_zyx)) / 1000.0
    return {name: float(counts[number]) * voxel_ml for name, number in number_of.items()}


def suv_4(body: Body) -> sitk.Image:
    """SUV >= 4 everywhere (uint8, CT grid)."""
    return _above(body, 4.0)


def liver_based(body: Body) -> sitk.Image:
    """Uptake above 1.5 times the liver's mean plus two standard deviations, everywhere (uint8, CT grid).

    The level of PERCIST 1.0 (Wahl et al., J Nucl Med 50 Suppl 1, 2009) from a sphere of 3 cm in the liver, applied to
    voxels instead of the peak. The sphere lies where the liver without its lesions is deepest: the rule is told where,
    as a reader would see it. Raises `BadInputError` for a body without a liver.
    """
    liver = (sitk.GetArrayViewFromImage(body.organs) == _LIVER) & (sitk.GetArrayViewFromImage(body.contour) == 0)
    if not liver.any():
        raise BadInputError(f"{body.patient} shows no liver.", "Make the cohort again.")
    spacing = Geometry.of(body.contour).spacing_zyx
    depth = ndimage.distance_transform_edt(liver, sampling=spacing)
    centre = np.unravel_index(int(np.argmax(depth)), liver.shape)
    axes = [(np.arange(n) - c) * step for n, c, step in zip(liver.shape, centre, spacing, strict=True)]
    z, y, x = np.ix_(*axes)
    suv = _suv(body)[liver & (z**2 + y**2 + x**2 <= _LIVER_SPHERE_MM**2)]
    return _above(body, 1.5 * float(suv.mean()) + 2.0 * float(suv.std()))


RULES: dict[str, Callable[[Body], sitk.Image]] = {
    "SUV >= 4 (whole body)": suv_4,
    "1.5 x liver + 2 SD (whole body)": liver_based,
}


def _above(body: Body, level: float) -> sitk.Image:
    return Geometry.of(body.contour).image((_suv(body) >= level).astype(np.uint8))


def _suv(body: Body) -> NDArray[np.float32]:
    array: NDArray[np.float32] = sitk.GetArrayFromImage(
        resample_image(body.volumes["PET"], Geometry.of(body.contour), PET_AIR_SUV)
    )
    return array
