"""The label grid being painted: nominal body coordinates under every voxel, and shapes put on it in painter's order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petctfusion.phantom.fields import SmoothField, axis_points
from petctfusion.phantom.shapes import Array, Box, Shape
from petctfusion.phantom.tissues import Label
from petctfusion.volumes.geometry import Geometry

WARP_MM = 3.5
"""Standard deviation of the displacement that keeps organs from being perfect solids."""
WARP_LENGTH_MM = 95.0
_REACH_MM = 4 * WARP_MM
Slices = tuple[slice, slice, slice]
AxisMap = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class BodyMap:
    """How world mm become nominal body mm along each axis; monotone, so that boxes stay boxes.

    `lean` moves a transverse plane by (x, y) nominal mm as a function of nominal height: a head held forward.
    """

    x: AxisMap
    y: AxisMap
    z: AxisMap
    lean: Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]] | None = None

    @classmethod
    def scaled(cls, girth: float, depth: float, height: float) -> BodyMap:
        """A patient who is the nominal one times these factors."""
        return cls(lambda v: v / girth, lambda v: v / depth, lambda v: v / height)


class Canvas:
    """Labels (z, y, x) uint8 on an axis-aligned grid with warped nominal coordinates `x`, `y`, `z` in mm (float32)."""

    def __init__(self, grid: Geometry, body: BodyMap, generator: np.random.Generator) -> None:
        self.grid = grid
        self.labels: NDArray[np.uint8] = np.zeros(grid.shape, dtype=np.uint8)
        world_z, world_y, world_x = axis_points(grid)
        self._axes = (
            body.z(world_z.astype(np.float64)).astype(np.float32),
            body.y(world_y.astype(np.float64)).astype(np.float32),
            body.x(world_x.astype(np.float64)).astype(np.float32),
        )
        warps = [SmoothField.draw(generator, WARP_LENGTH_MM).on(grid, 8) * np.float32(WARP_MM) for _ in range(3)]
        self.z = warps[0] + self._axes[0][:, None, None]
        self.y = warps[1] + self._axes[1][None, :, None]
        self.x = warps[2] + self._axes[2][None, None, :]
        self._lean_mm = 0.0
        if body.lean is not None:
            move_x, move_y = body.lean(self._axes[0].astype(np.float64))
            self.x += move_x.astype(np.float32)[:, None, None]
            self.y += move_y.astype(np.float32)[:, None, None]
            self._lean_mm = float(max(np.abs(move_x).max(), np.abs(move_y).max()))

    def window(self, box: Box, margin_mm: float = 0.0) -> Slices | None:
        """The part of the grid that a box in nominal mm can reach, or None."""
        parts = []
        for axis, (low, high) in zip(self._axes, (box[2], box[1], box[0]), strict=True):
            reach = _REACH_MM + self._lean_mm + margin_mm
            start = int(np.searchsorted(axis, low - reach))
            stop = int(np.searchsorted(axis, high + reach))
            if start >= stop:
                return None
            parts.append(slice(start, stop))
        return parts[0], parts[1], parts[2]

    def coordinates(self, window: Slices) -> tuple[Array, Array, Array]:
        """Nominal (x, y, z) of the voxels of a window."""
        return self.x[window], self.y[window], self.z[window]

    def paint(
        self,
        label: Label,
        shape: Shape,
        *,
        within: Sequence[Label] | None = None,
        offset: float = 0.0,
        where: Callable[[Array, Array, Array], NDArray[np.bool_]] | None = None,
    ) -> None:
        """Give `label` to the voxels whose distance is below `offset`, optionally only over labels `within` and where
        a condition on the nominal coordinates holds."""
        window = self.window(shape.box, max(offset, 0.0))
        if window is None:
            return
        x, y, z = self.coordinates(window)
        inside = shape.distance(x, y, z) < offset
        if where is not None:
            inside &= where(x, y, z)
        self.put(label, window, inside, within)

    def put(
        self, label: Label, window: Slices, inside: NDArray[np.bool_], within: Sequence[Label] | None = None
    ) -> None:
        """Give `label` to the voxels `inside` of a window."""
        target = self.labels[window]
        if within is not None:
            inside = inside & np.isin(target, [int(one) for one in within])
        target[inside] = int(label)

    def bone(self, shape: Shape, shell_mm: float = 2.5, within: Sequence[Label] | None = None) -> None:
        """Cortical bone with marrow beneath a shell of `shell_mm`."""
        self.paint(Label.CORTICAL_BONE, shape, within=within)
        self.paint(Label.MARROW, shape, within=[Label.CORTICAL_BONE], offset=-shell_mm)
