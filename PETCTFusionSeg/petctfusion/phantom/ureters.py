"""Ureters from real kidneys to a real bladder: hot in places, as urine passes in waves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from petctfusion.phantom.canvas import Canvas
from petctfusion.phantom.tissues import Label

_PASSABLE = (Label.FAT, Label.VISCERAL_FAT, Label.MUSCLE, Label.SEPTUM, Label.BOWEL, Label.BOWEL_CONTENT, Label.BLOOD)
_FILLED_SHARE = 0.45
_WAVE_MM = 35.0


def paint_ureters(
    canvas: Canvas, kidneys: NDArray[np.bool_], bladder: NDArray[np.bool_], generator: np.random.Generator
) -> None:
    """One voxel-wide way a side, from the lower inner end of the kidney to the back of the bladder, filled in waves."""
    if not kidneys.any() or not bladder.any():
        return
    grid = canvas.grid
    renal = grid.points(np.argwhere(kidneys)[:, ::-1].astype(np.float64))
    vesical = grid.points(np.argwhere(bladder)[:, ::-1].astype(np.float64))
    middle = float(np.median(vesical[:, 0]))
    for side in (1, -1):
        own = renal[(renal[:, 0] - middle) * side > 0]
        if not len(own):
            continue
        start = np.quantile(own, 0.5, axis=0)
        start[0] = np.quantile(own[:, 0], 0.15 if side > 0 else 0.85)
        end = np.array([middle + side * 12.0, np.quantile(vesical[:, 1], 0.8), np.quantile(vesical[:, 2], 0.7)])
        bend = (start + end) / 2 + np.array([side * generator.uniform(-8, 8), generator.uniform(4, 14), 0.0])
        _fill(canvas, np.stack([start, bend, end]), generator)


def _fill(canvas: Canvas, corners: NDArray[np.float64], generator: np.random.Generator) -> None:
    length = float(np.linalg.norm(np.diff(corners, axis=0), axis=1).sum())
    way = np.linspace(0, 1, max(int(length), 2))
    # A parabola through the three points.
    curve = corners[0] + way[:, None] * (4 * corners[1] - 3 * corners[0] - corners[2])
    curve += way[:, None] ** 2 * (2 * corners[0] + 2 * corners[2] - 4 * corners[1])
    waves = generator.random(int(length / _WAVE_MM) + 2) < _FILLED_SHARE
    filled = waves[(way * length / _WAVE_MM).astype(int)]
    x, y, z = np.unique(np.rint(canvas.grid.indices(curve[filled])).astype(int), axis=0).T
    there = np.all((np.stack([z, y, x]) >= 0) & (np.stack([z, y, x]) < np.reshape(canvas.labels.shape, (3, 1))), axis=0)
    z, y, x = z[there], y[there], x[there]
    passable = np.isin(canvas.labels[z, y, x], [int(one) for one in _PASSABLE])
    canvas.labels[z[passable], y[passable], x[passable]] = int(Label.URINE)
