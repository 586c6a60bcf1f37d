"""The pairs of masks of the benchmarks: shapes for the agreement table, whole bodies for the speed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.labels import resample_labels

BoolArray = NDArray[np.bool_]
Spacing = tuple[float, float, float]
PATIENTS = ("STS_001", "STS_005", "STS_010")
WHOLE_BODY_SHAPE, WHOLE_BODY_SPACING = (326, 400, 400), (3.0, 2.04, 2.04)
WHOLE_BODY_ML = {1: 50.0, 10: 300.0, 50: 2000.0}
"""Volume of all lesions together, by their number."""
OFF_MM = 1.2
"""How far (SD) the prediction's surface is off the reference's."""


@dataclass(frozen=True)
class Pair:
    """Prediction `a` and reference `b` (z, y, x) on one grid, spacing in mm."""

    name: str
    a: BoolArray
    b: BoolArray
    spacing: Spacing


def balls(shape: Sequence[int], spacing: Spacing, *places: tuple[float, ...]) -> BoolArray:
    """A union of balls (z, y, x, radius), all in mm from the first voxel."""
    axes = np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij", sparse=True)
    inside = np.zeros(shape, bool)
    for *centre, radius in places:
        inside |= sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)) <= radius**2
    return inside


def synthetic() -> Iterator[Pair]:
    """One pair for every way in which tools are known to differ."""
    shape, spacing = (80, 128, 128), (3.27, 0.98, 0.98)
    one, two = (130.0, 60.0, 60.0, 25.0), (60.0, 90.0, 90.0, 12.0)
    yield Pair("ball, moved 3 mm", balls(shape, spacing, (130, 63, 60, 25)), balls(shape, spacing, one), spacing)
    yield Pair("one of two lesions missed", balls(shape, spacing, one), balls(shape, spacing, one, two), spacing)
    cut = (0.0, 10.0, 0.0, 22.0), (3.0, 12.0, 0.0, 24.0)
    yield Pair("cut by the image border", *(balls(shape, spacing, place) for place in cut), spacing)
    noise = np.random.default_rng(0)
    common, first, second = (ndimage.gaussian_filter(noise.normal(size=(30, 40, 36)), 4) for _ in range(3))
    yield Pair("smooth random shapes", common + 0.5 * first > 0.02, common + 0.5 * second > 0.02, (2.0, 5.5, 4.07))
    coarse = (5.0, 1.0, 1.0)
    yield Pair("5 x 1 x 1 mm voxels", *(balls((40, 128, 128), coarse, (100, y, 60, 30)) for y in (66.0, 60.0)), coarse)
    first, second = np.zeros((2, 20, 20, 20), bool)
    first[10, 10, 10] = second[10, 10, 13] = True
    yield Pair("single voxels, 3 mm apart", first, second, (1.0, 1.0, 1.0))
    whole = balls((60, 60, 60), (1.0, 1.0, 1.0), (25.0, 25.0, 25.0, 15.0))
    speck = whole.copy()
    speck[55, 55, 55] = True
    yield Pair("one far false voxel", speck, whole, (1.0, 1.0, 1.0))


def patients(root: Path) -> Iterator[Pair]:
    """The PET contour brought to the CT grid, against the CT contour; nothing when `root` holds no patients."""
    for name in PATIENTS:
        if (root / name).is_dir():
            ct, pet = (sitk.ReadImage(str(root / name / f"{kind}_GTV.nii.gz")) for kind in ("CT", "PET"))
            grid = Geometry.of(ct)
            moved = sitk.GetArrayFromImage(resample_labels(pet, grid)) > 0
            yield Pair(f"{name}, PET against CT contour", moved, sitk.GetArrayFromImage(ct) > 0, grid.spacing_zyx)


def edge_cases() -> Iterator[Pair]:
    """Where a definition must say what nothing is."""
    spacing = (1.0, 1.0, 1.0)
    nothing, full = np.zeros((16, 16, 16), bool), np.ones((16, 16, 16), bool)
    ball, voxel = balls((16, 16, 16), spacing, (8.0, 8.0, 8.0, 4.0)), nothing.copy()
    voxel[8, 8, 8] = True
    yield Pair("prediction empty", nothing, ball, spacing)
    yield Pair("reference empty", ball, nothing, spacing)
    yield Pair("both empty", nothing, nothing, spacing)
    yield Pair("identical", ball, ball, spacing)
    yield Pair("the same single voxel", voxel, voxel, spacing)
    yield Pair("the whole image, both", full, full, spacing)


def whole_body(lesions: int, *, in_body: bool, seed: int = 3) -> Pair:
    """Smoothly deformed blobs on a whole-body PET grid, about 10 % of them missed and as many false (none of 1).

    `in_body` keeps them in an ellipse of 420 x 300 mm; without it they lie anywhere in the field of view, which is
    harder for whoever works on the box around all of them. The prediction's surface is off
    by a smooth error of `OFF_MM`.
    """
    rng = np.random.default_rng((seed, lesions))
    truth, prediction = np.zeros((2, *WHOLE_BODY_SHAPE), bool)
    volumes = rng.lognormal(0.0, 0.8, lesions)
    volumes *= WHOLE_BODY_ML[lesions] / volumes.sum()
    odd = round(lesions * 0.1) if lesions > 1 else 0
    # It is the smaller lesions that are missed, and small things that are taken for lesions.
    missed = rng.permutation(np.argsort(volumes)[: lesions // 2])[:odd]
    volumes = np.concatenate([volumes, rng.permutation(volumes[missed])])
    for number, (centre, volume) in enumerate(zip(_places(rng, volumes, in_body), volumes, strict=True)):
        box, right, wrong = _blob(rng, centre, volume)
        if number < lesions:
            truth[box] |= right
        if number not in missed:
            prediction[box] |= wrong
    where = "in the body" if in_body else "anywhere"
    return Pair(f"{lesions} lesion{'s' * (lesions > 1)} {where}", prediction, truth, WHOLE_BODY_SPACING)


def _radius(volume_ml: float) -> float:
    return float(np.cbrt(volume_ml * 3000 / (4 * np.pi)))


def _places(rng: np.random.Generator, volumes_ml: NDArray[np.float64], in_body: bool) -> list[NDArray[np.float64]]:
    """Centres in mm, so that no blob touches another or the border."""
    size = np.multiply(WHOLE_BODY_SHAPE, WHOLE_BODY_SPACING)
    half = np.array([size[0] / 2 - 10, 150.0, 210.0]) if in_body else size / 2
    found: list[NDArray[np.float64]] = []
    radii = [1.5 * _radius(volume) for volume in volumes_ml]
    while len(found) < len(radii):
        radius = radii[len(found)] + 8
        offset = rng.uniform(-1, 1, 3) * (half - radius)
        if in_body and np.sum((offset[1:] / (half[1:] - radius)) ** 2) > 1:
            continue
        centre = size / 2 + offset
        if all(np.linalg.norm(centre - c) > radius + r for c, r in zip(found, radii, strict=False)):
            found.append(centre)
    return found


def _blob(
    rng: np.random.Generator, centre: NDArray[np.float64], volume_ml: float
) -> tuple[tuple[slice, ...], BoolArray, BoolArray]:
    """A box, the lesion in it, and the same lesion as somebody else would contour it."""
    spacing, radius = np.array(WHOLE_BODY_SPACING), _radius(volume_ml)
    low = np.maximum(((centre - 1.5 * radius - 8) / spacing).astype(int), 0)
    high = np.minimum(np.ceil((centre + 1.5 * radius + 8) / spacing).astype(int), WHOLE_BODY_SHAPE)
    axes = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    distance = np.sqrt(sum((axis * s - c) ** 2 for axis, s, c in zip(axes, spacing, centre, strict=True)))
    shape = distance.shape
    edge = distance - _smooth(rng, shape, max(radius / 2, 6.0), min(radius / 6, 5.0))
    count = round(volume_ml * 1000 / spacing.prod())
    edge -= np.partition(edge, count, axis=None)[count]
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True)), edge < 0, edge < _smooth(rng, shape, 6.0, OFF_MM)


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], length_mm: float, size_mm: float) -> NDArray[np.float64]:
    """A random field with a standard deviation of `size_mm`, smooth over `length_mm`."""
    field = ndimage.gaussian_filter(rng.normal(size=shape), length_mm / np.array(WHOLE_BODY_SPACING), mode="wrap")
    return field * (size_mm / field.std())
