"""Second opinions for the tests: the definitions written as plainly as possible, without any of the library's code.

Arrays are (z, y, x), spacings (z, y, x) in mm. A "side" is what one surface has to say: (distance mm, weight) of
each of its elements to the other surface; the weight is 1 for a voxel and an area in mm2 for a surfel.
"""

from __future__ import annotations

import collections
import functools
import itertools
import math

import numpy as np

CORNERS = tuple(itertools.product((0, 1), repeat=3))


def voxels(mask: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(int(i) for i in index) for index in np.argwhere(mask)}


def brute_surface(mask: np.ndarray) -> list[tuple[int, ...]]:
    inside = voxels(mask)
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
    return _all_pairs(brute_surface(a), brute_surface(b), spacing)


def brute_hausdorff(a: np.ndarray, b: np.ndarray, spacing: tuple[float, ...], percent: float) -> float:
    if not a.any() or not b.any():
        return math.inf if a.any() or b.any() else 0.0
    return max(linear_percentile(d, percent) for d in brute_distances(a, b, spacing))


def _all_pairs(first: list, second: list, spacing: tuple[float, ...]) -> tuple[list[float], list[float]]:
    apart = np.zeros((len(first), len(second)))
    for axis, step in enumerate(spacing):
        one, two = ([element[axis] for element in elements] for elements in (first, second))
        apart += (np.subtract.outer(one, two) * step) ** 2
    return np.sqrt(apart.min(axis=1)).tolist(), np.sqrt(apart.min(axis=0)).tolist()


# Surfels: the surface of the 2x2x2 neighbourhood around each voxel corner, as in marching cubes.


def _is_inside(code: int, corner: tuple[int, ...]) -> bool:
    """Bit 7 is corner (0, 0, 0), bit 0 is (1, 1, 1)."""
    return bool(code >> (7 - CORNERS.index(corner)) & 1)


def _segments(code: int) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """The lines in which the surface meets the six faces of the cube, from edge middle to edge middle.

    On a face whose diagonals differ, the rarer kind of corner is cut off.
    """
    inside_is_cut_off = code.bit_count() <= 4
    lines = []
    for axis, side in itertools.product(range(3), (0, 1)):
        ring = [(*c[:axis], side, *c[axis:]) for c in ((0, 0), (1, 0), (1, 1), (0, 1))]
        crossings = [
            tuple((p + q) / 2 for p, q in zip(ring[i], ring[(i + 1) % 4], strict=True))
            if _is_inside(code, ring[i]) != _is_inside(code, ring[(i + 1) % 4])
            else None
            for i in range(4)
        ]
        found = [c for c in crossings if c]
        if len(found) == 2:
            lines.append((found[0], found[1]))
        elif found:
            cut = [i for i in range(4) if _is_inside(code, ring[i]) == inside_is_cut_off]
            lines += [(crossings[i - 1], crossings[i]) for i in cut]
    return lines


def _polygons(code: int) -> list[list[tuple[float, ...]]]:
    """The closed lines that the segments make."""
    joined = collections.defaultdict(list)
    for p, q in _segments(code):
        joined[p].append(q)
        joined[q].append(p)
    found, seen = [], set()
    for start in sorted(joined):
        polygon = []
        todo = [start]
        while todo:
            point = todo.pop()
            if point not in seen:
                seen.add(point)
                polygon.append(point)
                todo += joined[point]
        if polygon:
            found.append(polygon)
    return found


def _triangulations(polygon: list) -> list[list[tuple]]:
    """Every way to cut a polygon into triangles with its own corners."""
    if len(polygon) < 3:
        return [[]]
    first, last = polygon[0], polygon[-1]
    return [
        [*left, *right, (first, polygon[k], last)]
        for k in range(1, len(polygon) - 1)
        for left in _triangulations(polygon[: k + 1])
        for right in _triangulations(polygon[k:])
    ]


def _area(triangles: list[tuple], spacing: tuple[float, ...]) -> float:
    total = 0.0
    for triangle in triangles:
        p, q, r = (np.multiply(point, spacing) for point in triangle)
        total += float(np.linalg.norm(np.cross(q - p, r - p))) / 2
    return total


@functools.cache
def _triangles(code: int) -> list[tuple]:
    """Polygons that are not flat are cut so that the area on a cube is largest (they bulge, as in the usual tables)."""
    cuts = [max(_triangulations(p), key=lambda cut: round(_area(cut, (1, 1, 1)), 9)) for p in _polygons(code)]
    return [triangle for cut in cuts for triangle in cut]


@functools.cache
def surfel_areas(spacing: tuple[float, float, float]) -> tuple[float, ...]:
    """Area in mm2 of the surface in each of the 256 neighbourhoods."""
    return tuple(_area(_triangles(code), spacing) for code in range(256))


