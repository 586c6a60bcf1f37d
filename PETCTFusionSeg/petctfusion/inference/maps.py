"""Maps that explain a result: what a network attended to, put together from its windows. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.volumes.geometry import Geometry

MapKind = Literal["attention", "uncertainty"]
# All maps of a study together: a reader looks at one of them at a time.
BUDGET_BYTES = 256 << 20


@dataclass(frozen=True)
class StudyMap:
    """One map on a grid of its own.

    `kind` "attention": float32, how high the attention called `name` is, in the network's own numbers; it does not say
    why. "uncertainty": uint8, percent of a bit. `model`: the network, "name version".
    """

    name: str
    kind: MapKind
    model: str
    image: sitk.Image = field(repr=False)


class MapSum:
    """The attention maps of overlapping windows as their weighted mean, on every `step`-th voxel of a volume.

    The step is chosen when the first window tells how many maps there are, so that all fit into `budget` bytes.
    """

    def __init__(self, shape: Sequence[int], budget: int = BUDGET_BYTES) -> None:
        self.step = 1
        self._shape, self._budget = tuple(shape), budget
        self._sums: dict[str, NDArray[np.float32]] = {}
        self._weight: NDArray[np.float32] | None = None

    def add(self, start: Sequence[int], weight: NDArray[np.float32], maps: Mapping[str, NDArray[np.float32]]) -> None:
        """The maps of a window that starts at `start` (z, y, x; may reach out of the volume); `weight` of a voxel."""
        if self._weight is None:
            self.step = self._fitting_step(len(maps) + 1)
            coarse = [math.ceil(size / self.step) for size in self._shape]
            self._weight = np.zeros(coarse, np.float32)
            self._sums = {name: np.zeros(coarse, np.float32) for name in maps}
        inside, window = zip(*map(self._lattice, start, weight.shape, self._shape), strict=True)
        shares = weight[window]
        self._weight[inside] += shares
        for name, values in maps.items():
            self._sums[name][inside] += values[window] * shares

    def images(self, grid: Geometry) -> dict[str, sitk.Image]:
        """The maps of a volume on `grid`, float32, each on the grid of its voxels. The sums are given up."""
        if self._weight is None:
            return {}
        z, y, x = self._weight.shape
        dx, dy, dz = grid.spacing
        coarse = Geometry((x, y, z), (dx * self.step, dy * self.step, dz * self.step), grid.origin, grid.direction)
        found = {}
        while self._sums:
            name = next(iter(self._sums))
            found[name] = coarse.image(self._sums.pop(name) / self._weight)
        return found

    def _fitting_step(self, count: int) -> int:
        step = 1
        while 4 * count * math.prod(math.ceil(size / step) for size in self._shape) > self._budget:
            step += 1
        return step

    def _lattice(self, start: int, length: int, size: int) -> tuple[slice, slice]:
        """The kept voxels of one axis that a window covers: in the coarse volume, and in the window."""
        first = -(-max(start, 0) // self.step)
        last = -(-min(start + length, size) // self.step)
        return slice(first, last), slice(first * self.step - start, min(length, size - start), self.step)
