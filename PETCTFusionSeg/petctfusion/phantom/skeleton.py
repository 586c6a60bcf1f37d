"""Bones: spine, ribs and sternum, shoulder girdle, pelvis, femora, arms; cortical shell around marrow."""

from __future__ import annotations

import numpy as np

from petctfusion.phantom.body import CAVITY
from petctfusion.phantom.canvas import Canvas
from petctfusion.phantom.shapes import Array, Box, Ellipsoid, Point, Tube, mirrored
from petctfusion.phantom.tissues import Label

SOFT = [Label.MUSCLE, Label.FAT, Label.VISCERAL_FAT, Label.SEPTUM, Label.SKIN]
SPINE_Z = (340, 400, 470, 540, 620, 700, 780, 850, 900, 950, 985)
SPINE_Y = (74, 60, 49, 47, 58, 71, 73, 58, 42, 34, 30)
RIB_PITCH_MM = 23.5


def paint_skeleton(canvas: Canvas, arms: bool, cage: Array | None = None) -> None:
    """All bones below the skull. `cage` is a distance to the inside of the rib cage that replaces the nominal one."""
    _paint_ribs(canvas, cage)
    _paint_spine(canvas)
    for side in (1, -1):
        _paint_shoulder(canvas, side)
        _paint_pelvis(canvas, side)
        _paint_femur(canvas, side)
        if arms:
            _paint_arm(canvas, side)


def _spine_y(z: Array) -> Array:
    return np.interp(z, SPINE_Z, SPINE_Y).astype(np.float32)


def _paint_spine(canvas: Canvas) -> None:
    window = canvas.window(((-48, 48), (5, 118), (385, 985)))
    if window is not None:
        x, y, z = canvas.coordinates(window)
        pitch = np.interp(z, (385, 560, 860, 985), (36, 31, 21, 17)).astype(np.float32)
        size = np.interp(z, (385, 560, 860, 985), (1.0, 0.9, 0.6, 0.5)).astype(np.float32)
        phase = np.mod(_level(z), 1.0)
        dy = y - _spine_y(z)
        body = (np.sqrt((x / 24) ** 2 + (dy / 17) ** 2) / size - 1) * 18 * size
        end_plate = (np.abs(phase - 0.5) - 0.40) * pitch
        vertebra = np.maximum(body, end_plate)
        crowded = [*SOFT, Label.BOWEL, Label.BOWEL_CONTENT, Label.BOWEL_GAS, Label.BLOOD]
        soft = [*crowded, Label.CARTILAGE]
        canvas.put(Label.CARTILAGE, window, body < -1, crowded)
        canvas.put(Label.CORTICAL_BONE, window, vertebra < 0, soft)
        canvas.put(Label.MARROW, window, vertebra < -1.6, [Label.CORTICAL_BONE])
        back = dy - 27 * size
        ring = np.abs(np.sqrt(x**2 + back**2) - 11.5) - 3.2
        lamina = np.maximum(ring, (np.abs(phase - 0.42) - 0.36) * pitch)
        spike = np.maximum(
            np.abs(x) - 3.4, np.maximum(np.abs(back - 24 * size) - 15 * size, (np.abs(phase - 0.3) - 0.22) * pitch)
        )
        wings = np.maximum(
            np.abs(back + 4) - 4.5, np.maximum(np.abs(x) - 38 * size, (np.abs(phase - 0.55) - 0.16) * pitch)
        )
        wings = np.maximum(wings, 8 - np.abs(x))
        arch = np.minimum(np.minimum(lamina, spike), wings)
        canvas.put(Label.CORTICAL_BONE, window, arch < 0, SOFT)
        canvas.put(Label.MARROW, window, arch < -2.2, [Label.CORTICAL_BONE])
        canal = np.sqrt(x**2 + back**2)
        canvas.put(Label.CLEAR_FLUID, window, canal < 8.6, [*SOFT, Label.CORTICAL_BONE, Label.MARROW])
        canvas.put(Label.SPINAL_CORD, window, (canal < 5.0) & (z > 540), [Label.CLEAR_FLUID])
    canvas.bone(Ellipsoid((0, 74, 362), (54, 19, 52), (-20, 0, 0)), within=SOFT)
    canvas.bone(Tube([(0, 86, 318), (0, 78, 285)], [14, 6]), within=SOFT)


