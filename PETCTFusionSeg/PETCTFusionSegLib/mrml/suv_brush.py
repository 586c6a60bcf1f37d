"""What a brush that looks at the PET paints: the voxels of its sphere or circle that pass an SUV rule. Arrays only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.i18n import _

from .brush_shape import sweptVoxels

Mask = NDArray[np.bool_]
Triple = tuple[float, float, float]
RuleKind = Literal["fixed", "percent", "gradient"]
SMOOTHING_MM = 1.5
"""Standard deviation of the Gaussian before the gradient, which hides the interpolation between PET voxels."""
MARGIN_MM = 7.5
"""What the gradient rule wants to see around the brush."""
_HOT, _COLD = 0.8, 0.2
# Noise inside a lesion varies less than this share of its highest value, an edge more.
_LEAST_EDGE = 0.25


@dataclass(frozen=True)
class SuvRule:
    """Which voxels of the brush are painted.

    `fixed`: at least `suv`. `percent`: at least `percent` % of the highest value in the brush's sphere, also when a
    circle is painted. `gradient`: on the side of the hot centre of the steepest edge (see `hotSide`).
    """

    kind: RuleKind = "percent"
    suv: float = 4.0
    percent: float = 40.0


@dataclass(frozen=True)
class Brush:
    """A sphere around a continuous index (z, y, x); with a unit `normal` (z, y, x) only its slice, one voxel thick."""

    centre: Triple
    radius_mm: float
    normal: Triple | None = None


def paintedVoxels(suv: NDArray[Any], spacing_mm: Triple, brush: Brush, rule: SuvRule) -> Mask:
    """The voxels (z, y, x) that the brush paints on a box of PET values (z, y, x). Raises `BadInputError`.

    The box holds the brush, and for `gradient` another `MARGIN_MM` around it where the volume goes on. Values that
    are not finite count as 0; where nothing in the sphere is above 0, `percent` and `gradient` paint nothing.
    """
    if suv.ndim != 3 or suv.size == 0 or brush.radius_mm <= 0:
        raise BadInputError(_("The brush needs a box of PET values and a radius above 0."), _("Choose a larger brush."))
    values = np.nan_to_num(np.asarray(suv, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    sphere, footprint = _footprints(values.shape, spacing_mm, brush)
    if rule.kind == "fixed":
        return footprint & (values >= rule.suv)
    highest = float(values[sphere].max()) if sphere.any() else 0.0
    if highest <= 0:
        return np.zeros(values.shape, dtype=np.bool_)
    if rule.kind == "percent":
        return footprint & (values >= rule.percent / 100.0 * highest)
    return footprint & hotSide(values, spacing_mm, sphere)


def hotSide(values: NDArray[np.float32], spacing_mm: Triple, sphere: Mask) -> Mask:
    """The voxels on the hot centre's side of the PET's steepest edge, (z, y, x).

    A watershed of the gradient magnitude of the PET (smoothed by `SMOOTHING_MM`), flooded from two markers: the part
    above 80 % of the box's range that is connected to the hottest voxel of the sphere, and everything below 20 % of
    that range. Where the range is under 25 % of the hottest value there is no edge, and every voxel counts as hot.
    Blur (standard deviation s, of scanner and smoothing) draws the edge of a ball of radius R in by about s * s / R.
    After X. Geets et al., "A gradient-based method for segmenting FDG-PET images", Eur J Nucl Med Mol Imaging 34
    (2007) 1427; flooding from markers: F. Meyer and S. Beucher, J Vis Commun Image Represent 1 (1990) 21.
    """
    smooth = ndimage.gaussian_filter(values, [SMOOTHING_MM / step for step in spacing_mm], mode="nearest")
    peak = np.unravel_index(np.argmax(np.where(sphere, smooth, -np.inf)), smooth.shape)
    high, low = float(smooth[peak]), float(smooth.min())
    if high - low < _LEAST_EDGE * high:
        return np.ones(smooth.shape, dtype=np.bool_)
    parts, _number = ndimage.label(smooth >= low + _HOT * (high - low))
    markers = np.zeros(smooth.shape, dtype=np.uint8)
    markers[smooth <= low + _COLD * (high - low)] = 2
    markers[parts == parts[peak]] = 1
    flooded = sitk.MorphologicalWatershedFromMarkers(
        sitk.GetImageFromArray(_gradient(smooth, spacing_mm)), sitk.GetImageFromArray(markers), False, False
    )
    return np.asarray(sitk.GetArrayFromImage(flooded) == 1)


def _gradient(values: NDArray[np.float32], spacing_mm: Triple) -> NDArray[np.float32]:
    """Gradient magnitude per mm; an axis of one voxel has no gradient."""
    total = np.zeros(values.shape, dtype=np.float32)
    for axis, step in enumerate(spacing_mm):
        if values.shape[axis] > 1:
            total += np.gradient(values, step, axis=axis) ** 2
    return np.asarray(np.sqrt(total))


def _footprints(shape: tuple[int, ...], spacing_mm: Triple, brush: Brush) -> tuple[Mask, Mask]:
    """The brush's sphere, and what of it is painted; the voxel under the centre belongs to both however small it is."""
    sphere = sweptVoxels(shape, spacing_mm, [brush.centre], brush.radius_mm)
    if brush.normal is None:
        return sphere, sphere
    return sphere, sweptVoxels(shape, spacing_mm, [brush.centre], brush.radius_mm, brush.normal)
