"""Brush strokes on the contour of a prediction, followed live."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from masks import BoolArray, Pair, Spacing

from petctfusion.metrics import LiveComparison, surface_voxels

Box = tuple[slice, slice, slice]
RADIUS_MM = (5.0, 15.0)


def strokes(pair: Pair, count: int, seed: int = 11) -> Iterator[tuple[Box, BoolArray, bool]]:
    """Boxes, the ball in each, and whether it paints or erases; centred on the prediction's or the reference's contour.

    Some paint a place that is painted already and change nothing, as a brush does.
    """
    rng = np.random.default_rng(seed)
    contours = [np.argwhere(surface_voxels(m)) for m in (pair.a, pair.b)]
    for number in range(count):
        contour = contours[number % 2]
        centre = contour[rng.integers(len(contour))]
        yield (*_ball(centre, rng.uniform(*RADIUS_MM), pair.spacing, pair.a.shape), bool(rng.integers(2)))


def _ball(centre: np.ndarray, radius_mm: float, spacing: Spacing, shape: tuple[int, ...]) -> tuple[Box, BoolArray]:
    reach = (radius_mm / np.array(spacing)).astype(int)
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, shape)
    axes = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    away = sum(((axis - c) * s) ** 2 for axis, c, s in zip(axes, centre, spacing, strict=True))
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return box, away <= radius_mm**2


def live_times(pair: Pair, count: int, *, surfels: bool) -> dict[str, float]:
    """Wall time in ms of a stroke with all its numbers; at the end the numbers must equal a full recomputation."""
    live = LiveComparison(pair.b, pair.spacing, surfels=surfels)
    start = time.perf_counter()
    live.replace(pair.a)
    _read(live)
    replaced = (time.perf_counter() - start) * 1e3
    times = []
    for box, ball, paints in strokes(pair, count):
        part = live.prediction[box]
        values = part | ball if paints else part & ~ball
        start = time.perf_counter()
        live.update(box, values)
        _read(live)
        times.append((time.perf_counter() - start) * 1e3)
    followed = _read(live)
    again = LiveComparison(pair.b, pair.spacing, surfels=surfels)
    again.replace(live.prediction)
    if _read(again) != followed:
        raise AssertionError(f"{followed} after {count} strokes, {_read(again)} recomputed")
    median, p95 = np.percentile(times, (50, 95))
    return {
        "median": float(median),
        "p95": float(p95),
        "largest": float(max(times)),
        "strokes": count,
        "replace": replaced,
    }


def _read(live: LiveComparison) -> tuple[float, ...]:
    """All the numbers that a panel shows."""
    found = live.agreement()
    return (
        found.dice,
        found.hd95_mm,
        found.nsd,
        found.assd_mm,
        found.volume_ml,
        float(np.nansum(found.slices.dice)),
    )
