"""What a network must beat: the clinical one-click SUV rules, and the ellipsoid that looks at no image at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.volumes.geometry import Geometry

BLIND = "blind ellipsoid"
_TOUCHING = np.ones((3, 3, 3), dtype=bool)
# Mean distance from the crop's side to the contour's box: 50 mm as prepared, 5 to 50 mm drawn evenly when re-cropped.
BLIND_MARGIN_MM = {"as-is": 50.0, "re-cropped": 27.5}


@dataclass(frozen=True)
class Rule:
    """A threshold rule on SUV; `located` rules are told where the tumour is."""

    name: str
    threshold: Callable[[NDArray[np.float64], NDArray[np.bool_]], float]
    located: bool = True


def _suv_max(suv: NDArray[np.float64], contour: NDArray[np.bool_]) -> float:
    """SUVmax without single hot voxels: the 99.9th percentile inside the contour."""
    return float(np.percentile(suv[contour], 99.9))


def _otsu(suv: NDArray[np.float64], _contour: NDArray[np.bool_]) -> float:
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(sitk.GetImageFromArray(suv.astype(np.float32)))
    return float(otsu.GetThreshold())


RULES = (
    Rule("SUV >= 2.5 (located)", lambda _suv, _contour: 2.5),
    Rule("SUV >= 4 (located)", lambda _suv, _contour: 4.0),
    Rule("41 % of SUVmax (located)", lambda suv, contour: 0.41 * _suv_max(suv, contour)),
    Rule("50 % of SUVmax (located)", lambda suv, contour: 0.50 * _suv_max(suv, contour)),
    Rule("Otsu (located)", _otsu),
    Rule("SUV >= 2.5 (whole crop)", lambda _suv, _contour: 2.5, located=False),
)


def apply_rule(rule: Rule, pet: sitk.Image, contour: sitk.Image) -> sitk.Image:
    """The rule's mask (uint8). `pet` (SUV) and `contour` share a grid: the CT's, with the PET interpolated to it, when
    the table is on the CT grid. The contour only locates the tumour: of the voxels above the threshold, the
    26-connected parts that touch it are kept."""
    suv = sitk.GetArrayFromImage(pet).astype(np.float64)
    truth = sitk.GetArrayFromImage(contour) > 0
    above = suv >= rule.threshold(suv, truth)
    if rule.located:
        parts, count = ndimage.label(above, structure=_TOUCHING)
        touched = np.zeros(count + 1, dtype=bool)
        touched[np.unique(parts[truth])] = True
        touched[0] = False
        above = touched[parts]
    return Geometry.of(pet).image(above.astype(np.uint8))


def blind_ellipsoid(ct: sitk.Image, margin_mm: float) -> sitk.Image:
    """The ellipsoid inscribed in the box of voxel centres less `margin_mm` a side (uint8, on the same grid)."""
    geometry = Geometry.of(ct)
    axes = [
        (np.arange(n) - (n - 1) / 2) * step / max(1e-6, (n - 1) * step / 2 - margin_mm)
        for n, step in zip(geometry.shape, geometry.spacing_zyx, strict=True)
    ]
    z, y, x = np.ix_(*axes)
    return geometry.image((z**2 + y**2 + x**2 <= 1.0).astype(np.uint8))
