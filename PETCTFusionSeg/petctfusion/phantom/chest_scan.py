"""A real chest CT as what breathes: tissues told apart by their HU and a mask of the lungs, uptake drawn for them.

Anatomy and HU are the scan's; uptake, tumour and motion are simulated. Below the lungs, what lies under them is taken
for liver; the wall of the chest does not move.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from petctfusion.errors import BadInputError
from petctfusion.phantom.breathing import Chest
from petctfusion.phantom.grids import axis_aligned
from petctfusion.phantom.lung_tumours import COARSE_MM, FINE_MM, LungTumour
from petctfusion.phantom.phantom import BORDER_MM, Bounds, stream_of, textured
from petctfusion.phantom.physics import CT_AIR_HU
from petctfusion.phantom.settings import PhantomSettings
from petctfusion.phantom.tissues import Label, patient_tissues
from petctfusion.volumes import read_ct, read_mask
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.grid import resample_image

_AIR_BELOW_HU, _FAT_BELOW_HU, _BONE_ABOVE_HU = -400.0, -30.0, 180.0
_VESSEL_ABOVE_HU = -300.0
# Below the diaphragm, as in the drawn body (`breathing`): pelvis and lower liver edge.
_PELVIS_MM, _LIVER_EDGE_MM = 374.0, 64.0
_LEAST_LUNG = 0.2
"""Of the largest: lung slices that are smaller are tips."""


@dataclass(frozen=True)
class ChestScan:
    """A CT (HU) and the mask of its lungs on one axis-aligned grid."""

    ct: sitk.Image
    lungs: sitk.Image

    def coarse(self) -> Chest:
        """All of it, coarsely."""
        corners = Geometry.of(self.ct).corners()
        view = corners.min(axis=0), corners.max(axis=0)
        return self._chest(axis_aligned(*view, (COARSE_MM,) * 3), view, PhantomSettings(seed=0))

    def around(self, tumour: LungTumour) -> Chest:
        """What of it lies in the tumour's view, finely; the view ends where the scan does."""
        corners = Geometry.of(self.ct).corners()
        low = np.maximum(corners.min(axis=0), tumour.view[0])
        high = np.minimum(corners.max(axis=0), tumour.view[1])
        grid = axis_aligned(low - BORDER_MM, high + BORDER_MM, (FINE_MM,) * 3)
        return self._chest(grid, (low, high), tumour.settings)

    def _chest(self, grid: Geometry, view: Bounds, settings: PhantomSettings) -> Chest:
        hounsfield = sitk.GetArrayFromImage(resample_image(self.ct, grid, CT_AIR_HU)).astype(np.float32)
        lungs = self._on(grid, self._lungs)
        labels = _labels(hounsfield, lungs, self._on(grid, self._below))
        tissues = patient_tissues(stream_of(settings, 11), dict(settings.uptake))
        activity = textured(labels, grid, tissues, "suv", stream_of(settings, 13))
        return Chest(grid, labels, np.maximum(hounsfield, CT_AIR_HU), activity, self._heights_mm, view)

    def _on(self, grid: Geometry, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        image = Geometry.of(self.ct).image(mask.astype(np.uint8))
        moved = sitk.Resample(image, grid.empty(), sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        return np.asarray(sitk.GetArrayFromImage(moved) > 0)

    @cached_property
    def _lungs(self) -> NDArray[np.bool_]:
        """Vessels included."""
        mask = sitk.GetArrayFromImage(self.lungs) > 0
        return np.asarray(ndimage.binary_closing(mask, iterations=2) | mask)

    @cached_property
    def _below(self) -> NDArray[np.bool_]:
        """Lung, and all that lies under any of it."""
        return np.asarray(np.logical_or.accumulate(self._lungs[::-1], axis=0)[::-1])

    @cached_property
    def _heights_mm(self) -> tuple[float, ...]:
        area = self._lungs.sum(axis=(1, 2))
        geometry = Geometry.of(self.ct)
        # The diaphragm's dome is where the lung begins to be hollow from below.
        dome = geometry.origin[2] + geometry.spacing[2] * int(np.argmax(area))
        tips = geometry.origin[2] + geometry.spacing[2] * int(np.flatnonzero(area > _LEAST_LUNG * area.max())[-1])
        return dome - _PELVIS_MM, dome - _LIVER_EDGE_MM, dome, tips


def read_chest(ct: Path, lungs: Path) -> ChestScan:
    """Both files. Raises `BadInputError` for one that cannot be read, another grid, an oblique one, and no lung."""
    scan = ChestScan(read_ct(ct), read_mask(lungs))
    geometry = Geometry.of(scan.ct)
    if not Geometry.of(scan.lungs).same_grid(geometry):
        raise BadInputError(f"{lungs.name} is not on the grid of {ct.name}.", "Resample the mask to the CT.")
    if not np.allclose(geometry.axes, np.eye(3)):
        raise BadInputError(f"{ct.name} does not lie along the axes of the world.", "Resample it to an upright grid.")
    if not sitk.GetArrayViewFromImage(scan.lungs).any():
        raise BadInputError(f"{lungs.name} marks no lung.", "Give the mask of the lungs.")
    return scan


def _labels(hounsfield: NDArray[np.float32], lungs: NDArray[np.bool_], below: NDArray[np.bool_]) -> NDArray[np.uint8]:
    labels = np.full(hounsfield.shape, int(Label.MUSCLE), dtype=np.uint8)
    labels[hounsfield < _FAT_BELOW_HU] = int(Label.FAT)
    labels[hounsfield < _AIR_BELOW_HU] = int(Label.AIR)
    # Whatever its HU: half lung and half liver, the dome's surface looks like fat, and fat would not move.
    labels[below] = int(Label.LIVER)
    labels[hounsfield > _BONE_ABOVE_HU] = int(Label.CORTICAL_BONE)
    labels[lungs] = int(Label.LUNG)
    labels[lungs & (hounsfield > _VESSEL_ABOVE_HU)] = int(Label.BLOOD)
    return labels
