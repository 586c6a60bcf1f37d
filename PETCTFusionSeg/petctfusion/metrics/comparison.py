"""A predicted mask against a reference, as images: matched in physical space, on the reference's grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.metrics.agreement import MaskAgreement, compare_masks
from petctfusion.metrics.masks import BoolArray, as_mask
from petctfusion.metrics.matching import LesionMatching, match_lesions
from petctfusion.metrics.overlap import volume_ml
from petctfusion.metrics.slices import SliceCurve
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.labels import resample_labels

NO_CONTOUR = "no contour"


@dataclass(frozen=True)
class Comparison:
    """Agreement of a prediction with a reference on the reference's grid; definitions in `agreement` and `matching`."""

    agreement: MaskAgreement
    lesions: LesionMatching
    volume_ml: float
    """Of the prediction on its own grid."""
    resampled: bool
    """True when the prediction was on another grid and was brought to the reference's."""
    outside_ml: float = 0.0
    """Part of the prediction beyond the reference's field of view: it cannot be judged and is in no other number."""

    @property
    def dice(self) -> float:
        """2|A n B| / (|A| + |B|); both empty 1, one empty 0."""
        return self.agreement.dice

    @property
    def jaccard(self) -> float:
        """|A n B| / |A u B|; both empty 1, one empty 0."""
        return self.agreement.jaccard

    @property
    def hd95_mm(self) -> float:
        """The larger directed 95th percentile between the surface voxels; one empty inf, both empty 0."""
        return self.agreement.hd95_mm

    @property
    def hd_mm(self) -> float:
        """Hausdorff distance between the surface voxels; one empty inf, both empty 0."""
        return self.agreement.hd_mm

    @property
    def assd_mm(self) -> float:
        """Mean of the pooled distances between the surface voxels; one empty inf, both empty 0."""
        return self.agreement.assd_mm

    @property
    def nsd(self) -> float:
        """Part of both surfaces, by area, within `nsd_tolerance_mm` of the other; one empty 0, both empty 1."""
        return self.agreement.nsd

    @property
    def nsd_tolerance_mm(self) -> float:
        """The tolerance of `nsd`."""
        return self.agreement.nsd_tolerance_mm

    @property
    def reference_volume_ml(self) -> float:
        """Volume of the reference."""
        return self.agreement.reference_volume_ml

    @property
    def volume_difference_ml(self) -> float:
        """Prediction minus reference."""
        return self.volume_ml - self.reference_volume_ml

    @property
    def relative_volume_difference(self) -> float | None:
        """(Prediction - reference) / reference; None when the reference is empty."""
        return self.volume_difference_ml / self.reference_volume_ml if self.reference_volume_ml else None

    @property
    def centre_distance_mm(self) -> float | None:
        """Distance between the centres of mass; None when one is empty."""
        return self.agreement.centre_distance_mm

    @property
    def fpv_ml(self) -> float:
        """Volume of the predicted lesions that share no voxel with the reference (autoPET)."""
        return self.lesions.fpv_ml

    @property
    def fnv_ml(self) -> float:
        """Volume of the reference lesions that share no voxel with the prediction (autoPET)."""
        return self.lesions.fnv_ml

    @property
    def slices(self) -> SliceCurve:
        """Dice and areas slice by slice of the reference's grid."""
        return self.agreement.slices

    @property
    def hd95_note(self) -> str:
        """Why there is no HD95; empty when there is one."""
        return "" if math.isfinite(self.hd95_mm) else NO_CONTOUR

    def to_json(self) -> dict[str, Any]:
        """Plain values; an infinite distance is null, with `"hd95_note": "no contour"`."""
        numbers = (
            "dice",
            "hd95_mm",
            "hd_mm",
            "assd_mm",
            "nsd",
            "nsd_tolerance_mm",
            "jaccard",
            "volume_ml",
            "reference_volume_ml",
            "volume_difference_ml",
            "relative_volume_difference",
            "centre_distance_mm",
            "fpv_ml",
            "fnv_ml",
            "resampled",
            "outside_ml",
        )
        values: dict[str, Any] = {name: _finite(getattr(self, name)) for name in numbers}
        values["lesions"] = self.lesions.to_json()
        if self.hd95_note:
            values["hd95_note"] = self.hd95_note
        return values


def compare(
    prediction: sitk.Image, reference: sitk.Image, *, connectivity: int = 18, tolerance_mm: float | None = None
) -> Comparison:
    """All numbers of two 3-D images, whose non-zero voxels are inside, on the grid of `reference`.

    `connectivity` (6, 18, 26) tells lesions apart; `tolerance_mm` is that of the NSD (`agreement.nsd_tolerance_mm`).
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
        compare_masks(on_grid, truth, grid.spacing_zyx, tolerance_mm=tolerance_mm),
        match_lesions(on_grid, truth, grid.spacing_zyx, connectivity),
        volume_ml=volume_ml(predicted, own.spacing_zyx),
        resampled=resampled,
        outside_ml=_outside_ml(predicted, own, grid) if resampled else 0.0,
    )


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
