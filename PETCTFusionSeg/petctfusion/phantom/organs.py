"""A body around real organs: outline, fat, muscle and skeleton fitted to an organ label map without them.

The nominal body is stretched so that its landmarks (bladder, kidneys, lung bases, lung tips, brain) fall on the map's;
the rib cage and the trunk follow the organs' own hull; then the organs themselves are put in, as they are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage, spatial

from petctfusion.errors import BadInputError
from petctfusion.phantom import body, head, skeleton, viscera
from petctfusion.phantom.canvas import BodyMap, Canvas
from petctfusion.phantom.fields import SmoothField
from petctfusion.phantom.grids import axis_aligned, cut_out, slices_over
from petctfusion.phantom.physics import image_on
from petctfusion.phantom.settings import PhantomSettings
from petctfusion.phantom.shapes import Array, Ellipsoid, Point
from petctfusion.phantom.sites import SITES
from petctfusion.phantom.tissues import Label
from petctfusion.phantom.ureters import paint_ureters
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.reading import read_mask

SPLEEN, KIDNEYS, LIVER, BLADDER, LUNGS, BRAIN, HEART, STOMACH, PROSTATE, GLANDS = range(1, 11)
CAGE = (SPLEEN, LIVER, LUNGS, HEART, STOMACH)
_WALL_MM = 30.0
"""Rib, muscle and fat outside the hull of the organs, at least."""
# Nominal heights of landmarks (see `petctfusion.phantom.body`): organ, which end of it, mm.
_LANDMARKS = (
    (BLADDER, "low", 262.0),
    (KIDNEYS, "low", 503.0),
    (LUNGS, "low", 588.0),
    (LUNGS, "high", 884.0),
    (BRAIN, "low", 985.0),
)
_SOFT = [Label.SKIN, Label.FAT, Label.MUSCLE, Label.SEPTUM, Label.VISCERAL_FAT, Label.AIR]


def read_organs(source: Path | sitk.Image) -> sitk.Image:
    """The label map as uint8 with axes along LPS. Raises `BadInputError` when liver or lungs are missing."""
    image = source if isinstance(source, sitk.Image) else read_mask(Path(source))
    image = sitk.DICOMOrient(sitk.Cast(image, sitk.sitkUInt8), "LPS")
    if not np.allclose(image.GetDirection(), np.eye(3).ravel(), atol=1e-3):
        raise BadInputError("The organ map is oblique.", "Resample it to axes along the patient first.")
    found = ndimage.find_objects(sitk.GetArrayViewFromImage(image))
    present = {number for number, window in enumerate(found, start=1) if window is not None}
    if not {LIVER, LUNGS} <= present:
        raise BadInputError(
            "The organ map has no lungs (label 5) or no liver (label 3), so no body can be built around it.",
            "Use labels 1 spleen, 2 kidneys, 3 liver, 4 bladder, 5 lungs, 6 brain, 7 heart, 8 stomach.",
        )
    return image


def organ_body(organs: sitk.Image, settings: PhantomSettings) -> tuple[Geometry, NDArray[np.uint8], dict[str, Point]]:
    """Truth grid, tissue labels (z, y, x) and lesion places around the organs; always the whole body."""
    if settings.field_of_view != "whole-body":
        raise BadInputError(
            "A phantom around an organ map is always the whole body.", "Use the field of view whole-body."
        )
    source = Geometry.of(organs)
    coarse = sitk.GetArrayViewFromImage(organs)
    bounds = _bounds(coarse, source)
    fit = _Fit(bounds, source)
    grid = fit.grid(settings.fine_spacing_mm, settings.arms)
    labels = _smooth_labels(coarse, source, grid)
    canvas = Canvas(grid, fit.map, np.random.default_rng([settings.seed, 1]))
    hull = _hull_distance(np.isin(labels, CAGE), grid)
    _paint_body(canvas, hull, labels, settings)
    _paint_organs(canvas, labels, settings.seed)
    return grid, canvas.labels, _sites(canvas, grid, fit)


Bounds = dict[int, NDArray[np.float64]]


def _smooth_labels(labels: NDArray[np.uint8], source: Geometry, grid: Geometry) -> NDArray[np.uint8]:
    """The map on the truth grid, steps rounded: each label is blurred by a voxel, the strongest above half wins."""
    result = np.zeros(grid.shape, dtype=np.uint8)
    strongest = np.full(grid.shape, 0.5, dtype=np.float32)
    width = float(max(source.spacing))
    for number, found in enumerate(ndimage.find_objects(labels), start=1):
        if found is None:
            continue
        window = tuple(slice(max(0, one.start - 3), one.stop + 3) for one in found)
        part = (labels[window] == number).astype(np.float32)
        local = cut_out(source, tuple(slice(a.start, a.start + n) for a, n in zip(window, part.shape, strict=True)))
        place = slices_over(grid, local)
        if place is None:
            continue
        share = image_on(part, local, cut_out(grid, place), width)
        wins = share > strongest[place]
        result[place][wins] = number
        strongest[place][wins] = share[wins]
    return result


def _bounds(labels: NDArray[np.uint8], grid: Geometry) -> Bounds:
    """World box of every organ: label to [[x, y, z] low, [x, y, z] high]."""
    result = {}
    for number, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is not None:
            low = np.array([one.start for one in window[::-1]], dtype=float) - 0.5
            high = np.array([one.stop for one in window[::-1]], dtype=float) - 0.5
            result[number] = grid.points(np.stack([low, high]))
    return result


class _Fit:
    """World to nominal body coordinates for one organ map."""

    def __init__(self, bounds: Bounds, source: Geometry) -> None:
        lungs = bounds[LUNGS]
        self.centre_x = float(lungs[:, 0].mean())
        self.scale_x = float(np.clip((lungs[1, 0] - lungs[0, 0]) / 262, 0.8, 1.35))
        self.scale_y = float(np.clip((lungs[1, 1] - lungs[0, 1]) / 176, 0.75, 1.4))
        self.back = float(lungs[1, 1]) - 84 * self.scale_y
        pairs = [(float(bounds[o][0 if end == "low" else 1, 2]), z) for o, end, z in _LANDMARKS if o in bounds]
        pairs = [pair for i, pair in enumerate(pairs) if i == 0 or pair[0] > pairs[i - 1][0] + 5]
        self._world, self._nominal = (np.array(column) for column in zip(*pairs, strict=True))
        self._head = self._head_shift(bounds[BRAIN]) if BRAIN in bounds else (0.0, 0.0)
        self._bounds = np.stack(list(bounds.values()))
        self.low = float(source.corners()[:, 2].min())
        self.high = float(source.corners()[:, 2].max())

    @property
    def map(self) -> BodyMap:
        """Piecewise linear along the body, linear across it."""
        return BodyMap(
            lambda v: (v - self.centre_x) / self.scale_x,
            lambda v: (v - self.back) / self.scale_y,
            self.nominal_z,
            self._lean,
        )

    def _head_shift(self, brain: NDArray[np.float64]) -> tuple[float, float]:
        """Nominal mm (x, y) by which the map's brain must move to sit in the nominal head."""
        x, y, _ = brain.mean(axis=0)
        return (self.centre_x - x) / self.scale_x, 8 - (y - self.back) / self.scale_y

    def _lean(self, nominal_z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The neck carries the head to where the map's brain is."""
        share = np.clip((nominal_z - 870) / 115, 0, 1)
        share = share**2 * (3 - 2 * share)
        return self._head[0] * share, self._head[1] * share

    def nominal_z(self, world: NDArray[np.float64]) -> NDArray[np.float64]:
        """Nominal height; beyond the outer landmarks one to one."""
        inner = np.interp(world, self._world, self._nominal)
        return np.asarray(inner + np.minimum(world - self._world[0], 0) + np.maximum(world - self._world[-1], 0))

    def world(self, point: Point) -> Point:
        """World mm of a nominal point."""
        inner = float(np.interp(point[2], self._nominal, self._world))
        z = inner + min(point[2] - self._nominal[0], 0) + max(point[2] - self._nominal[-1], 0)
        lean_x, lean_y = (float(move) for move in self._lean(np.asarray(point[2], dtype=np.float64)))
        x, y = point[0] - lean_x, point[1] - lean_y
        return x * self.scale_x + self.centre_x, y * self.scale_y + self.back, float(z)

    def grid(self, fine_mm: float, arms: bool) -> Geometry:
        """The truth grid: as long as the map, but not below the knees."""
        half = 292.0 if arms else 212.0
        low = np.array(self.world((-half, -165, -40)))
        high = np.array(self.world((half, 160, 1160)))
        low[:2] = np.minimum(low[:2], self._bounds[:, 0, :2].min(axis=0) - 70)
        high[:2] = np.maximum(high[:2], self._bounds[:, 1, :2].max(axis=0) + 45)
        low[2], high[2] = max(low[2], self.low), min(high[2], self.high)
        return axis_aligned(low, high, (fine_mm,) * 3)


def _hull_distance(mask: NDArray[np.bool_], grid: Geometry) -> Array:
    """Distance in mm to the slice-wise convex hull of the organs in the rib cage, smoothed along the body."""
    hull = np.zeros(mask.shape, dtype=bool)
    rows, columns = np.meshgrid(np.arange(mask.shape[1]), np.arange(mask.shape[2]), indexing="ij")
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        points = np.argwhere(mask[index])
        if len(points) < 30 or np.ptp(points, axis=0).min() < 3:
            continue
        inside = np.ones(rows.shape, dtype=bool)
        for a, b, c in spatial.ConvexHull(points).equations:
            inside &= a * rows + b * columns + c <= 0
        hull[index] = inside
    soft = ndimage.gaussian_filter(hull.astype(np.float32), [6 / s for s in grid.spacing_zyx])
    # Slices are made to lie far apart: distances then run within the slice, and no rib closes the cage above or below.
    apart = (1e4, grid.spacing[1], grid.spacing[0])
    return body.envelope_of(soft > 0.5, apart)


def _paint_body(canvas: Canvas, hull: Array, organs: NDArray[np.uint8], settings: PhantomSettings) -> None:
    """Outline, layers, cavity, vessels, bowel and bones; everything the map does not have."""
    seed = settings.seed
    build = body.Build(settings.fat, settings.arms)
    distance = np.minimum(body.distance_to_skin(canvas, build), hull - _WALL_MM)
    if np.any(organs == BRAIN):
        distance = np.minimum(distance, body.envelope_of(organs == BRAIN, canvas.grid.spacing_zyx) - 17)
    others = body.envelope_of(organs > 0, canvas.grid.spacing_zyx) - 14
    np.minimum(distance, others, out=distance)
    body.paint_layers(canvas, distance, build, np.random.default_rng([seed, 2]))
    body.paint_septa(canvas, np.random.default_rng([seed, 3]))
    body.paint_cavity(canvas)
    trunk: tuple[slice, slice, slice] = (slice(None), slice(None), slice(None))
    canvas.put(Label.VISCERAL_FAT, trunk, hull < 0, [Label.MUSCLE, Label.FAT, Label.SEPTUM])
    viscera.paint_muscles_and_vessels(canvas)
    viscera.paint_airways(canvas)
    viscera.paint_bowel(canvas, np.random.default_rng([seed, 6]))
    skeleton.paint_skeleton(canvas, settings.arms, hull)
    head.paint_head(canvas, np.random.default_rng([seed, 7]), brain=False)


def _paint_organs(canvas: Canvas, organs: NDArray[np.uint8], seed: int) -> None:
    """The map's organs over everything else, with the inner structure that PET shows."""
    simple = {
        SPLEEN: Label.SPLEEN, KIDNEYS: Label.KIDNEY, LIVER: Label.LIVER, BLADDER: Label.URINE, LUNGS: Label.LUNG,
        HEART: Label.BLOOD, STOMACH: Label.STOMACH, PROSTATE: Label.PROSTATE, GLANDS: Label.GLAND,
    }  # fmt: skip
    for number, label in simple.items():
        canvas.labels[organs == number] = int(label)
    spacing = canvas.grid.spacing_zyx
    inner = body.envelope_of(organs == STOMACH, spacing) < -4.5
    canvas.labels[inner] = int(Label.STOMACH_CONTENT)
    _paint_left_ventricle(canvas, organs == HEART)
    kidney = -body.envelope_of(organs == KIDNEYS, spacing)
    canvas.labels[kidney > 0.8 * max(float(kidney.max()), 1.0)] = int(Label.URINE)
    paint_ureters(canvas, organs == KIDNEYS, organs == BLADDER, np.random.default_rng([seed, 8]))
    if np.any(organs == BRAIN):
        _paint_brain(canvas, organs == BRAIN, seed)
    vessels = np.random.default_rng([seed, 4])
    for side in (1, -1):
        viscera.paint_lung_vessels(canvas, (side * 36.0, 20.0, 760.0), side, vessels)


def _paint_left_ventricle(canvas: Canvas, heart: NDArray[np.bool_]) -> None:
    """A thick-walled ventricle in the left lower front part of the heart, and a thin wall around the rest."""
    if not heart.any():
        return
    index = np.argwhere(heart)
    points = canvas.grid.points(index[:, ::-1].astype(np.float64))
    middle, spread = points.mean(axis=0), points.std(axis=0)
    centre = middle + spread * (0.55, -0.25, -0.55)
    wall = Ellipsoid((0.0, 0.0, 0.0), (30, 30, 46), (-52, 0, 40))
    window = tuple(slice(int(a), int(b) + 1) for a, b in zip(index.min(axis=0), index.max(axis=0), strict=True))
    zz, yy, xx = np.meshgrid(*[np.arange(one.start, one.stop) for one in window], indexing="ij")
    place = canvas.grid.points(np.stack([xx.ravel(), yy.ravel(), zz.ravel()], axis=1).astype(np.float64)) - centre
    x, y, z = (place[:, i].reshape(xx.shape).astype(np.float32) for i in range(3))
    depth = wall.distance(x, y, z)
    part, inside = canvas.labels[window[0], window[1], window[2]], heart[window[0], window[1], window[2]]
    part[inside & (depth < 0)] = int(Label.MYOCARDIUM)
    part[inside & (depth < -11)] = int(Label.BLOOD)


def _paint_brain(canvas: Canvas, brain: NDArray[np.bool_], seed: int) -> None:
    """Grey and white matter inside the map's brain, fluid and skull around it."""
    distance = body.envelope_of(brain, canvas.grid.spacing_zyx)
    folds = SmoothField.draw(np.random.default_rng([seed, 7]), 13.0).on(canvas.grid, 2)
    shell = np.isin(canvas.labels, [int(one) for one in _SOFT])
    top = int(np.flatnonzero(brain.any(axis=(1, 2)))[-1])
    cut = np.arange(brain.shape[0])[:, None, None] <= top + int(12 / canvas.grid.spacing[2])
    canvas.labels[shell & cut & (distance < 9.5)] = int(Label.CORTICAL_BONE)
    canvas.labels[shell & (distance < 2.6)] = int(Label.CLEAR_FLUID)
    canvas.labels[brain] = int(Label.WHITE_MATTER)
    canvas.labels[brain & (-distance + 5.5 * folds < 9.5)] = int(Label.GREY_MATTER)


def _sites(canvas: Canvas, grid: Geometry, fit: _Fit) -> dict[str, Point]:
    """Places by name: organs' own deep points for liver and lungs, landmarks of the body for the rest."""
    low, high = grid.corners().min(axis=0) + 15, grid.corners().max(axis=0) - 15
    placed = {name: fit.world(point) for name, point in SITES.items()}
    for name, label, side in (("liver", Label.LIVER, 0), ("lung-left", Label.LUNG, 1), ("lung-right", Label.LUNG, -1)):
        mask = canvas.labels[::2, ::2, ::2] == int(label)
        if side:
            columns = grid.origin[0] + 2 * grid.spacing[0] * np.arange(mask.shape[2])
            mask = mask & ((columns - fit.centre_x) * side > 0)
        depth = ndimage.distance_transform_edt(ndimage.binary_closing(mask), sampling=grid.spacing_zyx)
        deepest = 2 * np.array(np.unravel_index(int(np.argmax(depth)), depth.shape), dtype=np.float64)
        point = grid.points(deepest[None, ::-1])[0]
        placed[name] = (float(point[0]), float(point[1]), float(point[2]))
    if "thigh-left" in placed and not low[2] < placed["thigh-left"][2] - 70:
        for side, name in ((1, "left"), (-1, "right")):
            placed[f"thigh-{name}"] = fit.world((side * 92, 82, max(255.0, float(fit.nominal_z(low[2:3])[0]) + 75)))
    return {name: p for name, p in placed.items() if np.all(np.asarray(p) > low) and np.all(np.asarray(p) < high)}
