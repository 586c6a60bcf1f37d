"""The maximum intensity projection of a PET from in front, as numbers: where no view can ray cast fast enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .transforms import Matrix, arrayFromImage, linearToWorld
from .volumes import ijkToRasOfNode

Ras = tuple[float, float, float]
_ANTERIOR, _RIGHT, _SUPERIOR = 1, 0, 2


@dataclass(frozen=True)
class ProjectionSource:
    """The voxels of a PET, in memory that is its node's, and where they are; any thread may read them."""

    values: NDArray[Any]
    """Seen from in front: rows from the head down, depth, columns from the patient's right to his left."""
    ijkToWorld: Matrix
    order: tuple[int, int, int]
    """Which axis (of z, y, x) became rows, depth and columns."""
    flips: tuple[bool, bool, bool]

    def project(self) -> NDArray[np.float32]:
        """The maxima (rows, columns)."""
        return np.asarray(self.values.max(axis=1), dtype=np.float32)

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height of the projection."""
        spacing = np.linalg.norm(self.ijkToWorld[:3, :3], axis=0)[::-1]
        rows, _depth, columns = self.values.shape
        return float(columns * spacing[self.order[2]]), float(rows * spacing[self.order[0]])

    def place(self, across: float, down: float) -> Ras:
        """World RAS (mm) of the highest value behind a point of the projection, given in parts of width and height."""
        rows, _depth, columns = self.values.shape
        row, column = min(rows - 1, max(0, int(down * rows))), min(columns - 1, max(0, int(across * columns)))
        seen = (row, int(self.values[row, :, column].argmax()), column)
        index = np.zeros(3)
        for axis, at, size, flipped in zip(self.order, seen, self.values.shape, self.flips, strict=True):
            index[axis] = size - 1 - at if flipped else at
        x, y, z = (float(value) for value in (self.ijkToWorld @ [*index[::-1], 1.0])[:3])
        return x, y, z


def projectionSource(pet: Any) -> ProjectionSource | None:
    """A PET node seen from in front, along that of its axes which is nearest to it; None without voxels.

    A parent transform that bends is left out: then only places, which are for looking, are where they were before.
    """
    image = pet.GetImageData() if pet is not None else None
    if image is None or image.GetNumberOfScalarComponents() != 1:
        return None
    values = arrayFromImage(image)
    if not values.size:
        return None
    parent = linearToWorld(pet)
    ijkToWorld = (parent if parent is not None else np.eye(4)) @ ijkToRasOfNode(pet)
    # Columns in the order of the array's axes (z, y, x).
    axes = ijkToWorld[:3, :3][:, ::-1] / np.linalg.norm(ijkToWorld[:3, :3], axis=0)[::-1]
    rows = int(np.abs(axes[_SUPERIOR]).argmax())
    others = [axis for axis in range(3) if axis != rows]
    depth = max(others, key=lambda axis: abs(axes[_ANTERIOR, axis]))
    columns = next(axis for axis in others if axis != depth)
    # Rows run down, depth away from the eye, columns from right to left: against the axes of RAS, all three.
    flips = (axes[_SUPERIOR, rows] > 0, axes[_ANTERIOR, depth] > 0, axes[_RIGHT, columns] > 0)
    seen = np.transpose(values, (rows, depth, columns))[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return ProjectionSource(seen, ijkToWorld, (rows, depth, columns), (bool(flips[0]), bool(flips[1]), bool(flips[2])))


def shade(maxima: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """Grey values of a projection: white at the window's lower end, black at its upper one."""
    uptake = np.clip((maxima - low) / max(high - low, 1e-6), 0.0, 1.0)
    return np.asarray(255 - 255 * uptake, dtype=np.uint8)
