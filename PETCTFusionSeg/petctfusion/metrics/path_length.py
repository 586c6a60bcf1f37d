"""Added path length: how much of a contour somebody would still have to draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petctfusion.errors import BadInputError
from petctfusion.metrics.masks import BoolArray, as_pair, as_spacing
from petctfusion.metrics.runs import IndexArray, runs_of

# Voxels worked on at a time, so that a mask that fills a whole-body grid does not ask for gigabytes.
_SLAB = 1 << 22


@dataclass(frozen=True, eq=False)
class AddedPathLength:
    """The part of a reference contour that a prediction does not have, slice by slice.

    Vaassen et al., Phys Imaging Radiat Oncol 13, 2020: the contour of a mask in a slice are its pixels with one of
    the 4 in-plane neighbours outside (beyond the image border is outside). A contour pixel of the reference is added
    unless a contour pixel of the prediction in the same slice lies within the tolerance (centre to centre, in the
    plane). Its length is the pixel size sqrt(dy dx). Contours of the prediction where the reference has none cost
    nothing. An empty reference: 0; an empty prediction: the whole contour.
    """

    added: NDArray[np.int64]
    """Added pixels in every slice."""
    contour: NDArray[np.int64]
    """Contour pixels of the reference in every slice."""
    pixel_mm: float
    tolerance_mm: float

    @property
    def pixels(self) -> int:
        """Added pixels of all slices."""
        return int(self.added.sum())

    @property
    def mm(self) -> float:
        """Added length of all slices."""
        return self.pixels * self.pixel_mm

    @property
    def relative(self) -> float | None:
        """Added pixels by contour pixels of the reference; None when it is empty."""
        total = int(self.contour.sum())
        return self.pixels / total if total else None

    def to_json(self) -> dict[str, Any]:
        """Plain values, totals only."""
        return {
            "added_path_length_mm": self.mm,
            "added_path_length_pixels": self.pixels,
            "added_path_length_relative": self.relative,
            "added_path_length_tolerance_mm": self.tolerance_mm,
        }


def added_path_length(
    prediction: NDArray[Any], reference: NDArray[Any], spacing_mm: Sequence[float], tolerance_mm: float = 0.0
) -> AddedPathLength:
    """Added path length of two masks (z, y, x) on one grid; `spacing_mm` in array order.

    Raises `BadInputError` on shapes that differ, arrays that are not 3-D, NaN, a spacing that is not positive and a
    tolerance that is negative or not finite.
    """
    a, b = as_pair(prediction, reference)
    if a.ndim != 3:
        raise BadInputError(f"A mask with {a.ndim} dimensions has no slices.", "Give masks of shape (z, y, x).")
    if not 0 <= tolerance_mm < math.inf:
        raise BadInputError(f"A tolerance of {tolerance_mm} mm is none.", "Give a number of millimetres, 0 or more.")
    _, sy, sx = (float(v) for v in as_spacing(spacing_mm, 3))
    steps = _within(tolerance_mm, sy, sx, b.shape)
    added, contour = np.zeros((2, b.shape[0]), dtype=np.int64)
    depth = max(1, _SLAB // max(1, b.shape[1] * b.shape[2]))
    for low in range(0, b.shape[0], depth):
        part = slice(low, low + depth)
        added[part], contour[part] = _counts(a[part], b[part], steps)
    return AddedPathLength(added, contour, math.sqrt(sy * sx), float(tolerance_mm))


def added_path_length_mm(
    prediction: NDArray[Any], reference: NDArray[Any], spacing_mm: Sequence[float], tolerance_mm: float = 0.0
) -> float:
    """Total of `added_path_length` in mm."""
    return added_path_length(prediction, reference, spacing_mm, tolerance_mm).mm


def _counts(prediction: BoolArray, reference: BoolArray, steps: IndexArray) -> tuple[IndexArray, IndexArray]:
    """Added and all contour pixels of the reference in every slice."""
    wanted = _contour(reference)
    contour = np.bincount(wanted[0], minlength=len(reference))
    border = np.abs(steps).max(axis=0)
    # Padded in the plane, so that no step leads into another row or slice.
    rows, columns = (n + 2 * int(b) for n, b in zip(reference.shape[1:], border, strict=True))

    def place(index: tuple[IndexArray, ...]) -> IndexArray:
        z, y, x = index
        return np.asarray((z * rows + y + border[0]) * columns + x + border[1])

    there = np.zeros(len(reference) * rows * columns, dtype=np.bool_)
    there[place(_contour(prediction))] = True
    at, slices = place(wanted), wanted[0]
    for dy, dx in steps.tolist():
        left = ~there[at + (dy * columns + dx)]
        at, slices = at[left], slices[left]
    return np.bincount(slices, minlength=len(reference)), contour


def _contour(mask: BoolArray) -> tuple[IndexArray, ...]:
    """Array indices of the contour pixels of all slices."""
    runs = runs_of(mask)
    rows, columns = mask.shape[1:]
    voxels, flat = runs.voxels(), np.ascontiguousarray(mask).ravel()
    y = voxels // columns % rows
    # Within a run only its ends have a neighbour outside along x.
    ends = np.cumsum(runs.lengths)
    contour = np.zeros(voxels.size, dtype=np.bool_)
    contour[ends - 1] = contour[ends - runs.lengths] = True
    contour |= (y == 0) | ~flat[np.maximum(voxels - columns, 0)]
    contour |= (y == rows - 1) | ~flat[np.minimum(voxels + columns, flat.size - 1)]
    return tuple(np.unravel_index(voxels[contour], mask.shape))


def _within(tolerance_mm: float, sy: float, sx: float, shape: tuple[int, ...]) -> IndexArray:
    """In-plane steps (dy, dx) of at most `tolerance_mm`, nearest first."""
    most = [min(int(tolerance_mm / s) + 1, n - 1) for s, n in zip((sy, sx), shape[1:], strict=True)]
    dy, dx = np.mgrid[-max(most[0], 0) : max(most[0], 0) + 1, -max(most[1], 0) : max(most[1], 0) + 1]
    squared = (dy * sy) ** 2 + (dx * sx) ** 2
    # So that a step of three pixels of 0.7 mm is within 2.1 mm, whatever the rounding.
    near = squared <= tolerance_mm**2 * (1 + 1e-12)
    order = np.argsort(squared[near], kind="stable")
    return np.stack([dy[near], dx[near]], axis=1)[order].astype(np.intp)