def _level(z: Array) -> Array:
    """Number of the vertebra counted from the sacrum as a real number: the integral of 1 / pitch."""
    levels = np.linspace(385, 985, 121)
    pitch = np.interp(levels, (385, 560, 860, 985), (36, 31, 21, 17))
    count = np.concatenate([[0.0], np.cumsum(5.0 / ((pitch[1:] + pitch[:-1]) / 2))])
    return np.asarray(np.interp(z, levels, count), dtype=np.float32)


def _paint_ribs(canvas: Canvas, cage: Array | None) -> None:
    """Ribs as bands on the cavity's outer shell that fall from the spine to the front; in front they are cartilage."""
    box: Box = ((-150, 150), (-115, 110), (520, 905))
    window = canvas.window(box)
    if window is None:
        return
    x, y, z = canvas.coordinates(window)
    depth = CAVITY.distance(x, y, z) if cage is None else cage[window]
    shell = np.abs(depth - 5.5) - 4.0
    fall = z + np.float32(0.52) * (np.float32(80) - y) + np.float32(0.10) * np.abs(x)
    band = (np.abs(np.mod(fall, RIB_PITCH_MM) / RIB_PITCH_MM - 0.5) - 0.26) * RIB_PITCH_MM
    arch_edge = 592 + np.float32(0.9) * np.clip(-y, 0, 90) - np.float32(0.62) * np.abs(x)
    rib = np.maximum(np.maximum(shell, band), np.maximum(arch_edge - z, fall - 955))
    rib = np.maximum(rib, 13 - np.abs(x))
    soft = [*SOFT, Label.LUNG]
    front = (y < -62) & (np.abs(x) < 88)
    canvas.put(Label.CARTILAGE, window, (rib < 0) & front, soft)
    canvas.put(Label.CORTICAL_BONE, window, (rib < 0) & ~front, soft)
    canvas.put(Label.MARROW, window, (rib < -2.0) & ~front, [Label.CORTICAL_BONE])
    sternum = np.maximum(np.abs(depth - 6) - 5, np.maximum(np.abs(x) - (14 + np.float32(0.12) * (z - 700)), 668 - z))
    sternum = np.maximum(np.maximum(sternum, z - 838), y + 25)
    canvas.put(Label.CORTICAL_BONE, window, sternum < 0, [*soft, Label.CARTILAGE])
    canvas.put(Label.MARROW, window, sternum < -1.8, [Label.CORTICAL_BONE])


def _paint_shoulder(canvas: Canvas, side: int) -> None:
    canvas.bone(
        Tube(mirrored([(16, -52, 832), (70, -58, 846), (120, -20, 850), (150, 12, 848)], side), [8, 6, 6, 8]),
        within=SOFT,
    )
    blade = ((side * 105 - 60, side * 105 + 60), (30.0, 112.0), (680.0, 845.0))
    window = canvas.window(blade)
    if window is not None:
        x, y, z = canvas.coordinates(window)
        lateral = side * x
        middle = 92 - np.float32(0.0042) * (lateral - 55) ** 2
        inner_edge = 62 + np.float32(0.10) * (835 - z)
        outer_edge = 92 + np.float32(0.36) * (z - 690)
        plate = np.maximum(np.abs(y - middle) - 3.0, np.maximum(inner_edge - lateral, lateral - outer_edge))
        plate = np.maximum(plate, np.maximum(690 - z, z - 835))
        canvas.put(Label.CORTICAL_BONE, window, plate < 0, [*SOFT])
        canvas.put(Label.MARROW, window, plate < -1.7, [Label.CORTICAL_BONE])
    canvas.bone(Tube(mirrored([(70, 92, 812), (115, 84, 828), (152, 42, 842)], side), [5, 6, 7]), within=SOFT)
    canvas.bone(Ellipsoid((side * 144, 24, 812), (10, 14, 18)), within=SOFT)


