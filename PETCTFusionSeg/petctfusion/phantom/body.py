"""The body's outline and its layers: skin, subcutaneous fat, muscle with its septa, the trunk's cavity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.phantom.canvas import Canvas
from petctfusion.phantom.fields import SmoothField
from petctfusion.phantom.shapes import Array, Box, Column, Ellipsoid, Point, Shape, Tube, mirrored, smooth_minimum
from petctfusion.phantom.tissues import Label

# Nominal body mm: x to the left, y to the back, z up; z = 0 is mid-thigh, 190 the crotch, 275 the hip joints, 430 the
# iliac crests, 690 the diaphragm, 885 the lung tips, 1134 the vertex. A person of about 175 cm.
TRUNK = Column(
    z=(178, 200, 235, 275, 350, 430, 520, 600, 680, 760, 815, 845, 862, 880, 900, 925),
    half_width=(150, 172, 181, 182, 172, 156, 151, 158, 168, 175, 184, 172, 130, 88, 64, 56),
    front=(-70, -92, -100, -102, -106, -108, -108, -110, -114, -108, -90, -72, -62, -50, -46, -44),
    back=(85, 108, 122, 124, 112, 104, 103, 106, 108, 108, 104, 98, 92, 86, 82, 78),
)
CAVITY = Column(
    z=(232, 260, 300, 360, 430, 520, 600, 680, 760, 820, 860, 890),
    half_width=(38, 54, 64, 88, 118, 124, 130, 134, 124, 102, 68, 30),
    front=(-38, -58, -72, -84, -88, -88, -92, -94, -88, -66, -38, -14),
    back=(32, 46, 58, 56, 48, 54, 70, 84, 86, 78, 58, 34),
    power=2.2,
)
NECK = Tube([(0, 22, 870), (0, 16, 940), (0, 10, 990)], [60, 58, 60])
CRANIUM = Ellipsoid((0, 8, 1050), (79, 97, 84))
FACE = Ellipsoid((0, -40, 978), (60, 62, 82), (-8, 0, 0))
JAW = Tube([(38, -30, 935), (0, -68, 920), (-38, -30, 935)], [24, 20, 24])
NOSE = Tube([(0, -92, 1010), (0, -112, 984)], [7, 11])


def leg(side: int) -> Column:
    """Thigh and knee of one side."""
    return Column(
        z=(-260, -200, -120, 0, 120, 190, 240, 290),
        half_width=(54, 58, 64, 74, 84, 87, 84, 70),
        front=(-62, -68, -74, -82, -90, -92, -88, -70),
        back=(56, 58, 66, 78, 90, 98, 96, 80),
        centre_x=tuple(side * v for v in (82, 82, 83, 86, 90, 93, 92, 88)),
        power=2.1,
    )


def arm(side: int) -> Tube:
    """An arm hanging at the side, with its hand."""
    points: list[Point] = [
        (176, 12, 822),
        (206, 20, 700),
        (222, 28, 545),
        (230, 10, 430),
        (231, -8, 300),
        (228, -14, 190),
    ]
    return Tube(mirrored(points, side), (52, 48, 40, 38, 27, 24))


@dataclass(frozen=True)
class Build:
    """How a person is built: thickness factor of the subcutaneous fat, and whether the arms hang at the sides."""

    fat: float = 1.0
    arms: bool = True


def distance_to_skin(canvas: Canvas, build: Build) -> Array:
    """Distance in mm of every voxel to the outline, negative inside; 1000 far away."""
    distance = np.full(canvas.labels.shape, 1000.0, dtype=np.float32)
    head: list[tuple[Shape, float]] = [(CRANIUM, 1), (FACE, 26), (JAW, 18), (NOSE, 10), (NECK, 22)]
    trunk: list[tuple[Shape, float]] = [(TRUNK, 1.0), (leg(1), 30.0), (leg(-1), 30.0)]
    for shape, seam in [*trunk, *head]:
        _join(canvas, distance, shape, seam)
    if build.arms:
        _join(canvas, distance, arm(1), 16.0)
        _join(canvas, distance, arm(-1), 16.0)
    return distance


def _join(canvas: Canvas, distance: Array, shape: Shape, seam: float) -> None:
    window = canvas.window(shape.box, 40.0)
    if window is not None:
        x, y, z = canvas.coordinates(window)
        distance[window] = smooth_minimum(distance[window], shape.distance(x, y, z), seam)


def paint_layers(canvas: Canvas, distance: Array, build: Build, generator: np.random.Generator) -> None:
    """Skin, subcutaneous fat that is thicker on belly and buttocks, and muscle below."""
    uneven = SmoothField.draw(generator, 70.0).on(canvas.grid, 8)
    uneven *= np.float32(0.22)
    uneven += np.float32(1.0)
    uneven *= _fat_thickness(canvas, build)
    np.maximum(uneven, 2.5, out=uneven)
    canvas.labels[distance < 0] = int(Label.SKIN)
    canvas.labels[distance < -1.8] = int(Label.FAT)
    uneven += distance
    canvas.labels[uneven < -1.8] = int(Label.MUSCLE)


def _fat_thickness(canvas: Canvas, build: Build) -> Array:
    """Subcutaneous fat in mm: by height, more in front of the belly and behind the hips, little on the arms."""
    levels = (-260, 0, 190, 260, 330, 430, 520, 620, 720, 820, 870, 920, 980, 1140)
    sides = (7, 9, 13, 16, 18, 18, 15, 11, 10, 9, 7, 4, 4, 4)
    front = (0, 0, 0, 2, 8, 13, 9, 2, 0, 0, 0, 0, 0, 0)
    back = (0, 1, 6, 16, 12, 4, 1, 0, 0, 0, 0, 0, 0, 0)
    z = canvas.z.mean(axis=(1, 2))[:, None, None]
    thickness = np.interp(z, levels, sides).astype(np.float32)
    forward = np.clip(-canvas.y / 90, 0, 1)
    forward *= np.interp(z, levels, front).astype(np.float32)
    backward = np.clip(canvas.y / 90, 0, 1)
    backward *= np.interp(z, levels, back).astype(np.float32)
    forward += backward
    forward += thickness
    arm_region = np.clip((np.abs(canvas.x) - 178) / 10, 0, 1) * np.float32(build.arms)
    forward *= 1 - np.float32(0.55) * arm_region
    forward *= np.float32(build.fat)
    return np.asarray(forward, dtype=np.float32)


def paint_cavity(canvas: Canvas) -> None:
    """The inside of the trunk, filled with visceral fat until organs are put there."""
    canvas.paint(Label.VISCERAL_FAT, CAVITY, within=[Label.MUSCLE, Label.FAT])


def paint_septa(canvas: Canvas, generator: np.random.Generator) -> None:
    """Fat between the muscles: borders of compartments that run along the body, in thighs, hips, arms and back."""
    for side in (1, -1):
        thigh_seeds = _thigh_compartments(generator, side)
        _septa(canvas, ((side * 90 - 95, side * 90 + 95), (-110, 125), (-260, 330)), thigh_seeds, generator, 1.5)
    back = [
        (sx * px, py) for sx in (1, -1) for px, py in ((24, 92), (52, 82), (95, 60), (135, 20), (140, -40), (60, -95))
    ]
    _septa(canvas, ((-170, 170), (-110, 115), (330, 860)), np.asarray(back), generator, 1.4)


def _thigh_compartments(generator: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Centres (x, y) of thigh muscles around the femur: quadriceps in front, adductors inside, hamstrings behind."""
    nominal = np.array(
        [
            (88, -62),
            (122, -38),
            (58, -48),
            (92, -28),
            (40, -12),
            (50, 26),
            (66, 58),
            (96, 66),
            (124, 48),
            (136, 6),
            (74, 6),
        ]
    )
    moved = nominal + generator.normal(0, 4.0, nominal.shape)
    return np.asarray(moved * (side, 1))


