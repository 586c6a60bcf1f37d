"""Where voxels lie: size, spacing, origin and direction of an image, without its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray


@dataclass(frozen=True)
class Geometry:
    """Grid of a 3-D image in LPS, in SimpleITK's order (x, y, z); spacing and origin in mm, direction row-major 3x3."""

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image) -> Geometry:
        """The geometry of a 3-D image."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Geometry:
        """The geometry written by `to_json`."""
        sx, sy, sz = (int(v) for v in values["size"])
        dx, dy, dz = (float(v) for v in values["spacing"])
        ox, oy, oz = (float(v) for v in values["origin"])
        return cls((sx, sy, sz), (dx, dy, dz), (ox, oy, oz), tuple(float(v) for v in values["direction"]))

    def to_json(self) -> dict[str, Any]:
        """Plain lists, exact in JSON (Python writes floats so that they read back the same)."""
        return {
            "size": list(self.size),
            "spacing": list(self.spacing),
            "origin": list(self.origin),
            "direction": list(self.direction),
        }

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape (z, y, x)."""
        return self.size[2], self.size[1], self.size[0]

    @property
    def spacing_zyx(self) -> tuple[float, float, float]:
        """Spacing in mm in array order (z, y, x)."""
        return self.spacing[2], self.spacing[1], self.spacing[0]

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing)) / 1000.0

    @property
    def axes(self) -> NDArray[np.float64]:
        """Direction matrix: column i is the LPS unit vector of index axis i."""
        return np.asarray(self.direction, dtype=np.float64).reshape(3, 3)

    def points(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """LPS points in mm, (N, 3), of continuous indices (N, 3) in (x, y, z) order."""
        points: NDArray[np.float64] = np.asarray(self.origin) + (np.asarray(index) * self.spacing) @ self.axes.T
        return points

    def indices(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Continuous indices (N, 3) in (x, y, z) order of LPS points (N, 3) in mm."""
        index: NDArray[np.float64] = ((np.asarray(points) - self.origin) @ np.linalg.inv(self.axes).T) / self.spacing
        return index

    def corners(self) -> NDArray[np.float64]:
        """The eight outer corners (voxel edges, not centres) in LPS mm, (8, 3)."""
        low, high = -0.5, np.asarray(self.size) - 0.5
        grid = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
        return self.points(low + grid * (high - low))

    def same_grid(self, other: Geometry, tolerance_mm: float = 1e-3) -> bool:
        """True when every voxel of the two grids coincides within `tolerance_mm`."""
        return self.size == other.size and bool(np.allclose(self.corners(), other.corners(), atol=tolerance_mm, rtol=0))

    def image(self, array: NDArray[Any]) -> sitk.Image:
        """An image with this geometry around `array` (z, y, x)."""
        if array.shape != self.shape:
            raise ValueError(f"array of shape {array.shape} does not fit a grid of shape {self.shape}")
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image

    def empty(self, pixel_type: int = sitk.sitkUInt8) -> sitk.Image:
        """An image of zeros with this geometry."""
        image = sitk.Image(list(self.size), pixel_type)
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image
