"""A mask as runs of voxels along its last axis: what whole-body masks are small in.

52 million voxels of which 160,000 are lesion hold 11,000 runs. Components, overlaps and centres are worked out on the
runs alone, exactly, without a dense label array.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petctfusion.metrics.masks import as_mask

IndexArray = NDArray[np.intp]
_WORD = 8
_BLOCK = 1 << 17


@dataclass(frozen=True)
class Runs:
    """Voxels `first` up to and without `stop` (flat, C order) for every run; no run crosses a row of `shape`."""

    shape: tuple[int, int, int]
    first: IndexArray
    stop: IndexArray

    @property
    def lengths(self) -> IndexArray:
        """Voxels in each run."""
        return self.stop - self.first

    def take(self, which: NDArray[Any] | slice) -> Runs:
        """Some of the runs, in the order asked for."""
        return Runs(self.shape, self.first[which], self.stop[which])

    def voxels(self) -> IndexArray:
        """Flat indices of all voxels, run after run."""
        return expand(self.first, self.lengths)

    def places(self) -> tuple[IndexArray, IndexArray, IndexArray]:
        """Array index (z, y, x) of the first voxel of every run."""
        row, x = np.divmod(self.first, self.shape[2])
        z, y = np.divmod(row, self.shape[1])
        return z, y, x


def expand(first: IndexArray, lengths: IndexArray) -> IndexArray:
    """`first`, `first` + 1, ... `lengths` numbers for each."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if ends.size else 0
    steps: IndexArray = np.arange(total, dtype=np.intp) + np.repeat(first - (ends - lengths), lengths)
    return steps


def runs_of(mask: NDArray[Any], *, split_values: bool = False) -> Runs:
    """The runs of the non-zero voxels of a 3-D array, in array order.

    With `split_values` a run also ends where the value changes. Raises `BadInputError` on NaN (`as_mask`).
    """
    array = np.asarray(mask)
    values = array.ravel() if split_values else None
    # A mask of one byte per voxel is read as it lies; only wider types are first turned into booleans.
    flat = (array if array.dtype.itemsize == 1 and array.dtype.kind in "biu" else as_mask(array)).ravel().view(np.uint8)
    row = array.shape[2]
    parts = [_runs_among(voxels, row, values) for voxels in _voxels_in_blocks(flat)]
    if not parts:
        nothing = np.empty(0, dtype=np.intp)
        return Runs(_shape(array), nothing, nothing)
    first, stop = (np.concatenate(side) for side in zip(*parts, strict=True))
    # A block may end within a run.
    joined = (first[1:] == stop[:-1]) & (first[1:] % row != 0)
    if values is not None:
        joined &= values[first[1:]] == values[stop[:-1] - 1]
    return Runs(_shape(array), first[np.append(True, ~joined)], stop[np.append(~joined, True)])


def pairs_of(query: Runs, target: Runs, step: int = 0, reach: int = 0) -> tuple[IndexArray, IndexArray]:
    """Positions (i, j) of the runs of `query` that, moved by `step` and widened by `reach`, meet a run of `target`.

    `target` must be in array order.
    """
    low = np.searchsorted(target.stop, query.first + (step - reach), side="right")
    counts = np.searchsorted(target.first, query.stop + (step + reach), side="left") - low
    np.maximum(counts, 0, out=counts)
    return np.repeat(np.arange(low.size, dtype=np.intp), counts), expand(low, counts)


def _shape(array: NDArray[Any]) -> tuple[int, int, int]:
    z, y, x = array.shape
    return int(z), int(y), int(x)


def _voxels_in_blocks(flat: NDArray[np.uint8]) -> Iterator[IndexArray]:
    """Flat indices of the non-zero bytes, a million at a time, so that a full grid does not ask for gigabytes."""
    whole = flat.size - flat.size % _WORD
    # Eight voxels at once: 3 ms instead of 6 ms (flatnonzero on the booleans) for 326 x 400 x 400 with 50 lesions.
    words = np.flatnonzero(flat[:whole].view(np.uint64) != 0)
    eight = flat[:whole].reshape(-1, _WORD)
    for start in range(0, words.size, _BLOCK):
        some = words[start : start + _BLOCK]
        hits = np.flatnonzero(eight[some])
        yield some[hits >> 3] * _WORD + (hits & 7)
    tail = np.flatnonzero(flat[whole:])
    if tail.size:
        yield tail + whole


def _runs_among(voxels: IndexArray, row: int, values: NDArray[Any] | None) -> tuple[IndexArray, IndexArray]:
    begins = np.ones(voxels.size, dtype=np.bool_)
    np.not_equal(voxels[1:], voxels[:-1] + 1, out=begins[1:])
    begins |= voxels % row == 0
    if values is not None:
        begins[1:] |= values[voxels[1:]] != values[voxels[:-1]]
    return voxels[begins], voxels[np.append(begins[1:], True)] + 1
