"""Head and neck: brain in the skull, face bones and air spaces, eyes, glands, jaw."""

from __future__ import annotations

import numpy as np

from petctfusion.phantom.canvas import Canvas
from petctfusion.phantom.fields import SmoothField
from petctfusion.phantom.shapes import Ellipsoid, Tube, mirrored, smooth_minimum
from petctfusion.phantom.tissues import Label

SOFT = [Label.MUSCLE, Label.FAT, Label.SKIN, Label.SEPTUM]
FACE = [*SOFT, Label.CORTICAL_BONE, Label.MARROW]
CEREBRUM = Ellipsoid((0, 8, 1056), (64, 81, 64))
CEREBELLUM = Ellipsoid((0, 46, 1002), (47, 32, 24))
STEM = Tube([(0, 18, 1020), (0, 28, 985)], [13, 9])


def paint_head(canvas: Canvas, generator: np.random.Generator, brain: bool = True) -> None:
    """Face and glands, and with `brain` also brain and skull (an organ map brings its own brain)."""
    _paint_face(canvas)
    if brain:
        _paint_skull(canvas)
        _paint_brain(canvas, generator)
    _paint_glands(canvas)


def _paint_skull(canvas: Canvas) -> None:
    window = canvas.window(CEREBRUM.box, 30.0)
    if window is None:
        return
    x, y, z = canvas.coordinates(window)
    inner = smooth_minimum(CEREBRUM.distance(x, y, z), CEREBELLUM.distance(x, y, z), 12.0)
    canvas.put(Label.CORTICAL_BONE, window, inner < 9.5, FACE)
    canvas.put(Label.MARROW, window, (inner < 7.0) & (inner > 4.6) & (z > 1015), [Label.CORTICAL_BONE])
    canvas.put(Label.CLEAR_FLUID, window, inner < 2.6, [Label.CORTICAL_BONE, Label.MARROW])


def _paint_brain(canvas: Canvas, generator: np.random.Generator) -> None:
    fluid = [Label.CLEAR_FLUID, Label.CORTICAL_BONE, Label.MARROW]
    canvas.paint(Label.GREY_MATTER, CEREBELLUM, within=fluid)
    canvas.paint(Label.WHITE_MATTER, STEM, within=[*FACE, Label.CLEAR_FLUID, Label.GREY_MATTER])
    window = canvas.window(CEREBRUM.box)
    if window is None:
        return
    x, y, z = canvas.coordinates(window)
    folds = SmoothField.draw(generator, 13.0).on(canvas.grid, 2)[window]
    depth = -CEREBRUM.distance(x, y, z)
    fissure = (np.abs(x) < 1.6) & (z > 1070)
    inside = depth > 0
    canvas.put(Label.WHITE_MATTER, window, inside, [*fluid, Label.GREY_MATTER])
    canvas.put(Label.GREY_MATTER, window, inside & (depth + 5.5 * folds < 9.5), [Label.WHITE_MATTER])
    sulci = inside & (((depth < 8) & (folds > 1.25)) | fissure)
    canvas.put(Label.CLEAR_FLUID, window, sulci, [Label.GREY_MATTER, Label.WHITE_MATTER])
    for side in (1, -1):
        nuclei = Ellipsoid((side * 22, 2, 1052), (9, 20, 13), (0, 0, side * -15))
        canvas.paint(Label.GREY_MATTER, nuclei, within=[Label.WHITE_MATTER])
        canvas.paint(Label.GREY_MATTER, Ellipsoid((side * 10, 22, 1050), (8, 13, 9)), within=[Label.WHITE_MATTER])
        ventricle = Tube(mirrored([(9, -22, 1068), (8, 5, 1076), (16, 38, 1066)], side), [4.5, 4, 5])
        canvas.paint(Label.CLEAR_FLUID, ventricle, within=[Label.WHITE_MATTER, Label.GREY_MATTER])


def _paint_face(canvas: Canvas) -> None:
    canvas.paint(Label.CORTICAL_BONE, Ellipsoid((0, -62, 985), (44, 30, 34)), within=SOFT)
    canvas.paint(Label.MARROW, Ellipsoid((0, -62, 985), (42, 28, 32)), within=[Label.CORTICAL_BONE])
    for side in (1, -1):
        canvas.paint(Label.AIRWAY, Ellipsoid((side * 25, -62, 988), (13, 16, 17)), within=FACE)
        canvas.paint(Label.CORTICAL_BONE, Ellipsoid((side * 31, -66, 1022), (19, 21, 18)), within=SOFT)
        canvas.paint(Label.FAT, Ellipsoid((side * 31, -68, 1022), (17, 22, 16)), within=FACE)
        canvas.paint(Label.EYE, Ellipsoid((side * 31, -74, 1022), (12, 12, 12)), within=[Label.FAT, *FACE])
        jaw = mirrored([(50, -12, 990), (47, -16, 940), (30, -62, 920), (0, -78, 916)], side)
        canvas.bone(Tube(jaw, [6, 8, 8, 10]), 2.5, SOFT)
        teeth = mirrored([(28, -52, 945), (18, -76, 945), (0, -84, 945)], side)
        canvas.paint(Label.CORTICAL_BONE, Tube(teeth, [6, 6, 5]), within=SOFT)
        cheek = mirrored([(38, -70, 1000), (60, -42, 1002), (66, -10, 1004)], side)
        canvas.bone(Tube(cheek, [7, 5, 4]), 2.0, SOFT)
    canvas.paint(Label.AIRWAY, Ellipsoid((0, -72, 990), (9, 26, 20)), within=FACE)
    canvas.paint(Label.AIRWAY, Tube([(0, -30, 985), (0, -14, 950), (0, -10, 925)], [9, 8, 8]), within=FACE)
    canvas.paint(Label.CARTILAGE, Tube([(0, -24, 912), (0, -18, 888)], [13, 12]), within=SOFT)
    canvas.paint(Label.AIRWAY, Tube([(0, -10, 932), (0, -10, 880)], [8, 8]), within=[*FACE, Label.CARTILAGE])


def _paint_glands(canvas: Canvas) -> None:
    for side in (1, -1):
        canvas.paint(Label.GLAND, Ellipsoid((side * 56, -4, 966), (9, 17, 22)), within=SOFT)
        canvas.paint(Label.GLAND, Ellipsoid((side * 30, -38, 916), (9, 14, 12)), within=SOFT)
        canvas.paint(Label.GLAND, Ellipsoid((side * 18, -16, 872), (9, 11, 20)), within=SOFT)
        canvas.paint(Label.GLAND, Ellipsoid((side * 13, -4, 962), (6, 7, 11)), within=SOFT)
