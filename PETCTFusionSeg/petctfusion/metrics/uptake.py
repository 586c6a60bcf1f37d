"""SUVmax, SUVmean and SUVpeak of lesions, read at the voxels of the PET itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.metrics.components import Components
from petctfusion.metrics.masks import BoolArray
from petctfusion.metrics.runs import IndexArray
from petctfusion.volumes.box import Box
from petctfusion.volumes.geometry import Geometry

PEAK_RADIUS_MM = (3000.0 / (4.0 * math.pi)) ** (1.0 / 3.0)
"""Of a sphere of 1 ml: 6.204 mm."""
_SLAB = 1 << 20


@dataclass(frozen=True)
class Uptake:
    """SUV of one lesion; all None without a PET, or where the PET does not reach.

    `suv_peak` is the mean over a sphere of 1 ml, placed where that mean is highest among the spheres centred on a PET
    voxel of the lesion (Wahl et al., From RECIST to PERCIST, J Nucl Med 50 Suppl 1, 2009; "global intensity peak" of
    the IBSI). The sphere holds the PET voxels whose centres are within 6.204 mm of its centre; it may reach beyond
    the lesion, and the part of it beyond the image border is left out of the mean.
    """

    suv_max: float | None = None
    suv_mean: float | None = None
    suv_peak: float | None = None


def lesion_uptake(lesions: Components, grid: Geometry, suv: sitk.Image) -> list[Uptake]:
    """The uptake of every lesion on `grid`, in order; `suv` is a 3-D PET in SUVbw on any grid.

    Read at the PET voxels whose centres lie in the lesion. A lesion that holds no PET voxel centre is read by linear
    interpolation at the centres of its own voxels, and its spheres are centred on the PET voxels these lie in.
    Raises `BadInputError` when the PET is not a 3-D volume or holds NaN or infinity in a lesion.
    """
    if suv.GetDimension() != 3 or suv.GetNumberOfComponentsPerPixel() != 1:
        raise BadInputError("The PET is not a 3-D volume with one value per voxel.", "Give one PET volume in SUVbw.")
    pet, values = Geometry.of(suv), sitk.GetArrayViewFromImage(suv)
    same = grid.same_grid(pet)
    found = []
    for k in range(lesions.count):
        inside = lesions.voxels(k) if same else _pet_voxels(lesions, k, grid, pet)
        read = values.ravel()[inside].astype(np.float64)
        centres = inside
        if not inside.size:
            read, centres = _interpolated(lesions.index(k), grid, values, pet)
        found.append(_of_values(lesions.ids[k], read, suv_peak(values, centres, pet.spacing_zyx)))
    return found


def suv_peak(values: NDArray[Any], centres: IndexArray, spacing_mm: Sequence[float]) -> float | None:
    """The highest mean of a 1 ml sphere centred on one of the voxels `centres` (flat, C order); None without any.

    `values` is the whole PET (z, y, x), `spacing_mm` in array order. Definition and borders: `Uptake`. Voxels that hold
    NaN or infinity are left out of the means.
    """
    if not centres.size:
        return None
    z, y, x = np.unravel_index(np.sort(centres), values.shape)
    depth = max(1, _SLAB // int((np.ptp(y) + 1) * (np.ptp(x) + 1)))
    peaks = []
    # In slabs: the sums of a lesion as large as a body would otherwise need gigabytes.
    for low in range(int(z[0]), int(z[-1]) + 1, depth):
        part = slice(*np.searchsorted(z, (low, low + depth)))
        if part.stop > part.start:
            peaks.append(_highest_mean(values, (z[part], y[part], x[part]), spacing_mm))
    return max(peaks)


def sphere_chords(spacing_mm: Sequence[float], radius_mm: float = PEAK_RADIUS_MM) -> list[tuple[int, int, int]]:
    """The sphere as rows: voxels (dz, dy, -h ... h) have their centres within `radius_mm`; spacing (z, y, x) in mm."""
    sz, sy, sx = spacing_mm
    chords = []
    for dz in range(-int(radius_mm / sz), int(radius_mm / sz) + 1):
        for dy in range(-int(radius_mm / sy), int(radius_mm / sy) + 1):
            left = radius_mm**2 - (dz * sz) ** 2 - (dy * sy) ** 2
            if left >= 0:
                chords.append((dz, dy, int(math.sqrt(left) / sx)))
    return chords


def part_of(geometry: Geometry, box: Box) -> Geometry:
    """The grid of the voxels in `box` (slices in array order)."""
    first = np.array([[axis.start for axis in reversed(box)]], dtype=np.float64)
    x, y, z = (float(v) for v in geometry.points(first)[0])
    columns, rows, slices = (int(axis.stop - axis.start) for axis in reversed(box))
    return Geometry((columns, rows, slices), geometry.spacing, (x, y, z), geometry.direction)


def _of_values(lesion: int, read: NDArray[np.float64], peak: float | None) -> Uptake:
    if not read.size:
        return Uptake()
    if not np.isfinite(read).all():
        raise BadInputError(
            f"The PET holds NaN or infinity in lesion {lesion}.", "Check that the PET was converted to SUV completely."
        )
    return Uptake(float(read.max()), float(read.mean()), peak)


def _pet_voxels(lesions: Components, k: int, grid: Geometry, pet: Geometry) -> IndexArray:
    """Flat indices of the PET voxels whose centres lie in lesion `k`."""
    own = part_of(grid, lesions.boxes[k])
    box = _box_around(own, pet)
    if box is None:
        return np.empty(0, dtype=np.intp)
    near, mask = part_of(pet, box), lesions.drawn([k], lesions.boxes[k])
    # Not sitk.Resample: its threads cost 1 ms a lesion, and 8 ms on a busy machine, whatever the size of the lesion.
    depth = max(1, _SLAB // (near.size[0] * near.size[1]))
    found = []
    for first in range(0, near.size[2], depth):
        z, y, x = np.nonzero(_sampled(mask, own, near, range(first, min(first + depth, near.size[2]))))
        place = (z + (first + box[0].start), y + box[1].start, x + box[2].start)
        found.append(np.ravel_multi_index(place, pet.shape))
    return np.concatenate(found)


def _sampled(mask: BoolArray, own: Geometry, near: Geometry, slices: range) -> BoolArray:
    """`mask`, which lies on `own`, at the voxel centres of some slices of `near` (nearest voxel; False beyond it)."""
    origin_and_steps = own.indices(near.points(np.vstack([np.zeros(3), np.eye(3)])))
    start, steps = origin_and_steps[0], origin_and_steps[1:] - origin_and_steps[0]
    counters = np.ogrid[slices.start : slices.stop, : near.size[1], : near.size[0]][::-1]
    place, there = [], np.ones((len(slices), near.size[1], near.size[0]), dtype=np.bool_)
    for axis, size in enumerate(own.size):
        index = np.full((1, 1, 1), start[axis])
        for counter, step, length in zip(counters, steps[:, axis], near.size, strict=True):
            # Between parallel grids an index depends on one counter alone: rows instead of volumes.
            if abs(step) * length > 1e-6:
                index = index + counter * step
        # A centre on the face between two voxels belongs to the later one, whatever the rounding.
        nearest = np.floor(index + (0.5 + 1e-9)).astype(np.intp)
        there &= (nearest >= 0) & (nearest < size)
        place.append(np.clip(nearest, 0, size - 1))
    there &= mask[tuple(place[::-1])]
    return there


def _box_around(geometry: Geometry, pet: Geometry) -> Box | None:
    """The PET voxels (slices in array order) whose centres may lie in the grid `geometry`; None when there are none."""
    corners = pet.indices(geometry.corners())
    low = np.clip(np.floor(corners.min(axis=0)), 0, pet.size).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, pet.size).astype(int)
    if np.any(high <= low):
        return None
    return tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))


def _interpolated(
    lesion: IndexArray, geometry: Geometry, values: NDArray[Any], pet: Geometry
) -> tuple[NDArray[np.float64], IndexArray]:
    """The linearly interpolated PET at the voxel centres of a lesion, and the PET voxels in which these lie."""
    points = pet.indices(geometry.points(lesion[:, ::-1].astype(np.float64)))
    points = points[np.all((points >= -0.5) & (points <= np.asarray(pet.size) - 0.5), axis=1)]
    read = ndimage.map_coordinates(values, points[:, ::-1].T, output=np.float64, order=1, mode="nearest")
    nearest = np.clip(np.floor(points + 0.5).astype(np.intp), 0, np.asarray(pet.size) - 1)
    return read, np.unique(np.ravel_multi_index(tuple(nearest[:, ::-1].T), pet.shape))


def _highest_mean(values: NDArray[Any], centres: tuple[IndexArray, ...], spacing_mm: Sequence[float]) -> float:
    chords = sphere_chords(spacing_mm)
    reach = np.max(chords, axis=0)
    low = [int(axis.min()) - int(r) for axis, r in zip(centres, reach, strict=True)]
    high = [int(axis.max()) + int(r) + 1 for axis, r in zip(centres, reach, strict=True)]
    inner = tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(low, high, values.shape, strict=True))
    around = np.zeros([b - a for a, b in zip(low, high, strict=True)])
    there = np.zeros(around.shape, dtype=np.bool_)
    place = tuple(slice(axis.start - a, axis.stop - a) for axis, a in zip(inner, low, strict=True))
    around[place] = values[inner]
    there[place] = np.isfinite(around[place])
    at = np.ravel_multi_index([axis - a for axis, a in zip(centres, low, strict=True)], around.shape)
    if there.all():
        return float(_sphere_sums(around, at, chords).max()) / sum(2 * h + 1 for _, _, h in chords)
    around[~there] = 0.0
    counts = _sphere_sums(there.astype(np.float64), at, chords)
    means = _sphere_sums(around, at, chords)[counts > 0] / counts[counts > 0]
    return float(means.max(initial=-np.inf))


def _sphere_sums(
    around: NDArray[np.float64], at: IndexArray, chords: list[tuple[int, int, int]]
) -> NDArray[np.float64]:
    """Sum over the sphere around each voxel `at` (flat); `around` holds every sphere.

    Row by row of the sphere, from sums over 1, 3, 5 ... voxels along x: about 30 reads per voxel instead of 80 for a
    PET of 3 x 2 x 2 mm.
    """
    rows, columns = around.shape[1:]
    row_sum, sums = around.ravel().copy(), np.zeros(at.size)
    for half in range(max(h for _, _, h in chords) + 1):
        if half:
            row_sum[half:-half] += around.ravel()[2 * half :] + around.ravel()[: -2 * half]
        for dz, dy, h in chords:
            if h == half:
                sums += row_sum[at + (dz * rows + dy) * columns]
    return sums