def _paint_arm(canvas: Canvas, side: int) -> None:
    canvas.bone(Ellipsoid((side * 174, 14, 818), (24, 24, 24)), within=SOFT)
    canvas.bone(Tube(mirrored([(180, 14, 800), (203, 20, 700), (221, 28, 550)], side), [14, 11.5, 13]), 4.5, SOFT)
    canvas.bone(Tube(mirrored([(214, 30, 545), (222, 14, 430), (222, -8, 300)], side), [10, 8, 7]), 3.0, SOFT)
    canvas.bone(Tube(mirrored([(231, 22, 540), (238, 4, 430), (240, -12, 300)], side), [9, 8, 10]), 3.0, SOFT)
    canvas.bone(Tube(mirrored([(231, -12, 292), (232, -14, 260), (230, -16, 200)], side), [12, 9, 6]), 2.5, SOFT)


def _paint_pelvis(canvas: Canvas, side: int) -> None:
    box = ((side * 90 - 75, side * 90 + 75), (-85.0, 100.0), (280.0, 440.0))
    window = canvas.window(box)
    if window is not None:
        x, y, z = canvas.coordinates(window)
        lateral = side * x
        width = 96 + np.float32(0.30) * (z - 290)
        radius = np.sqrt((lateral / width) ** 2 + ((y + 38) / 112) ** 2)
        plate = np.abs(radius - 1) * 104 - (4.0 + np.float32(0.055) * np.clip(z - 360, 0, 80))
        crest = 436 - np.float32(0.0048) * (y - 5) ** 2
        lower = 282 + np.float32(0.9) * np.clip(np.abs(y - 8) - 28, 0, 60)
        wing = np.maximum(np.maximum(plate, z - crest), np.maximum(lower - z, 34 - lateral))
        wing = np.maximum(wing, -58 + np.float32(0.35) * (z - 360) - y)
        canvas.put(Label.CORTICAL_BONE, window, wing < 0, SOFT)
        canvas.put(Label.MARROW, window, wing < -2.0, [Label.CORTICAL_BONE])
    socket = Ellipsoid((side * 88, 4, 278), (37, 37, 37))

    def cup(x: Array, y: Array, z: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        away = np.sqrt((side * x - 90) ** 2 + (y - 4) ** 2 + (z - 275) ** 2)
        return np.asarray((away > 27) & ((90 - side * x) + 0.9 * (z - 275) > -4))

    canvas.paint(Label.CORTICAL_BONE, socket, within=SOFT, where=cup)
    canvas.paint(
        Label.MARROW,
        socket,
        within=[Label.CORTICAL_BONE],
        offset=-2.2,
        where=lambda x, y, z: cup(side * (side * x + 2.2), y, z),
    )
    canvas.bone(Tube(mirrored([(74, 34, 262), (64, 46, 228), (56, 36, 206)], side), [15, 15, 12]), within=SOFT)
    canvas.bone(Tube(mirrored([(70, -20, 272), (36, -48, 254), (12, -60, 240)], side), [13, 9, 11]), within=SOFT)
    canvas.bone(Tube(mirrored([(14, -58, 230), (36, -12, 210), (56, 30, 208)], side), [9, 7, 10]), within=SOFT)


def femur_axis(side: int) -> list[Point]:
    """Axis of the femoral shaft from the trochanter to the knee."""
    return mirrored([(118, 8, 236), (112, -4, 190), (102, -10, 60), (92, -6, -120), (84, 0, -240)], side)


def _paint_femur(canvas: Canvas, side: int) -> None:
    inside = [*SOFT, Label.CORTICAL_BONE]
    canvas.bone(Ellipsoid((side * 90, 4, 275), (24, 24, 24)), 2.0, SOFT)
    canvas.bone(Tube(mirrored([(92, 4, 274), (118, 8, 250)], side), [16, 17]), 2.5, inside)
    canvas.bone(Tube(mirrored([(122, 14, 262), (118, 8, 232)], side), [16, 18]), 3.0, inside)
    axis = femur_axis(side)
    canvas.paint(Label.CORTICAL_BONE, Tube(axis, [18, 16, 14.5, 15, 22]), within=inside)
    canvas.paint(Label.YELLOW_MARROW, Tube(axis, [14, 9.5, 7.5, 8, 19]), within=[Label.CORTICAL_BONE, Label.MARROW])
