"""Contours of a DICOM RTSTRUCT (PS3.3 C.8.8.6) and the mask they make on a grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from petctfusion.errors import BadInputError
from petctfusion.volumes.contour_planes import Plane, planes_of
from petctfusion.volumes.dicom_files import tags_of
from petctfusion.volumes.extent import extended
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.polygons import fill_polygons

FloatArray = NDArray[np.float64]
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_EXPORT_AGAIN = "Export the structure set again."


@dataclass(frozen=True)
class Roi:
    """One region of interest: closed planar contours, each (N, 3) in LPS mm; `others` counts points and open curves."""

    name: str
    contours: tuple[FloatArray, ...]
    others: int


@dataclass(frozen=True)
class StructureSet:
    """The regions of one file and the SeriesInstanceUID of the images they were drawn on, "" where it is not named."""

    path: Path
    rois: tuple[Roi, ...]
    series_uid: str
    label: str = ""
    """What its makers call it."""

    def roi(self, name: str | None) -> Roi:
        """The region called `name`, or the only one with contours. Raises `BadInputError` naming those to choose from.

        Capital letters and blanks around the name decide only between names that differ in nothing else.
        """
        drawn = [roi for roi in self.rois if roi.contours]
        if name is None:
            found = drawn
            if not found:
                raise BadInputError(f"{self.path} holds no closed contour ({self._names()}).", _EXPORT_AGAIN)
        else:
            found = [roi for roi in self.rois if roi.name == name]
            found = found or [roi for roi in self.rois if roi.name.strip().casefold() == name.strip().casefold()]
            if not found:
                raise BadInputError(
                    f"{self.path} has no region {name!r}, only {self._names()}.", "Name one of these with --roi."
                )
        if len(found) > 1:
            names = ", ".join(roi.name for roi in found)
            raise BadInputError(f"{self.path} holds {len(found)} regions: {names}.", "Choose one with --roi NAME.")
        return found[0]

    def _names(self) -> str:
        return ", ".join(roi.name for roi in self.rois) or "none at all"


def read_structure_set(path: Path, header: Dataset) -> StructureSet:
    """The regions in `header`, which was read from `path`. Raises `BadInputError` for damaged contours."""
    with tags_of(path):
        by_number = {str(item.get("ReferencedROINumber")): item for item in header.get("ROIContourSequence") or []}
        rois = []
        for item in header.get("StructureSetROISequence") or []:
            number = str(item.ROINumber)
            rois.append(_roi(path, str(item.get("ROIName") or f"ROI {number}"), by_number.get(number)))
        label = str(header.get("SeriesDescription") or header.get("StructureSetLabel") or "").strip()
        return StructureSet(path, tuple(rois), _series_uid(header), label)


def rasterise(roi: Roi, grid: Geometry) -> sitk.Image:
    """The mask of `roi`, uint8 0 and 1, on `grid`, or on its lattice continued where the contours reach beyond it.

    A voxel is inside when its centre is: within the plane by the even-odd rule over all contours of that plane (a hole
    is a contour in a contour, or a keyhole), along the normal when it is nearest to that plane and no farther from it
    than half the distance of neighbouring planes. Contours may lie in any of the three planes of the grid. Raises
    `BadInputError` when they are oblique to it, or beyond it altogether.
    """
    if not roi.contours:
        return grid.empty()
    contours = [grid.indices(contour) for contour in roi.contours]
    axis = _normal_axis(roi, contours, grid)
    planes = planes_of(contours, axis, grid.spacing[axis])
    low, high = _voxel_box(planes, axis)
    if np.any(high < 0) or np.any(low > np.asarray(grid.size) - 1):
        raise BadInputError(
            f"The contours of {roi.name} lie beyond the grid they are to be drawn on: the two share no space.",
            "Check that both belong to the same patient and study.",
        )
    whole = extended(grid, low, high)
    shift = whole.indices(np.array([grid.origin]))[0].round()
    return _drawn([plane.moved(shift, axis) for plane in planes], axis, whole)


def _drawn(planes: Iterable[Plane], axis: int, grid: Geometry) -> sitk.Image:
    array = np.zeros(grid.shape, dtype=np.uint8)
    # With the normal first, the other two axes stay in array order: rows, columns.
    stack = np.moveaxis(array, 2 - axis, 0)
    for plane in planes:
        if plane.last < plane.first:
            continue
        stack[plane.first : plane.last + 1] = fill_polygons(plane.polygons, (stack.shape[1], stack.shape[2]))
    return grid.image(array)


def _normal_axis(roi: Roi, contours: Sequence[FloatArray], grid: Geometry) -> int:
    """The index axis (0 x, 1 y, 2 z) along which every contour is flat."""
    # Coordinates are written with about 0.01 mm; a tenth of a millimetre over the whole contour is not oblique.
    for axis in (2, 1, 0):
        if all(np.ptp(contour[:, axis]) * grid.spacing[axis] <= 0.1 for contour in contours):
            return axis
    raise BadInputError(
        f"The contours of {roi.name} are oblique to the grid they are to be drawn on.",
        "Give the structure set in one folder with its own images.",
    )


def _voxel_box(planes: Sequence[Plane], axis: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and last index (x, y, z) of the voxels that the planes may hold."""
    points = np.concatenate([polygon for plane in planes for polygon in plane.polygons])
    low = np.ceil(points.min(axis=0))
    high = np.floor(points.max(axis=0))
    along = min(plane.first for plane in planes), max(plane.last for plane in planes)
    return (
        np.insert(low, axis, along[0]).astype(np.intp),
        np.insert(high, axis, along[1]).astype(np.intp),
    )


def _roi(path: Path, name: str, item: Dataset | None) -> Roi:
    contours: dict[bytes, FloatArray] = {}
    others = 0
    for contour in (item.get("ContourSequence") or []) if item is not None else []:
        if str(contour.get("ContourGeometricType", "")) not in _CLOSED:
            others += 1
            continue
        points = _points(path, name, contour)
        # The same contour twice would cancel itself by the even-odd rule.
        if len(points) >= 3:
            contours.setdefault(points.tobytes(), points)
    return Roi(name, tuple(contours.values()), others)


def _points(path: Path, name: str, contour: Dataset) -> FloatArray:
    try:
        values = np.array([float(v) for v in contour.get("ContourData") or []], dtype=np.float64)
    except (TypeError, ValueError):
        values = np.full(1, np.nan)
    if values.size == 0 or values.size % 3 or not np.all(np.isfinite(values)):
        raise BadInputError(f"{path} holds a contour of {name} with damaged coordinates.", _EXPORT_AGAIN)
    return values.reshape(-1, 3)


def _series_uid(header: Dataset) -> str:
    """The first referenced series: frame of reference, study, series (PS3.3 C.8.8.5)."""
    for frame in header.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            for series in study.get("RTReferencedSeriesSequence") or []:
                if series.get("SeriesInstanceUID"):
                    return str(series.SeriesInstanceUID)
    return ""
