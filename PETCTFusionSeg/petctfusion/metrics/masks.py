"""What a mask is for the metrics: a boolean array, and two of one shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petctfusion.errors import BadInputError

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


def as_mask(array: NDArray[Any]) -> BoolArray:
    """`array` as booleans: whatever is not zero is inside. Raises `BadInputError` on NaN, which is neither."""
    array = np.asarray(array)
    if array.dtype == np.bool_:
        return array
    if np.issubdtype(array.dtype, np.inexact) and np.isnan(array).any():
        raise BadInputError("A mask contains NaN.", "Write the mask with zeros outside and ones inside.")
    inside: BoolArray = np.not_equal(array, 0)
    return inside


def as_pair(a: NDArray[Any], b: NDArray[Any]) -> tuple[BoolArray, BoolArray]:
    """Two masks on one grid. Raises `BadInputError` when their shapes differ."""
    first, second = as_mask(a), as_mask(b)
    if first.shape != second.shape:
        raise BadInputError(
            f"Masks of shape {first.shape} and {second.shape} are not on one grid.",
            "Bring one to the grid of the other first, or compare the images with metrics.compare.",
        )
    return first, second


def as_spacing(spacing: Sequence[float], ndim: int) -> NDArray[np.float64]:
    """Spacing in mm, one positive finite number per array axis. Raises `BadInputError` otherwise."""
    values = np.asarray(spacing, dtype=np.float64)
    if values.shape != (ndim,) or not np.all(np.isfinite(values)) or np.any(values <= 0):
        raise BadInputError(
            f"A spacing of {tuple(spacing)} mm does not describe a {ndim}-D grid.",
            "Give one positive number of millimetres per axis, in array order (z, y, x).",
        )
    return values
