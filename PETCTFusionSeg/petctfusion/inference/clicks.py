"""Clicks as hard constraints on a probability map that is already there: quick, and without a network. No torch.

A foreground click lowers the threshold around it until its region connects; a background click gives its region up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.inference.postprocess import byte_threshold
from petctfusion.volumes.geometry import Geometry

# A click speaks for its neighbourhood, not for the far end of a merged region.
_REACH_MM = 40.0
_TOUCH_26 = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class Click:
    """A point in LPS mm that must be inside (`foreground`) or outside the label."""

    point: tuple[float, float, float]
    foreground: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values for a request."""
        return {"point": list(self.point), "foreground": self.foreground}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Click:
        """The click of a request. Raises `BadInputError`."""
        try:
            x, y, z = (float(v) for v in values["point"])
            foreground = values["foreground"]
        except (KeyError, TypeError, ValueError) as error:
            raise BadInputError(
                f"A click is not understood: {error!r}.", "Send point (x, y, z) and foreground."
            ) from error
        if not isinstance(foreground, bool) or not np.isfinite([x, y, z]).all():
            raise BadInputError("A click needs a finite point and foreground true or false.", "Click again.")
        return cls((x, y, z), foreground)


def refine_labels(
    probability: sitk.Image, labels: sitk.Image, clicks: Sequence[Click], threshold: float, value: int = 1
) -> sitk.Image:
    """The label map (uint8) after the clicks, in their order; images on one grid, probability uint8 with 255 = 1.

    Raises `BadInputError` for images on different grids, a click outside them, or a probability of several labels.
    """
    grid = Geometry.of(labels)
    if not Geometry.of(probability).same_grid(grid) or probability.GetNumberOfComponentsPerPixel() != 1:
        raise BadInputError("Probability and labels must lie on one grid, one value a voxel.", "Run Segment again.")
    share = sitk.GetArrayViewFromImage(probability)
    result = sitk.GetArrayFromImage(labels).astype(np.uint8)
    for click in clicks:
        voxel = _voxel(click, grid)
        region = _wanted(share, voxel, grid, threshold) if click.foreground else _given_up(result == value, voxel, grid)
        if click.foreground:
            result[region & (result == 0)] = value
            result[voxel] = value
        else:
            result[region] = 0
            if result[voxel] == value:
                result[voxel] = 0
    return grid.image(result)


def _voxel(click: Click, grid: Geometry) -> tuple[int, int, int]:
    x, y, z = (int(v) for v in np.rint(grid.indices(np.asarray([click.point], dtype=np.float64))[0]))
    if not all(0 <= i < n for i, n in zip((z, y, x), grid.shape, strict=True)):
        raise BadInputError("A click lies outside the volume.", "Click inside the image.")
    return z, y, x


def _wanted(share: NDArray[Any], voxel: tuple[int, int, int], grid: Geometry, threshold: float) -> NDArray[np.bool_]:
    """The region around the click that is at least half as probable as the click, never asking for more than before."""
    lowest = max(1, min(byte_threshold(threshold), int(share[voxel]) // 2))
    return _connected((share >= lowest) & _near(voxel, grid), voxel)


def _given_up(mask: NDArray[np.bool_], voxel: tuple[int, int, int], grid: Geometry) -> NDArray[np.bool_]:
    return _connected(mask & _near(voxel, grid), voxel)


def _connected(mask: NDArray[np.bool_], voxel: tuple[int, int, int]) -> NDArray[np.bool_]:
    if not mask[voxel]:
        return np.zeros_like(mask)
    parts, _ = ndimage.label(mask, structure=_TOUCH_26)
    connected: NDArray[np.bool_] = parts == parts[voxel]
    return connected


def _near(voxel: tuple[int, int, int], grid: Geometry) -> NDArray[np.bool_]:
    """The ball of 40 mm around the click, (z, y, x)."""
    z, y, x = (
        ((np.arange(size) - centre) * spacing) ** 2
        for size, centre, spacing in zip(grid.shape, voxel, grid.spacing_zyx, strict=True)
    )
    near: NDArray[np.bool_] = z[:, None, None] + y[None, :, None] + x[None, None, :] <= _REACH_MM**2
    return near
