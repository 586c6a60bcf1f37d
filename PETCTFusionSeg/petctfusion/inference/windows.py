"""Where the windows of a volume lie, and how much each of their voxels counts. Imports no torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Triple = tuple[int, int, int]
# Isensee et al., nnU-Net, Nature Methods 18 (2021) 203: sigma of the importance weights, in window lengths.
_SIGMA = 1 / 8


def window_starts(shape: Sequence[int], patch: Sequence[int], overlap: float) -> list[Triple]:
    """First voxels (z, y, x) of the fewest evenly spread windows that cover `shape` and repeat at least `overlap`.

    `shape` is at least `patch` along every axis.
    """
    per_axis = [_axis_starts(size, length, overlap) for size, length in zip(shape, patch, strict=True)]
    return [(z, y, x) for z, y, x in itertools.product(*per_axis)]


def count_windows(shape: Sequence[int], patch: Sequence[int], overlap: float) -> int:
    """How many windows a volume of `shape` needs (smaller volumes are padded to one window)."""
    padded = [max(size, length) for size, length in zip(shape, patch, strict=True)]
    return math.prod(len(_axis_starts(s, p, overlap)) for s, p in zip(padded, patch, strict=True))


def importance(patch: Sequence[int]) -> NDArray[np.float32]:
    """Gaussian weights of a window (z, y, x) in (0, 1], highest in the middle: its border knows the least context."""
    z, y, x = (_bell(length) for length in patch)
    return (z[:, None, None] * y[None, :, None] * x[None, None, :]).astype(np.float32)


def padding(shape: Sequence[int], patch: Sequence[int]) -> list[tuple[int, int]]:
    """Voxels to add before and after each axis so that one window fits, the volume in its middle."""
    missing = [max(0, length - size) for size, length in zip(shape, patch, strict=True)]
    return [(m // 2, m - m // 2) for m in missing]


def _axis_starts(size: int, length: int, overlap: float) -> list[int]:
    step = max(1.0, length * (1.0 - overlap))
    count = math.ceil((size - length) / step) + 1
    if count == 1:
        return [0]
    return [round(i * (size - length) / (count - 1)) for i in range(count)]


def _bell(length: int) -> NDArray[np.float64]:
    distance = np.arange(length) - (length - 1) / 2
    bell: NDArray[np.float64] = np.exp(-0.5 * (distance / max(0.5, length * _SIGMA)) ** 2)
    return bell
