"""The single lesions of a mask: connected components with their volume, uptake and place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.metrics.masks import Box, as_mask, bounding_box
from petctfusion.volumes.geometry import Geometry

_NEIGHBOURS = {6: 1, 18: 2, 26: 3}


@dataclass(frozen=True)
class Lesion:
    """One connected component. `suv_max` and `suv_mean` are None without a PET, or where the PET does not reach."""

    id: int
    volume_ml: float
    suv_max: float | None
    suv_mean: float | None
    centre_mm: tuple[float, float, float]
    """Mean of the voxel centres, LPS."""

    def to_json(self) -> dict[str, Any]:
        """Plain values under the names of the fields."""
        return {**asdict(self), "centre_mm": list(self.centre_mm)}


def label_lesions(mask: NDArray[Any], connectivity: int = 18) -> tuple[NDArray[np.int32], int]:
    """Components of a 3-D mask (z, y, x) numbered from 1, largest first, and how many there are.

    `connectivity` is 6, 18 (as in the autoPET scripts) or 26. Components of one size keep their order in the array.
    """
    if connectivity not in _NEIGHBOURS:
        raise BadInputError(f"There is no {connectivity}-connectivity in 3-D.", "Choose 6, 18 or 26.")
    inside = as_mask(mask)
    labels = np.zeros(inside.shape, dtype=np.int32)
    box = bounding_box(inside)
    if box is None:
        return labels, 0
    part = inside[box]
    found, count = ndimage.label(part, structure=ndimage.generate_binary_structure(3, _NEIGHBOURS[connectivity]))
    # Whole-body boxes are nearly all background: sizes and numbers are worked out on the mask's voxels alone.
    voxels = np.nonzero(part)
    components = found[voxels]
    sizes = np.bincount(components, minlength=count + 1)[1:]
    rank = np.zeros(count + 1, dtype=np.int32)
    rank[1 + np.argsort(-sizes, kind="stable")] = np.arange(1, count + 1, dtype=np.int32)
    labels[box][voxels] = rank[components]
    return labels, int(count)


def lesion_table(mask: sitk.Image, suv: sitk.Image | None, connectivity: int = 18) -> list[Lesion]:
    """The lesions of `mask` (non-zero voxels, 3-D), largest first.

    The uptake is read from `suv` (SUVbw, any grid) at the PET voxels whose centres lie in the lesion, so that `suv_max`
    is a value of the PET itself; a lesion that holds no PET voxel centre is read by linear interpolation at the centres
    of its own voxels.
    """
    whole = Geometry.of(mask)
    inside = as_mask(sitk.GetArrayViewFromImage(mask))
    box = bounding_box(inside)
    if box is None:
        return []
    geometry = _part_of(whole, box)
    labels, count = label_lesions(inside[box], connectivity)
    voxels = _voxels_by_label(labels, count)
    uptake = _uptake(labels, voxels, geometry, suv) if suv is not None else [(None, None)] * count
    return [
        Lesion(number, len(index) * geometry.voxel_ml, *uptake[number - 1], centre_mm=_centre(index, geometry))
        for number, index in enumerate(voxels, start=1)
    ]


def _part_of(geometry: Geometry, box: Box) -> Geometry:
    """The grid of the voxels in `box` (slices in array order)."""
    first = np.array([[axis.start for axis in reversed(box)]], dtype=np.float64)
    x, y, z = (float(v) for v in geometry.points(first)[0])
    columns, rows, slices = (int(axis.stop - axis.start) for axis in reversed(box))
    return Geometry((columns, rows, slices), geometry.spacing, (x, y, z), geometry.direction)


def _voxels_by_label(labels: NDArray[np.int32], count: int) -> list[NDArray[np.intp]]:
    """Array indices (N, 3) of the voxels of label 1, 2, ... `count`; empty where a label has none."""
    places = np.nonzero(labels)
    of = labels[places]
    ordered = np.stack(places, axis=1)[np.argsort(of, kind="stable")]
    return np.split(ordered, np.cumsum(np.bincount(of, minlength=count + 1)[1:])[:-1])


def _centre(index: NDArray[np.intp], geometry: Geometry) -> tuple[float, float, float]:
    x, y, z = geometry.points(index.mean(axis=0)[None, ::-1])[0]
    return float(x), float(y), float(z)


def _uptake(
    labels: NDArray[np.int32], voxels: list[NDArray[np.intp]], geometry: Geometry, suv: sitk.Image
) -> list[tuple[float | None, float | None]]:
    """Maximum and mean SUV of each lesion, read on the PET grid."""
    pet, values = Geometry.of(suv), sitk.GetArrayViewFromImage(suv)
    box = _box_around(geometry, pet)
    if box is None:
        return [(None, None)] * len(voxels)
    near = _part_of(pet, box)
    on_pet = sitk.Resample(geometry.image(labels), near.empty(), sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    result: list[tuple[float | None, float | None]] = []
    for index, on_pet_index in zip(
        voxels, _voxels_by_label(sitk.GetArrayViewFromImage(on_pet), len(voxels)), strict=True
    ):
        if len(on_pet_index):
            inside = values[box][tuple(on_pet_index.T)].astype(np.float64)
            result.append((float(inside.max()), float(inside.mean())))
        else:
            result.append(_interpolated(index, geometry, values, pet))
    return result


def _box_around(geometry: Geometry, pet: Geometry) -> Box | None:
    """The PET voxels (slices in array order) whose centres may lie in the grid `geometry`; None when there are none."""
    corners = pet.indices(geometry.corners())
    low = np.clip(np.floor(corners.min(axis=0)), 0, pet.size).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, pet.size).astype(int)
    if np.any(high <= low):
        return None
    return tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))


def _interpolated(
    lesion: NDArray[np.intp], geometry: Geometry, values: NDArray[Any], pet: Geometry
) -> tuple[float | None, float | None]:
    """Maximum and mean of the linearly interpolated PET at the voxel centres of a lesion smaller than a PET voxel."""
    points = pet.indices(geometry.points(lesion[:, ::-1].astype(np.float64)))
    points = points[np.all((points >= -0.5) & (points <= np.asarray(pet.size) - 0.5), axis=1)]
    if not len(points):
        return None, None
    read = ndimage.map_coordinates(values, points[:, ::-1].T, output=np.float64, order=1, mode="nearest")
    return float(read.max()), float(read.mean())
