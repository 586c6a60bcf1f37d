"""Grey values of a volume, summed up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

_MOST_VALUES = 2_000_000


def sample(image: sitk.Image) -> NDArray[Any]:
    """At most two million values of `image`, evenly strided (percentiles of a whole-body CT take seconds otherwise)."""
    values = sitk.GetArrayViewFromImage(image).reshape(-1)
    step = -(-values.size // _MOST_VALUES)
    return np.array(values[:: step | 1] if step > 1 else values)


@dataclass(frozen=True)
class Statistics:
    """Extremes over all voxels; percentiles and shares over `sample`. `not_finite` counts NaN and infinite voxels."""

    lowest: float
    highest: float
    median: float
    low: float
    high: float
    share_below_minus_20: float
    not_finite: int

    @classmethod
    def of(cls, image: sitk.Image) -> Statistics:
        """Statistics of a scalar image with at least one finite voxel (zeros stand in when there is none)."""
        return cls._of(sitk.GetArrayViewFromImage(image), sample(image))

    @classmethod
    def of_some(cls, values: NDArray[Any]) -> Statistics:
        """Statistics of values that stand for a whole volume."""
        return cls._of(values, values)

    @classmethod
    def _of(cls, values: NDArray[Any], some: NDArray[Any]) -> Statistics:
        bad = 0
        if np.issubdtype(values.dtype, np.floating):
            bad = int(values.size - np.count_nonzero(np.isfinite(values)))
            some = some[np.isfinite(some)]
        if some.size == 0:
            return cls(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, bad)
        finite = values[np.isfinite(values)] if bad else values
        low, median, high = (float(v) for v in np.percentile(some, (0.1, 50, 99.9)))
        below = float(np.mean(some < -20))
        return cls(float(finite.min()), float(finite.max()), median, low, high, below, bad)
