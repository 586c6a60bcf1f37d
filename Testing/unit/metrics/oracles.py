"""Second opinions for the tests: the definitions written as plainly as possible, without any of the library's code."""

from __future__ import annotations

import itertools
import math

import numpy as np


def brute_surface(mask: np.ndarray) -> list[tuple[int, ...]]:
    inside = {tuple(int(i) for i in index) for index in np.argwhere(mask)}
    steps = [tuple(s if i == axis else 0 for i in range(mask.ndim)) for axis in range(mask.ndim) for s in (-1, 1)]
    return sorted(
        v for v in inside if any(tuple(a + b for a, b in zip(v, s, strict=True)) not in inside for s in steps)
    )


def linear_percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def brute_distances(a: np.ndarray, b: np.ndarray, spacing: tuple[float, ...]) -> tuple[list[float], list[float]]:
    """Directed distances between surfaces, both ways; neither mask may be empty."""
    first, second = brute_surface(a), brute_surface(b)

    def apart(p: tuple[int, ...], q: tuple[int, ...]) -> float:
        return math.sqrt(sum(((i - j) * s) ** 2 for i, j, s in zip(p, q, spacing, strict=True)))

    return [min(apart(p, q) for q in second) for p in first], [min(apart(p, q) for q in first) for p in second]


def brute_hausdorff(a: np.ndarray, b: np.ndarray, spacing: tuple[float, ...], percent: float) -> float:
    if not a.any() or not b.any():
        return math.inf if a.any() or b.any() else 0.0
    return max(linear_percentile(d, percent) for d in brute_distances(a, b, spacing))


def flood_components(mask: np.ndarray, connectivity: int) -> list[set[tuple[int, ...]]]:
    """Components by flood fill; neighbours differ by 1 in at most 1, 2 or 3 axes for 6, 18 or 26."""
    most = {6: 1, 18: 2, 26: 3}[connectivity]
    steps = [s for s in itertools.product((-1, 0, 1), repeat=3) if 0 < sum(map(abs, s)) <= most]
    left = {tuple(int(i) for i in index) for index in np.argwhere(mask)}
    found = []
    while left:
        todo, component = [left.pop()], set()
        while todo:
            voxel = todo.pop()
            component.add(voxel)
            for step in steps:
                other = tuple(a + b for a, b in zip(voxel, step, strict=True))
                if other in left:
                    left.remove(other)
                    todo.append(other)
        found.append(component)
    return found
