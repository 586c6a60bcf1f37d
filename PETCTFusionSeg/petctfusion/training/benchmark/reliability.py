"""Does a probability mean what it says: expected calibration error, temperature, and where the errors are.

Everything is computed from counts: how many voxels, and how many tumour voxels, have each of the 256 bytes that a
probability map can hold. Nothing is sampled, and a temperature is fitted to the same counts exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.optimize import minimize_scalar

from petctfusion.volumes.box import bounding_box

BINS = 15
NEAR_MM = 20.0
_LEVELS = np.arange(256)
# A byte of 0 or 255 stands for a probability within half a step of 0 or 1.
_SHARES = np.clip(_LEVELS, 0.5, 254.5) / 255.0
_LARGEST_LOG_TEMPERATURE = 2.5


@dataclass(frozen=True)
class ByteCounts:
    """Voxels and tumour voxels by the byte of their probability, each (256,)."""

    voxels: NDArray[np.int64]
    tumour: NDArray[np.int64]

    @classmethod
    def of(cls, probability: NDArray[np.uint8], contour: NDArray[np.bool_]) -> ByteCounts:
        """Of two arrays of one shape."""
        voxels = np.bincount(probability.ravel(), minlength=256)
        return cls(voxels.astype(np.int64), np.bincount(probability[contour], minlength=256).astype(np.int64))

    def __add__(self, other: ByteCounts) -> ByteCounts:
        """Counts of both."""
        return ByteCounts(self.voxels + other.voxels, self.tumour + other.tumour)


@dataclass(frozen=True)
class Bin:
    """One point of a reliability diagram: mean probability, share of tumour, and how many voxels."""

    probability: float
    tumour: float
    voxels: int


def tempered(temperature: float) -> NDArray[np.float64]:
    """The 256 probabilities after their logits were divided by `temperature` (Guo et al., ICML 2017, section 4.2)."""
    shares: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.log(_SHARES / (1.0 - _SHARES)) / temperature))
    return shares


def reliability(counts: ByteCounts, temperature: float = 1.0, bins: int = BINS) -> list[Bin]:
    """The diagram: `bins` equal parts of [0, 1]; empty ones are left out."""
    shares = tempered(temperature)
    which = np.minimum((shares * bins).astype(int), bins - 1)
    found = []
    for number in range(bins):
        inside = which == number
        voxels = int(counts.voxels[inside].sum())
        if voxels:
            mean = float((shares * counts.voxels)[inside].sum() / voxels)
            found.append(Bin(mean, float(counts.tumour[inside].sum() / voxels), voxels))
    return found


def expected_calibration_error(counts: ByteCounts, temperature: float = 1.0, bins: int = BINS) -> float:
    """ECE: the mean over voxels of |mean probability - share of tumour| of their bin (Naeini et al., AAAI 2015)."""
    diagram = reliability(counts, temperature, bins)
    total = sum(bin_.voxels for bin_ in diagram)
    return sum(bin_.voxels * abs(bin_.probability - bin_.tumour) for bin_ in diagram) / total if total else 0.0


def log_loss(counts: ByteCounts, temperature: float = 1.0) -> float:
    """Mean negative log likelihood of a voxel's truth."""
    shares, healthy = tempered(temperature), counts.voxels - counts.tumour
    total = float(-(counts.tumour * np.log(shares) + healthy * np.log1p(-shares)).sum())
    return total / max(int(counts.voxels.sum()), 1)


def fit_temperature(counts: ByteCounts) -> float:
    """The temperature with the smallest log loss on these counts; 1 where there is nothing to fit to."""
    if not counts.tumour.any() or np.array_equal(counts.tumour, counts.voxels):
        return 1.0
    limits = (-_LARGEST_LOG_TEMPERATURE, _LARGEST_LOG_TEMPERATURE)
    found = minimize_scalar(lambda t: log_loss(counts, float(np.exp(t))), bounds=limits, method="bounded")
    return float(np.exp(found.x))


def near_either(first: NDArray[np.bool_], second: NDArray[np.bool_], spacing_mm: Sequence[float]) -> NDArray[np.bool_]:
    """Voxels within `NEAR_MM` of a voxel of either mask: where a reader would look. None where both are empty."""
    either = first | second
    box = bounding_box(either)
    if box is None:
        return either
    margins = [int(np.ceil(NEAR_MM / step)) + 1 for step in spacing_mm]
    window = tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, margin, size in zip(box, margins, either.shape, strict=True)
    )
    near = np.zeros_like(either)
    near[window] = distance_transform_edt(~either[window], sampling=spacing_mm) <= NEAR_MM
    return near


def error_share(
    uncertainty: NDArray[np.uint8], wrong: NDArray[np.bool_], where: NDArray[np.bool_], top: float = 0.05
) -> float | None:
    """Share of the wrong voxels in `where` that are among its `top` share of most uncertain ones.

    Of voxels that are equally uncertain at the edge of the top share, the errors among them count in proportion. None
    without an error.
    """
    values, errors = uncertainty[where], wrong[where]
    total = int(errors.sum())
    if not total:
        return None
    voxels = np.bincount(values, minlength=256)[::-1]
    found = np.bincount(values[errors], minlength=256)[::-1]
    room, share = top * values.size, 0.0
    for count, hits in zip(voxels.tolist(), found.tolist(), strict=True):
        taken = min(count, room)
        if count:
            share += hits * taken / count
        room -= taken
        if room <= 0:
            break
    return share / total
