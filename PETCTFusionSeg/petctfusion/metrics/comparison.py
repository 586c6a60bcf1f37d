"""A predicted mask against a reference, as images: matched in physical space, on the reference's grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.metrics.masks import BoolArray, as_mask
from petctfusion.metrics.overlap import dice, volume_ml
from petctfusion.metrics.surface import hd95_mm
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.labels import resample_labels

NO_CONTOUR = "no contour"


@dataclass(frozen=True)
class Comparison:
    """Agreement of a prediction with a reference; the definitions are those of `overlap` and `surface`."""

    dice: float
    hd95_mm: float
    """Infinite when exactly one of the two is empty; 0 when both are."""
    volume_ml: float
    """Of the prediction on its own grid."""
    reference_volume_ml: float
    resampled: bool
    """True when the prediction was on another grid and was brought to the reference's."""
    outside_ml: float = 0.0
    """Part of the prediction beyond the reference's field of view: it cannot be judged and is not in Dice or HD95."""

    @property
    def hd95_note(self) -> str:
        """Why there is no HD95; empty when there is one."""
        return "" if math.isfinite(self.hd95_mm) else NO_CONTOUR

    @property
    def volume_difference_ml(self) -> float:
        """Prediction minus reference."""
        return self.volume_ml - self.reference_volume_ml

    def to_json(self) -> dict[str, Any]:
        """Plain values; an infinite HD95 is null with `"hd95_note": "no contour"`."""
        values: dict[str, Any] = {
            "dice": self.dice,
            "hd95_mm": self.hd95_mm if math.isfinite(self.hd95_mm) else None,
            "volume_ml": self.volume_ml,
            "reference_volume_ml": self.reference_volume_ml,
            "volume_difference_ml": self.volume_difference_ml,
            "resampled": self.resampled,
            "outside_ml": self.outside_ml,
        }
        if self.hd95_note:
            values["hd95_note"] = self.hd95_note
        return values


def compare(prediction: sitk.Image, reference: sitk.Image) -> Comparison:
    """Dice, HD95 and volumes of the non-zero voxels of two 3-D images, on the grid of `reference`.

    Raises `BadInputError` when the two fields of view share no space.
    """
    predicted, truth = _inside(prediction), _inside(reference)
    own, grid = Geometry.of(prediction), Geometry.of(reference)
    resampled = not own.same_grid(grid)
    on_grid = predicted
    if resampled:
        _require_common_space(own, grid)
        on_grid = sitk.GetArrayFromImage(resample_labels(own.image(predicted.astype(np.uint8)), grid)) != 0
    return Comparison(
        dice=dice(on_grid, truth),
        hd95_mm=hd95_mm(on_grid, truth, grid.spacing_zyx),
        volume_ml=volume_ml(predicted, own.spacing_zyx),
        reference_volume_ml=volume_ml(truth, grid.spacing_zyx),
        resampled=resampled,
        outside_ml=_outside_ml(predicted, own, grid) if resampled else 0.0,
    )


def _inside(mask: sitk.Image) -> BoolArray:
    if mask.GetDimension() != 3 or mask.GetNumberOfComponentsPerPixel() != 1:
        raise BadInputError(
            f"A mask with {mask.GetDimension()} dimensions and {mask.GetNumberOfComponentsPerPixel()} components "
            "cannot be compared.",
            "Give a 3-D mask with one value per voxel.",
        )
    return as_mask(sitk.GetArrayViewFromImage(mask))


def _require_common_space(own: Geometry, grid: Geometry) -> None:
    corners = grid.indices(own.corners())
    if np.any(corners.max(axis=0) <= -0.5) or np.any(corners.min(axis=0) >= np.asarray(grid.size) - 0.5):
        raise BadInputError(
            "The prediction and the reference share no space.",
            "Check that both belong to the same patient and study.",
        )


def _outside_ml(predicted: BoolArray, own: Geometry, grid: Geometry) -> float:
    """Volume of the predicted voxels whose centres lie beyond the outer voxel edges of `grid`."""
    index = np.stack(np.nonzero(predicted)[::-1], axis=1).astype(np.float64)
    on_grid = grid.indices(own.points(index))
    # A thousandth of a voxel, so that rounding does not put a shared edge outside.
    beyond = np.any((on_grid < -0.501) | (on_grid > np.asarray(grid.size) - 0.499), axis=1)
    return int(np.count_nonzero(beyond)) * own.voxel_ml
