"""What a picture shows, and from where: the study, the planes through the lesion, the colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.errors import BadInputError
from petctfusion.volumes.geometry import Geometry

# Okabe and Ito's palette: the two stay apart for every common colour vision, and the blue is absent from PET-Heat.
RESULT_RGB = (230, 159, 0)
REFERENCE_RGB = (86, 180, 233)
CT_RANGE_HU = (-160.0, 240.0)
PET_OPACITY = 0.55
# Below this part of the display range PET-Heat is nearly black; there the overlay is transparent and the CT shows.
PET_SHOWN_FROM = 0.12
PANEL_SIZE = (790, 560)
# A whole-body volume is cut down to this multiple of the lesion, and never below this field.
_LESION_FIELDS, _SMALLEST_FIELD_MM = 2.2, 280.0
_LESION_MARGIN = 1.3


@dataclass(frozen=True)
class PictureStudy:
    """Images in one world frame (LPS, mm): CT in HU, PET in SUV, masks with non-zero inside."""

    ct: sitk.Image
    pet: sitk.Image
    prediction: sitk.Image
    reference: sitk.Image | None = None


@dataclass(frozen=True)
class Plane:
    """A slice panel: LPS unit vectors to the right and down, centre of the view in LPS mm, mm a pixel."""

    name: str
    right: tuple[float, float, float]
    down: tuple[float, float, float]
    centre: tuple[float, float, float]
    mmPerPixel: float
    edges: tuple[str, str]
    """Patient sides at the left and the right edge."""

    @property
    def centreRas(self) -> tuple[float, float, float]:
        """The centre as Slicer counts."""
        return -self.centre[0], -self.centre[1], self.centre[2]

    @property
    def field(self) -> tuple[float, float]:
        """Width and height in mm."""
        return self.mmPerPixel * PANEL_SIZE[0], self.mmPerPixel * PANEL_SIZE[1]


@dataclass(frozen=True)
class _Box:
    """A box along the LPS axes, mm."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, points: NDArray[np.float64]) -> _Box:
        return cls(points.min(axis=0), points.max(axis=0))

    @property
    def size(self) -> NDArray[np.float64]:
        return np.asarray(self.high - self.low)

    @property
    def middle(self) -> NDArray[np.float64]:
        return np.asarray((self.low + self.high) / 2)


_AXES = {
    "Axial": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), ("R", "L")),
    "Coronal": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), ("R", "L")),
    "Sagittal": ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), ("A", "P")),
}


def planesThroughLesion(study: PictureStudy) -> list[Plane]:
    """Axial, coronal and sagittal planes through the lesion; through the hottest voxel when every contour is empty."""
    corners = Geometry.of(study.ct).corners()
    lesion = lesionPoints(study)
    cut = _centre(lesion)
    return [_plane(name, cut, _Box.of(corners), _Box.of(lesion)) for name in _AXES]


def suvRange(study: PictureStudy) -> tuple[float, float]:
    """Display range of the PET: from 0 to the 99.9th percentile, at least 5 and at most 20, in whole SUV."""
    top = float(np.percentile(sitk.GetArrayViewFromImage(study.pet), 99.9))
    if not np.isfinite(top) or top <= 0:
        raise BadInputError("The PET holds no uptake above zero.", "Check that the PET volume is the right one.")
    return 0.0, float(np.clip(np.ceil(top), 5, 20))


def lesionPoints(study: PictureStudy) -> NDArray[np.float64]:
    """LPS points of the voxels of the largest lesion in the reference, else in the result, else the hottest voxel."""
    for mask in (study.reference, study.prediction):
        if mask is not None:
            parts = sitk.RelabelComponent(sitk.ConnectedComponent(mask != 0, True), sortByObjectSize=True)
            found = np.argwhere(sitk.GetArrayViewFromImage(parts) == 1)
            if len(found):
                return Geometry.of(mask).points(found[:, ::-1].astype(np.float64))
    pet = sitk.GetArrayViewFromImage(study.pet)
    hottest = np.array(np.unravel_index(int(np.argmax(pet)), pet.shape))[::-1]
    return Geometry.of(study.pet).points(hottest[None].astype(np.float64))


def _centre(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lesion voxel nearest to the centre of gravity: for a bent lesion that centre may lie outside."""
    distance = np.linalg.norm(points - points.mean(axis=0), axis=1)
    return np.asarray(points[int(np.argmin(distance))])


def _plane(name: str, cut: NDArray[np.float64], volume: _Box, lesion: _Box) -> Plane:
    """The panel is filled to its edges as long as the lesion fits in with a margin; the volume's end is its end."""
    right, down, edges = _AXES[name]
    panel = np.abs(right) * PANEL_SIZE[0] + np.abs(down) * PANEL_SIZE[1]
    inPlane = panel > 0
    shown = np.minimum(volume.size, np.maximum(_SMALLEST_FIELD_MM, _LESION_FIELDS * lesion.size))
    ratio = shown[inPlane] / panel[inPlane]
    holds = _LESION_MARGIN * float((lesion.size[inPlane] / panel[inPlane]).max())
    scale = min(float(ratio.max()), max(float(ratio.min()), holds))
    half = np.minimum(scale * panel, volume.size) / 2
    centre = np.where(inPlane, np.clip(lesion.middle, volume.low + half, volume.high - half), cut)
    return Plane(name, right, down, (float(centre[0]), float(centre[1]), float(centre[2])), scale, edges)
