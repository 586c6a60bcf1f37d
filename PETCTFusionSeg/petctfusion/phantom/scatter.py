"""Lesions anywhere in the body, also inside and beside organs that are hot themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.phantom.lesions import PaintedLesions, paint_at
from petctfusion.phantom.settings import LesionSpec
from petctfusion.phantom.shapes import Point
from petctfusion.phantom.tissues import Label, Tissue
from petctfusion.volumes.geometry import Geometry

_SOFT = (Label.FAT, Label.VISCERAL_FAT, Label.SEPTUM, Label.MUSCLE, Label.BOWEL, Label.CLEAR_FLUID)
_TRIES = 12
"""Places looked at for each lesion wanted, before the phantom is left with fewer."""


@dataclass(frozen=True)
class Region:
    """Where lesions sit: in voxels of `tissues`, or in soft tissue 4 to 18 mm `beside` others.

    `share` of all regions drawn; `largest_mm` limits the diameter.
    """

    name: str
    share: float
    largest_mm: float
    tissues: tuple[Label, ...] = _SOFT
    beside: tuple[Label, ...] = ()
    in_bone: bool = False


REGIONS = (
    Region("liver", 0.13, 55.0, (Label.LIVER,)),
    Region("lung", 0.14, 55.0, (Label.LUNG,)),
    Region("bone", 0.15, 26.0, (Label.MARROW,), in_bone=True),
    Region("node", 0.17, 34.0, (Label.VISCERAL_FAT, Label.SEPTUM)),
    Region("muscle", 0.05, 45.0, (Label.MUSCLE,)),
    Region("subcutaneous", 0.03, 22.0, (Label.FAT,)),
    Region("bowel", 0.05, 45.0, (Label.BOWEL,)),
    Region("stomach", 0.03, 40.0, (Label.STOMACH,)),
    Region("spleen", 0.02, 35.0, (Label.SPLEEN,)),
    Region("gland", 0.03, 24.0, (Label.GLAND,)),
    Region("prostate", 0.02, 22.0, (Label.PROSTATE,)),
    Region("brain", 0.03, 32.0, (Label.GREY_MATTER, Label.WHITE_MATTER)),
    Region("beside bladder or urine", 0.05, 30.0, beside=(Label.URINE,)),
    Region("beside heart", 0.05, 30.0, beside=(Label.MYOCARDIUM,)),
    Region("beside kidney", 0.03, 30.0, beside=(Label.KIDNEY,)),
    Region("beside brain", 0.02, 24.0, beside=(Label.GREY_MATTER,)),
)
_ANYWHERE = Region("soft tissue", 0.0, 30.0)


def scatter_lesions(
    labels: NDArray[np.uint8], grid: Geometry, tissues: dict[Label, Tissue], count: int, seed: int
) -> PaintedLesions:
    """Paint `count` lesions into `labels` in place, in one to four regions; fewer where there is no room for all."""
    return paint_at(labels, grid, _drawn(labels, grid, tissues, count, seed), seed, at_most=count)


def _drawn(
    labels: NDArray[np.uint8], grid: Geometry, tissues: dict[Label, Tissue], count: int, seed: int
) -> Iterator[tuple[Point, LesionSpec]]:
    """More lesions than wanted, as some will find no room."""
    generator = np.random.default_rng([seed, 17])
    shares = np.array([region.share for region in REGIONS])
    chosen = generator.choice(len(REGIONS), size=min(count, 4), p=shares / shares.sum())
    regions = [REGIONS[number] for number in dict.fromkeys(chosen.tolist())]
    places = [(region, flat) for region in regions if len(flat := _voxels(labels, grid, region))]
    places = places or [(_ANYWHERE, _voxels(labels, grid, _ANYWHERE))]
    for attempt in range(count * _TRIES):
        region, flat = places[attempt % len(places)]
        index = np.array(np.unravel_index(int(flat[generator.integers(len(flat))]), labels.shape), dtype=np.float64)
        place = grid.points((index + generator.uniform(-0.5, 0.5, 3))[None, ::-1])[0]
        label = Label(int(labels[tuple(index.astype(int))]))
        yield (float(place[0]), float(place[1]), float(place[2])), _spec(region, tissues.get(label), generator)


def _voxels(labels: NDArray[np.uint8], grid: Geometry, region: Region) -> NDArray[np.int64]:
    """Flat indices of the voxels in which a lesion of the region may be centred."""
    inside = np.isin(labels, [int(one) for one in region.tissues])
    if region.beside:
        far = ~np.isin(labels, [int(one) for one in region.beside])
        distance = ndimage.distance_transform_edt(far, sampling=grid.spacing_zyx)
        inside &= (distance > 4) & (distance < 18)
    return np.flatnonzero(inside)


def _spec(region: Region, background: Tissue | None, generator: np.random.Generator) -> LesionSpec:
    """Size and uptake: log-normal, and bright enough that the point spread leaves something to be seen."""
    diameter = float(np.clip(np.exp(generator.normal(np.log(16.0), 0.5)), 8.0, region.largest_mm))
    around = background.suv_mean if background is not None else 1.0
    recovered = min(1.0, diameter / 22.0)
    suv = max(float(np.clip(np.exp(generator.normal(np.log(6.5), 0.5)), 2.5, 25.0)), 1.4 * around + 1.2 / recovered)
    return LesionSpec(
        region.name,
        round(diameter, 1),
        round(suv, 1),
        necrosis=round(float(generator.uniform(0.05, 0.3)), 2) if diameter > 30 and generator.random() < 0.5 else 0.0,
        irregularity=round(float(generator.uniform(0.08, 0.22)), 2),
        elongation=round(float(generator.uniform(1.0, 1.5)), 2),
        texture=round(float(generator.uniform(0.08, 0.25)), 2),
        in_bone=region.in_bone,
    )
