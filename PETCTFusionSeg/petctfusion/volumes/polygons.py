"""Closed polygons on a grid of pixels: a pixel is inside when its centre is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def fill_polygons(polygons: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (row, column) of an array of `shape` whose centres lie inside closed polygons, by the even-odd rule.

    Each polygon is (N, 2): column and row in continuous pixel indices, pixel centres at whole numbers; the last point
    joins the first. What an odd number of polygons encloses is inside: a polygon in another one is a hole, and the two
    sides of a keyhole cancel. A centre that lies exactly on an edge belongs to the side with the larger index, so that
    neighbours that share an edge neither overlap nor leave a gap. Parts beyond the array are cut off.
    """
    rows, columns = shape
    crossings = np.zeros((rows, columns + 1), dtype=np.int32)
    for polygon in polygons:
        _add_crossings(crossings, np.asarray(polygon, dtype=np.float64))
    return (np.cumsum(crossings[:, :-1], axis=1) & 1).astype(np.bool_)


def _add_crossings(crossings: NDArray[np.int32], polygon: NDArray[np.float64]) -> None:
    """Counts, at the first pixel centre not left of it, every place where an edge crosses the centre line of a row."""
    rows, columns = crossings.shape[0], crossings.shape[1] - 1
    start, end = polygon, np.roll(polygon, -1, axis=0)
    # Half-open in the row, so that a vertex on a centre line is crossed once by a passing outline, twice by a tip.
    upper = np.where((start[:, 1] <= end[:, 1])[:, None], start, end)
    lower = np.where((start[:, 1] <= end[:, 1])[:, None], end, start)
    first = np.clip(np.ceil(upper[:, 1]), 0, rows).astype(np.intp)
    last = np.clip(np.ceil(lower[:, 1]), 0, rows).astype(np.intp)
    count = last - first
    edge = np.repeat(np.arange(len(polygon)), count)
    row = first[edge] + np.arange(edge.size) - np.repeat(np.cumsum(count) - count, count)
    share = (row - upper[edge, 1]) / (lower[edge, 1] - upper[edge, 1])
    column = upper[edge, 0] + share * (lower[edge, 0] - upper[edge, 0])
    np.add.at(crossings, (row, np.clip(np.ceil(column), 0, columns).astype(np.intp)), 1)
