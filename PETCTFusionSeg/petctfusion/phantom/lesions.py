"""Lesions with irregular surface, uneven uptake and necrotic cores, painted on the truth grid to an exact volume."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.phantom.fields import SmoothField, axis_points
from petctfusion.phantom.settings import LesionSpec
from petctfusion.phantom.shapes import Array, Point
from petctfusion.phantom.tissues import Label
from petctfusion.volumes.geometry import Geometry

NECROTIC_SUV_SHARE = 0.18
"""Uptake of a necrotic core relative to the living part; cores of the training patients are at 0.1 to 0.3."""
_MOST_BARRED = 0.4
"""A lesion gives way to bone and skin around it, but one that would lose more than this has no place there."""
BONE = (Label.CORTICAL_BONE, Label.MARROW, Label.YELLOW_MARROW)
_HARD = (Label.AIR, Label.SKIN, Label.AIRWAY, *BONE)


@dataclass(frozen=True)
class Lesion:
    """Truth of one lesion: centre of mass in LPS mm, volumes on the truth grid in ml, mean SUVbw, living and dead."""

    id: int
    site: str
    centre: Point
    volume_ml: float
    necrotic_ml: float
    suv: float
    suv_necrosis: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class PaintedLesions:
    """Lesion ids (z, y, x) uint8, relative uptake inside them (mean 1 over the living part) and the truth table."""

    ids: NDArray[np.uint8]
    uptake: Array
    table: list[Lesion]


def paint_lesions(
    labels: NDArray[np.uint8], grid: Geometry, sites: dict[str, Point], specs: tuple[LesionSpec, ...], seed: int
) -> PaintedLesions:
    """Paint lesions into `labels` in place. Raises `BadInputError` for an unknown site or a lesion without room."""
    for spec in specs:
        if spec.site not in sites:
            raise BadInputError(
                f"The phantom has no place called '{spec.site}' in this field of view.",
                f"Use one of {', '.join(sorted(sites))}.",
            )
    return paint_at(labels, grid, ((sites[spec.site], spec) for spec in specs), seed)


def paint_at(
    labels: NDArray[np.uint8],
    grid: Geometry,
    placed: Iterable[tuple[Point, LesionSpec]],
    seed: int,
    at_most: int | None = None,
) -> PaintedLesions:
    """Paint lesions at points (LPS mm) into `labels` in place.

    With `at_most`, a lesion without room is passed over and the rest is not looked at once so many are painted; without
    it, `BadInputError` is raised.
    """
    ids = np.zeros(labels.shape, dtype=np.uint8)
    uptake = np.zeros(labels.shape, dtype=np.float32)
    table: list[Lesion] = []
    for number, (point, spec) in enumerate(placed, start=1):
        if at_most is not None and len(table) >= at_most:
            break
        generator = np.random.default_rng([seed, 100 + number])
        try:
            table.append(_paint(labels, ids, uptake, grid, point, spec, len(table) + 1, generator))
        except BadInputError:
            if at_most is None:
                raise
    return PaintedLesions(ids, uptake, table)


def _paint(
    labels: NDArray[np.uint8],
    ids: NDArray[np.uint8],
    uptake: Array,
    grid: Geometry,
    centre: Point,
    spec: LesionSpec,
    number: int,
    generator: np.random.Generator,
) -> Lesion:
    window = _window(grid, centre, spec)
    part = labels[window]
    local = _local_grid(grid, window, centre)
    level = _surface_level(local, part, spec, generator)
    wanted = round(np.pi / 6 * spec.diameter_mm**3 / (grid.voxel_ml * 1000))
    barred = ids[window] > 0
    if spec.irregularity > 0:
        barred |= np.isin(part, [int(one) for one in _HARD if not (spec.in_bone and one in BONE)])
    _check_room(level, barred, wanted, spec)
    level[barred] = np.inf
    inside = _lowest(level, wanted)
    core = _necrosis(inside, local, spec, generator)
    texture = SmoothField.draw(generator, max(9.0, spec.diameter_mm / 6)).on(local, 3)
    relative = np.clip(1 + spec.texture * texture, 0.3, None)
    living = inside & ~core
    relative = relative / float(relative[living].mean())
    relative[core] *= NECROTIC_SUV_SHARE / float(relative[core].mean()) if core.any() else 1.0
    part[inside] = int(Label.LESION)
    part[core] = int(Label.NECROSIS)
    ids[window][inside] = number
    uptake[window][inside] = relative[inside] * np.float32(spec.suv)
    index = np.argwhere(inside).mean(axis=0) + [one.start for one in window]
    place = grid.points(index[None, ::-1])[0]
    return Lesion(
        id=number,
        site=spec.site,
        centre=(float(place[0]), float(place[1]), float(place[2])),
        volume_ml=float(inside.sum()) * grid.voxel_ml,
        necrotic_ml=float(core.sum()) * grid.voxel_ml,
        suv=spec.suv,
        suv_necrosis=spec.suv * NECROTIC_SUV_SHARE if core.any() else spec.suv,
    )


def reach_mm(spec: LesionSpec) -> float:
    """How far a lesion can stretch from its site."""
    return float(spec.diameter_mm / 2 * spec.elongation ** (2 / 3) * (1.25 + 2.2 * spec.irregularity) + 4)


def _window(grid: Geometry, centre: Point, spec: LesionSpec) -> tuple[slice, slice, slice]:
    reach = reach_mm(spec)
    parts = []
    for axis in (2, 1, 0):
        low = int(np.floor((centre[axis] - reach - grid.origin[axis]) / grid.spacing[axis]))
        high = int(np.ceil((centre[axis] + reach - grid.origin[axis]) / grid.spacing[axis])) + 1
        parts.append(slice(max(low, 0), min(max(high, 0), grid.size[axis])))
    if any(one.start >= one.stop for one in parts):
        raise BadInputError(
            f"The lesion at '{spec.site}' lies outside the field of view.",
            "Choose another site or a larger field of view.",
        )
    return parts[0], parts[1], parts[2]


def _local_grid(grid: Geometry, window: tuple[slice, slice, slice], centre: Point) -> Geometry:
    """The window's grid with the lesion's centre as origin of coordinates."""
    z, y, x = window
    starts, stops = (x.start, y.start, z.start), (x.stop, y.stop, z.stop)
    origin = [grid.origin[i] + grid.spacing[i] * starts[i] - centre[i] for i in range(3)]
    size = (stops[0] - starts[0], stops[1] - starts[1], stops[2] - starts[2])
    return Geometry(size, grid.spacing, (origin[0], origin[1], origin[2]), grid.direction)


def _surface_level(
    local: Geometry, labels: NDArray[np.uint8], spec: LesionSpec, generator: np.random.Generator
) -> Array:
    """A function that grows outwards from the centre; its level sets are the lesion at every size."""
    points = axis_points(local)
    z, y, x = points[0][:, None, None], points[1][None, :, None], points[2][None, None, :]
    long = spec.elongation ** (2 / 3)
    wide = spec.elongation ** (-1 / 3)
    flat = 1.0 + 0.6 * spec.irregularity * float(generator.uniform(-1, 1))
    radius = spec.diameter_mm / 2
    level = np.sqrt((z / long) ** 2 + (y / (wide * flat)) ** 2 + (x / (wide / flat)) ** 2) / np.float32(radius)
    level = np.asarray(level, dtype=np.float32)
    if spec.irregularity > 0:
        lobes = SmoothField.draw(generator, 1.1 * radius).on(local, 6)
        lobes += np.float32(0.4) * SmoothField.draw(generator, 0.5 * radius).on(local, 4)
        level -= np.float32(spec.irregularity) * lobes
        level[labels == int(Label.FAT)] += np.float32(0.30)
    return level


def _check_room(level: Array, barred: NDArray[np.bool_], count: int, spec: LesionSpec) -> None:
    """Refuse a lesion of which bone, skin, air or another lesion would take too much away."""
    room = int(barred.size - barred.sum())
    if 1 <= count <= room:
        ideal = np.argpartition(level, count - 1, axis=None)[:count]
        if barred.ravel()[ideal].mean() <= _MOST_BARRED:
            return
    raise BadInputError(
        f"There is no room for a lesion of {spec.diameter_mm:g} mm at '{spec.site}'.",
        "Choose another size, another site or a finer truth grid.",
    )


def _lowest(level: Array, count: int) -> NDArray[np.bool_]:
    """One connected piece of `count` voxels of lowest level; a rough surface may cost it a few of them."""
    free = np.sort(level[np.isfinite(level)])
    low, high = count - 1, len(free) - 1
    inside = _piece(level <= free[low])
    while int(inside.sum()) < count and low < high - 1:
        middle = (low + high) // 2 if high < len(free) - 1 else min(high, low + max(1, count // 20))
        inside = _piece(level <= free[middle])
        if int(inside.sum()) < count:
            low = middle
        else:
            high = middle
    surplus = int(inside.sum()) - count
    if surplus > 0:
        members = np.flatnonzero(inside)
        inside.ravel()[members[np.argsort(level.ravel()[members], kind="stable")[count:]]] = False
    return _piece(inside)


def _piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest 6-connected part."""
    parts, number = ndimage.label(mask)
    if number <= 1:
        return mask
    return np.asarray(parts == int(np.argmax(np.bincount(parts.ravel())[1:])) + 1)


def _necrosis(
    inside: NDArray[np.bool_], local: Geometry, spec: LesionSpec, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """The dead part: the deepest voxels of the lesion, moved off-centre and torn by a random field."""
    count = round(spec.necrosis * float(inside.sum()))
    core = np.zeros(inside.shape, dtype=bool)
    if count == 0:
        return core
    depth = ndimage.distance_transform_edt(inside, sampling=local.spacing_zyx).astype(np.float32)
    torn = SmoothField.draw(generator, spec.diameter_mm / 3.2).on(local, 4)
    score = depth / float(depth.max()) + np.float32(0.30) * torn
    rim = min(5.0, 0.4 * float(depth.max()))
    score[~inside | (depth < rim)] = -np.inf
    count = min(count, int(np.isfinite(score).sum()))
    if count:
        core.ravel()[np.argpartition(-score.ravel(), count - 1)[:count]] = True
    return core
