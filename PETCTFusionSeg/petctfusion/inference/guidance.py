"""What a network that answers clicks is given: clicks as blobs, and the window around the newest. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.inference.clicks import Click
from petctfusion.inference.windows import Triple
from petctfusion.volumes.geometry import Geometry

# Beside the window, so that smoothing before the resampling knows what lies there: two voxels of the network.
_MARGIN_VOXELS = 2


def click_blobs(
    shape: Sequence[int], spacing_zyx: Sequence[float], indices: Sequence[Sequence[float]], radius_mm: float
) -> NDArray[np.float32]:
    """exp(-d^2 / (2 r^2)) of the distance d in mm to the nearest of the points `indices` (z, y, x); 0 without any."""
    blobs = np.zeros(shape, dtype=np.float32)
    for index in indices:
        z, y, x = (
            np.exp(-0.5 * ((np.arange(size) - at) * spacing / radius_mm) ** 2).astype(np.float32)
            for size, at, spacing in zip(shape, index, spacing_zyx, strict=True)
        )
        np.maximum(blobs, z[:, None, None] * y[None, :, None] * x[None, None, :], out=blobs)
    return blobs


def click_channels(grid: Geometry, clicks: Sequence[Click], radius_mm: float) -> NDArray[np.float32]:
    """Two channels (2, z, y, x): foreground clicks, background clicks."""
    sides = []
    for side in (True, False):
        points = np.asarray([click.point for click in clicks if click.foreground is side], dtype=np.float64)
        indices = grid.indices(points)[:, ::-1].tolist() if len(points) else []
        sides.append(click_blobs(grid.shape, grid.spacing_zyx, indices, radius_mm))
    return np.stack(sides)


def window_around(grid: Geometry, patch: Triple, point: tuple[float, float, float]) -> Geometry:
    """The voxels of `grid`, continued beyond it where need be, of a window with `point` (LPS mm) in its middle."""
    index = np.floor(grid.indices(np.asarray([point], dtype=np.float64))[0][::-1] + 0.5).astype(int).tolist()
    starts = [at - length // 2 for at, length in zip(index, patch, strict=True)]
    return sub_grid(grid, [slice(start, start + length) for start, length in zip(starts, patch, strict=True)])


def click_context_mm(patch: Triple, spacing_mm: Sequence[float]) -> float:
    """How far around a click a network of such windows looks at the mask: half a window's half, and its smoothing."""
    return max(length * step / 4 for length, step in zip(patch, spacing_mm, strict=True)) + 2 * max(spacing_mm)


def sub_grid(grid: Geometry, box: Sequence[slice]) -> Geometry:
    """The box (z, y, x) of a grid."""
    z, y, x = box
    first = grid.points(np.array([[x.start, y.start, z.start]], dtype=np.float64))[0]
    return Geometry(
        (x.stop - x.start, y.stop - y.start, z.stop - z.start),
        grid.spacing,
        (float(first[0]), float(first[1]), float(first[2])),
        grid.direction,
    )


def seen_from(window: Geometry, images: Mapping[str, sitk.Image]) -> dict[str, sitk.Image]:
    """The images, each cut to what resampling to `window` looks at, and a margin."""
    margin_mm = _MARGIN_VOXELS * max(window.spacing)
    return {name: _cut(image, window.corners(), margin_mm) for name, image in images.items()}


def _cut(image: sitk.Image, corners: NDArray[Any], margin_mm: float) -> sitk.Image:
    grid = Geometry.of(image)
    index, margin = grid.indices(corners), margin_mm / np.asarray(grid.spacing)
    size = np.asarray(grid.size)
    low = np.clip(np.floor(index.min(axis=0) - margin).astype(int), 0, size - 1)
    high = np.clip(np.ceil(index.max(axis=0) + margin).astype(int) + 1, low + 1, size)
    return sitk.RegionOfInterest(image, (high - low).tolist(), low.tolist())
