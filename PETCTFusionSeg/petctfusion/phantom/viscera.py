"""Organs of the trunk: lungs, heart and vessels, liver, spleen, stomach, bowel, kidneys, bladder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from petctfusion.phantom.body import CAVITY
from petctfusion.phantom.canvas import Canvas
from petctfusion.phantom.fields import SmoothField
from petctfusion.phantom.shapes import Array, Ellipsoid, Point, Shape, Tube, mirrored
from petctfusion.phantom.tissues import Label

FILL = [Label.VISCERAL_FAT, Label.MUSCLE, Label.SEPTUM]
THORAX = [Label.VISCERAL_FAT, Label.LUNG, Label.MUSCLE, Label.SEPTUM]


def paint_muscles_and_vessels(canvas: Canvas) -> None:
    """Psoas and piriform muscles, aorta and caval vein, and the vessels down to the thighs."""
    for side in (1, -1):
        psoas = mirrored([(34, 46, 560), (44, 36, 450), (70, 2, 340), (88, -6, 270)], side)
        canvas.paint(Label.MUSCLE, Tube(psoas, [9, 22, 20, 14]), within=[Label.VISCERAL_FAT])
        artery = mirrored(
            [(0, 10, 432), (34, 16, 375), (66, -32, 290), (80, -48, 215), (72, -24, 90), (74, 18, -80), (80, 34, -240)],
            side,
        )
        canvas.paint(Label.BLOOD, Tube(artery, [8, 6.5, 5.5, 5, 4.2, 3.6, 3.4]), within=FILL)
        vein = [(px - side * 10, py + 8, pz) for px, py, pz in artery]
        canvas.paint(Label.BLOOD, Tube(vein, [9, 7, 6, 5.5, 4.6, 4, 3.6]), within=FILL)
        carotid = mirrored([(14, 10, 822), (26, 0, 880), (32, -2, 950)], side)
        canvas.paint(Label.BLOOD, Tube(carotid, [5, 4, 3.5]), within=FILL)
    aorta: list[Point] = [(4, 36, 640), (6, 24, 560), (4, 14, 430)]
    canvas.paint(Label.BLOOD, Tube([(20, 48, 770), *aorta], [12.5, 11, 10, 9]), within=THORAX)
    canvas.paint(Label.BLOOD, Tube([(-20, 8, 700), (-22, 20, 580), (-14, 14, 430)], [13, 11, 10]), within=THORAX)


def diaphragm(x: Array, y: Array) -> Array:
    """Height of the diaphragm in mm: a dome on each side, the right one higher, falling to back and flanks."""
    tops = []
    for side, top in ((-1, 704.0), (1, 690.0)):
        spread = ((x - side * 64) / 84) ** 2 + ((y + 12) / 100) ** 2
        tops.append(top - 88 * np.clip(spread, 0, 1.6))
    return np.asarray(np.maximum(np.maximum(tops[0], tops[1]), 560), dtype=np.float32)


def paint_lungs(canvas: Canvas, generator: np.random.Generator) -> None:
    """Both lungs above the diaphragm, with vessels running out from the hila, and the airways."""
    window = canvas.window(((-140, 140), (-110, 100), (560, 890)))
    if window is not None:
        x, y, z = canvas.coordinates(window)
        apart = 17 + np.float32(0.10) * np.clip(y + 60, 0, 90) + np.float32(0.06) * np.clip(z - 800, 0, 90)
        inside = (CAVITY.distance(x, y, z) < -1.5) & (z > diaphragm(x, y)) & (np.abs(x) > apart)
        canvas.put(Label.LUNG, window, inside, FILL)
    paint_airways(canvas)
    for side in (1, -1):
        paint_lung_vessels(canvas, (side * 34.0, 22.0, 760.0), side, generator)


def paint_airways(canvas: Canvas) -> None:
    """Trachea and main bronchi."""
    tissue = [*THORAX, Label.BLOOD]
    for side in (1, -1):
        canvas.paint(Label.AIRWAY, Tube(mirrored([(0, 26, 790), (36, 26, 758)], side), [7, 5]), within=tissue)
    canvas.paint(Label.AIRWAY, Tube([(0, -8, 930), (0, 6, 870), (0, 26, 790)], [8, 8.5, 8.5]), within=tissue)


def paint_lung_vessels(canvas: Canvas, hilum: Point, side: int, generator: np.random.Generator) -> None:
    """Branches of the pulmonary vessels: from the hilum outwards, each forking once."""
    for _ in range(16):
        way = generator.normal(size=3) + np.array([side * 0.9, 0.0, -0.15])
        way /= np.linalg.norm(way)
        middle = np.asarray(hilum) + way * generator.uniform(28, 45)
        points = [hilum, (float(middle[0]), float(middle[1]), float(middle[2]))]
        canvas.paint(Label.BLOOD, Tube(points, [5.0, 2.8]), within=[Label.LUNG])
        for _ in range(3):
            turn = way + generator.normal(0, 0.45, 3)
            end = middle + turn / np.linalg.norm(turn) * generator.uniform(35, 65)
            branch = Tube([points[1], (float(end[0]), float(end[1]), float(end[2]))], [2.6, 0.8])
            canvas.paint(Label.BLOOD, branch, within=[Label.LUNG])


def paint_heart(canvas: Canvas) -> None:
    """Left ventricle with a thick wall, right ventricle, atria, great vessels, in pericardial fat."""
    tilt = (38.0, 0.0, 52.0)
    left = Ellipsoid((38, -32, 712), (31, 31, 47), (-52, 0, 40))
    right = Ellipsoid((4, -54, 712), (42, 27, 38), tilt)
    atria = [Ellipsoid((-30, -14, 738), (24, 27, 32)), Ellipsoid((8, 14, 745), (34, 20, 26))]
    chambers: list[Shape] = [left, right, *atria]
    for shape in chambers:
        canvas.paint(Label.VISCERAL_FAT, shape, within=THORAX, offset=6.0)
    over = [*THORAX, Label.BLOOD, Label.MYOCARDIUM]
    for shape in atria:
        canvas.paint(Label.BLOOD, shape, within=over)
    canvas.paint(Label.MYOCARDIUM, right, within=over, offset=3.0)
    canvas.paint(Label.BLOOD, right, within=over)
    canvas.paint(Label.MYOCARDIUM, left, within=over)
    canvas.paint(Label.BLOOD, left, within=over, offset=-11.0)
    great: list[tuple[list[Point], list[float]]] = [
        ([(2, -14, 748), (-12, -24, 785), (-2, -4, 815), (16, 28, 812), (20, 46, 775)], [14, 15, 13.5, 13, 12.5]),
        ([(14, -38, 750), (10, -18, 785), (34, 8, 782)], [13, 13, 10]),
        ([(10, -10, 784), (-34, 6, 778)], [12, 9]),
        ([(-28, -8, 750), (-30, -12, 830)], [11, 9]),
    ]
    for points, radii in great:
        canvas.paint(Label.BLOOD, Tube(points, radii), within=over)


def paint_liver(canvas: Canvas) -> None:
    """Liver under the right dome, tapering to the left lobe in front of the stomach."""
    window = canvas.window(((-135, 95), (-100, 90), (470, 705)))
    if window is None:
        return
    x, y, z = canvas.coordinates(window)
    floor = 512 + np.float32(0.80) * np.clip(x + 108, 0, 250) + np.float32(0.0040) * np.clip(x + 40, 0, 200) ** 2
    floor = floor + np.float32(0.45) * np.clip(y - 20, 0, 80)
    left_lobe = np.where(x > 0, y + np.float32(0.55) * x - 8, -50)
    hollow = 30 - np.sqrt((x + 14) ** 2 + (y - 40) ** 2)
    parts = (CAVITY.distance(x, y, z) + 4, z - diaphragm(x, y) + 4, floor - z, left_lobe, x - 88, hollow)
    edge = parts[0]
    for part in parts[1:]:
        edge = _rounded_maximum(edge, part, 14.0)
    canvas.put(Label.LIVER, window, edge < 0, [*FILL, Label.BLOOD])
    for end, radius in (((-85.0, 5.0, 625.0), 4.5), ((-60.0, -45.0, 600.0), 4.0), ((20.0, -50.0, 645.0), 3.5)):
        canvas.paint(Label.BLOOD, Tube([(-24, 6, 640), end], [7, radius * 0.5]), within=[Label.LIVER])
    canvas.paint(Label.CLEAR_FLUID, Ellipsoid((-58, -62, 545), (15, 17, 30), (20, 0, 0)), within=[*FILL, Label.LIVER])


def _rounded_maximum(a: Array, b: Array, width_mm: float) -> Array:
    blend = np.clip(width_mm - np.abs(a - b), 0, None) / width_mm
    return np.asarray(np.maximum(a, b) + blend**2 * (width_mm / 4), dtype=np.float32)


def paint_spleen(canvas: Canvas) -> None:
    """Spleen at the back, under the left dome."""
    canvas.paint(Label.SPLEEN, Ellipsoid((98, 36, 622), (21, 40, 50), (18, 12, -20)), within=FILL)


def paint_stomach(canvas: Canvas) -> None:
    """Stomach with wall, fluid, and gas in front as in a patient who lies on the back."""
    path: list[Point] = [(56, 6, 662), (66, -20, 622), (50, -46, 580), (10, -54, 556), (-22, -38, 560)]
    radii = [33.0, 31, 27, 21, 14]
    canvas.paint(Label.STOMACH, Tube(path, radii), within=FILL)
    inner = Tube(path, [r - 4.5 for r in radii])
    canvas.paint(Label.STOMACH_CONTENT, inner, within=[Label.STOMACH])
    canvas.paint(Label.BOWEL_GAS, inner, within=[Label.STOMACH_CONTENT], where=_front_of_stomach)
    duodenum: list[Point] = [(-22, -38, 560), (-42, -4, 545), (-40, 6, 500), (6, 0, 490)]
    canvas.paint(Label.BOWEL, Tube(duodenum, [14, 13, 13, 12]), within=FILL)
    pancreas: list[Point] = [(-30, -8, 545), (10, -14, 570), (52, 14, 592)]
    canvas.paint(Label.GLAND, Tube(pancreas, [13, 10, 9]), within=FILL)


def _front_of_stomach(_x: Array, y: Array, z: Array) -> NDArray[np.bool_]:
    """Where gas gathers."""
    return np.asarray(y < -44 + 0.2 * (z - 600))


def paint_kidneys(canvas: Canvas) -> None:
    """Kidneys with the renal pelvis opening to the middle, and ureters."""
    for side, height in ((1, 572.0), (-1, 556.0)):
        shape = Ellipsoid((side * 62, 38, height), (26, 24, 55), (12, side * -10, side * 25))
        canvas.paint(Label.KIDNEY, shape, within=[*FILL, Label.LIVER, Label.BOWEL, Label.GLAND])
        sinus = Ellipsoid((side * 50, 32, height), (14, 12, 26), (0, side * -10, 0))
        canvas.paint(Label.VISCERAL_FAT, sinus, within=[Label.KIDNEY])
        canvas.paint(Label.URINE, Ellipsoid((side * 48, 32, height - 2), (10, 6, 13)), within=[Label.VISCERAL_FAT])
        ureter = mirrored([(42, 32, height - 8), (46, 18, 470), (48, 16, 380), (30, 8, 300)], side)
        canvas.paint(Label.URINE, Tube(ureter, [2.2, 1.6, 1.4, 1.5]), within=FILL)


def paint_pelvic_organs(canvas: Canvas, generator: np.random.Generator) -> None:
    """Bladder of a drawn filling, prostate and rectum."""
    filling = float(generator.uniform(0.85, 1.15))
    bladder = Ellipsoid((0, -28, 288), (42 * filling, 32 * filling, 31 * filling))
    canvas.paint(Label.BOWEL, Tube([(0, 44, 345), (0, 48, 300), (0, 34, 245)], [17, 18, 14]), within=FILL)
    canvas.paint(Label.BOWEL_CONTENT, Tube([(0, 44, 345), (0, 48, 300)], [13, 13]), within=[Label.BOWEL])
    canvas.paint(Label.PROSTATE, Ellipsoid((0, -4, 246), (23, 18, 19)), within=FILL)
    canvas.paint(Label.MUSCLE, bladder, within=[*FILL, Label.PROSTATE], offset=3.0)
    canvas.paint(Label.URINE, bladder, within=[*FILL, Label.PROSTATE])


def paint_bowel(canvas: Canvas, generator: np.random.Generator) -> None:
    """Colon as a frame of haustrated tubes with stool and gas; small bowel as coils of a random field inside it."""
    colon: list[Point] = [
        (-96, 6, 405),
        (-100, 10, 470),
        (-98, 6, 530),
        (-70, -46, 528),
        (-20, -72, 500),
        (35, -74, 512),
        (84, -40, 560),
        (100, 0, 588),
        (104, 18, 540),
        (102, 16, 450),
        (90, 2, 395),
        (50, 4, 350),
        (20, 30, 372),
        (0, 44, 345),
    ]
    radii = [26.0, 25, 23, 20, 19, 18, 18, 18, 16, 15, 14, 14, 14, 16]
    shape = Tube(colon, radii)
    window = canvas.window(shape.box, 4.0)
    if window is None:
        return
    x, y, z = canvas.coordinates(window)
    pouches = SmoothField.draw(generator, 26.0).on(canvas.grid, 3)[window]
    distance = shape.distance(x, y, z) + 2.5 * pouches
    canvas.put(Label.BOWEL, window, distance < 0, FILL)
    content = distance < -3.0
    canvas.put(Label.BOWEL_CONTENT, window, content, [Label.BOWEL])
    gas = content & (pouches > 0.35) & (y < 15)
    canvas.put(Label.BOWEL_GAS, window, gas, [Label.BOWEL_CONTENT])
    _paint_small_bowel(canvas, generator)


def _paint_small_bowel(canvas: Canvas, generator: np.random.Generator) -> None:
    window = canvas.window(((-90, 92), (-85, 40), (318, 530)))
    if window is None:
        return
    x, y, z = canvas.coordinates(window)
    coils = SmoothField.draw(generator, 22.0).on(canvas.grid, 3)[window]
    region = (CAVITY.distance(x, y, z) < -7) & (y < 22 + np.float32(0.1) * (z - 320)) & (z > 322) & (z < 528)
    canvas.put(Label.BOWEL, window, region & (np.abs(coils) < 0.62), [Label.VISCERAL_FAT])
    canvas.put(Label.BOWEL_CONTENT, window, region & (np.abs(coils) < 0.22), [Label.BOWEL])