def _septa(
    canvas: Canvas, box: Box, seeds: NDArray[np.float64], generator: np.random.Generator, width_mm: float
) -> None:
    window = canvas.window(box)
    if window is None:
        return
    x, y, _ = canvas.coordinates(window)
    bend = SmoothField.draw(generator, 38.0).on(canvas.grid, 8)[window] * np.float32(6.0)
    sway = SmoothField.draw(generator, 38.0).on(canvas.grid, 8)[window] * np.float32(6.0)
    nearest = np.full(x.shape, 1e6, dtype=np.float32)
    second = nearest.copy()
    for px, py in seeds:
        gap = np.sqrt((x + bend - np.float32(px)) ** 2 + (y + sway - np.float32(py)) ** 2)
        second = np.minimum(second, np.maximum(gap, nearest))
        nearest = np.minimum(nearest, gap)
    thickness = np.float32(width_mm) * (1 + np.float32(0.13) * (bend - sway))
    canvas.put(Label.SEPTUM, window, (second - nearest) < thickness, [Label.MUSCLE])


def envelope_of(mask: NDArray[np.bool_], spacing_zyx: tuple[float, float, float], reach_mm: float = 60.0) -> Array:
    """Signed distance in mm to a mask, negative inside (Euclidean); `reach_mm` far away from it."""
    result = np.full(mask.shape, reach_mm, dtype=np.float32)
    found = ndimage.find_objects(mask.astype(np.uint8))
    if not found:
        return result
    window = tuple(
        slice(max(0, part.start - int(reach_mm / step) - 1), part.stop + int(reach_mm / step) + 1)
        for part, step in zip(found[0], spacing_zyx, strict=True)
    )
    inner = mask[window]
    outside = ndimage.distance_transform_edt(~inner, sampling=spacing_zyx)
    outside -= ndimage.distance_transform_edt(inner, sampling=spacing_zyx)
    result[window] = np.minimum(outside, reach_mm)
    return result