def brute_surfels(mask: np.ndarray, spacing: tuple[float, float, float]) -> dict[tuple[int, ...], float]:
    """Corner of the voxel lattice (corner (0, 0, 0) is the low corner of voxel (0, 0, 0)) -> area in mm2."""
    inside, areas, found = voxels(mask), surfel_areas(tuple(spacing)), {}
    for corner in {tuple(np.add(v, c).tolist()) for v in inside for c in CORNERS}:
        around = [tuple(int(i) + d - 1 for i, d in zip(corner, c, strict=True)) in inside for c in CORNERS]
        if not all(around):
            found[corner] = areas[sum(bit << (7 - place) for place, bit in enumerate(around))]
    return found


Side = list[tuple[float, float]]


def sides(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float, float], surfels: bool) -> tuple[Side, Side]:
    """What either surface has to say about the other; neither mask may be empty."""
    weights = [brute_surfels(m, spacing) if surfels else dict.fromkeys(brute_surface(m), 1.0) for m in (a, b)]
    there, back = _all_pairs(*(list(w) for w in weights), spacing)
    one, two = (list(zip(d, w.values(), strict=True)) for d, w in zip((there, back), weights, strict=True))
    return one, two


def percentile(side: Side, percent: float, surfels: bool) -> float:
    """Of voxels with linear interpolation; of surfels the first distance at which the share of the area is reached."""
    if not surfels:
        return linear_percentile([d for d, _ in side], percent)
    reached, wanted = 0.0, math.fsum(w for _, w in side) * percent / 100
    for distance, weight in sorted(side):
        reached += weight
        if reached >= wanted:
            return distance
    return max(side)[0]


def mean(side: Side) -> float:
    return math.fsum(d * w for d, w in side) / math.fsum(w for _, w in side)


def share_within(side: Side, tolerance_mm: float) -> float:
    return math.fsum(w for d, w in side if d <= tolerance_mm) / math.fsum(w for _, w in side)


# Overlap, slices and lesions.


def dice(first: set, second: set) -> float:
    return 2 * len(first & second) / (len(first) + len(second)) if first or second else 1.0


def slice_dice(a: np.ndarray, b: np.ndarray) -> dict[int, float]:
    """Dice of every slice along axis 0 in which either mask is."""
    of = {z: (voxels(a[z]), voxels(b[z])) for z in range(a.shape[0])}
    return {z: dice(*pair) for z, pair in of.items() if any(pair)}


def flood_components(mask: np.ndarray, connectivity: int) -> list[set[tuple[int, ...]]]:
    """Components by flood fill; neighbours differ by 1 in at most 1, 2 or 3 axes for 6, 18 or 26."""
    most = {6: 1, 18: 2, 26: 3}[connectivity]
    steps = [s for s in itertools.product((-1, 0, 1), repeat=3) if 0 < sum(map(abs, s)) <= most]
    left = voxels(mask)
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


def missed(a: np.ndarray, b: np.ndarray, connectivity: int) -> list[set[tuple[int, ...]]]:
    """Components of `a` without a voxel in `b`."""
    other = voxels(b)
    return [c for c in flood_components(a, connectivity) if not c & other]


def missed_volume_ml(a: np.ndarray, b: np.ndarray, spacing: tuple[float, ...], connectivity: int) -> float:
    """FPV of (prediction, reference), FNV of (reference, prediction)."""
    return sum(map(len, missed(a, b, connectivity))) * math.prod(spacing) / 1000


def best_pairs(a: list[set], b: list[set], minimum_iou: float) -> tuple[int, float]:
    """The most pairs with IoU above the minimum, each lesion once, and the largest sum of IoU that so many reach."""
    if not a:
        return 0, 0.0
    best = best_pairs(a[1:], b, minimum_iou)
    for k, other in enumerate(b):
        iou = len(a[0] & other) / len(a[0] | other)
        if iou > minimum_iou:
            pairs, total = best_pairs(a[1:], b[:k] + b[k + 1 :], minimum_iou)
            best = max(best, (pairs + 1, total + iou))
    return best


def contour_pixels(plane: np.ndarray) -> set[tuple[int, ...]]:
    """Pixels of a slice with one of 4 neighbours outside."""
    return set(brute_surface(plane))


def added_pixels(a: np.ndarray, b: np.ndarray, spacing: tuple[float, ...], tolerance_mm: float) -> int:
    """Contour pixels of `b` with no contour pixel of `a` within the tolerance in their slice."""
    count = 0
    for p, r in zip(a, b, strict=True):
        drawn = contour_pixels(p)
        for pixel in contour_pixels(r):
            apart = [math.hypot(*((i - j) * s for i, j, s in zip(pixel, q, spacing[1:], strict=True))) for q in drawn]
            count += not apart or min(apart) > tolerance_mm
    return count


def highest_sphere_mean(pet: np.ndarray, centres: set, spacing: tuple[float, ...], radius_mm: float) -> float:
    """The largest mean of all voxels whose centres lie within the radius of a centre."""
    index = np.argwhere(np.ones(pet.shape, bool))
    means = []
    for centre in centres:
        near = np.sqrt((((index - centre) * spacing) ** 2).sum(axis=1)) <= radius_mm
        means.append(pet[tuple(index[near].T)].mean())
    return max(means)
