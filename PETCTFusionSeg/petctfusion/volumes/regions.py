"""Every region of a DICOM structure set by its name, and which of them is the tumour."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk
from pydicom.dataset import Dataset

from petctfusion.errors import BadInputError
from petctfusion.volumes.box import bounding_box
from petctfusion.volumes.dicom_files import SeriesFiles, tags_of
from petctfusion.volumes.extent import embedded
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.rtstruct import Roi, StructureSet, rasterise, read_structure_set

# Gross tumour in the names of AAPM TG-263 and of daily practice; CTV and PTV hold more than that.
_TUMOR = re.compile(r"(?<![a-z])(i?gtv[pn]?|tumou?r|lesion|mass)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Regions:
    """Masks (uint8, 0 and 1) by name, which may overlap; each is kept as the box that holds it.

    `left_out`: a sentence for every region that cannot be drawn.
    """

    name: str
    boxes: Mapping[str, sitk.Image]
    left_out: tuple[str, ...] = ()

    def masks(self, grid: Geometry) -> Iterator[tuple[str, sitk.Image]]:
        """One after the other on `grid`, the one they were drawn on; what reaches beyond it comes as it is."""
        for name, box in self.boxes.items():
            whole = embedded(sitk.GetArrayFromImage(box), Geometry.of(box), grid)
            yield name, box if whole is None else whole


def structure_sets(series: Iterable[SeriesFiles], images: Dataset) -> list[StructureSet]:
    """The structure sets among `series` that were drawn on the series of which `images` is a header.

    Where none names that series, those of its frame of reference; where they name none either, those of its patient.
    Raises `BadInputError` for damaged contours.
    """
    sets = [
        (read_structure_set(path, header), header)
        for one in series
        if one.modality == "RTSTRUCT"
        for path, header in zip(one.files, one.headers, strict=True)
    ]
    uid = str(images.get("SeriesInstanceUID", ""))
    own = [found for found, _ in sets if found.series_uid == uid]
    return own or [found for found, header in sets if _shares_space(found.path, header, images)]


def _shares_space(path: Path, header: Dataset, images: Dataset) -> bool:
    with tags_of(path):
        return _frame_or_patient_of(header, images)


def _frame_or_patient_of(header: Dataset, images: Dataset) -> bool:
    frame = str(images.get("FrameOfReferenceUID", ""))
    frames = [
        str(item.get("FrameOfReferenceUID", "")) for item in header.get("ReferencedFrameOfReferenceSequence") or []
    ]
    named = [one for one in (*frames, str(header.get("FrameOfReferenceUID", ""))) if one]
    if named and frame:
        return frame in named
    return bool(header.get("PatientID")) and header.get("PatientID") == images.get("PatientID")


def draw_regions(structures: StructureSet, grid: Geometry) -> Regions:
    """Every region that encloses anything, drawn on `grid`; there may be none, and `left_out` says why."""
    boxes: dict[str, sitk.Image] = {}
    left_out: list[str] = []
    for roi in structures.rois:
        if roi.contours:
            drawn = _drawn(roi, grid)
            if isinstance(drawn, str):
                left_out.append(drawn)
            else:
                boxes[_unused(roi.name, boxes)] = drawn
    if not boxes and not left_out:
        left_out.append(f"{structures.path.name} holds no closed contour.")
    return Regions(structures.label or structures.path.stem, boxes, tuple(left_out))


def tumor_region(names: Iterable[str]) -> str | None:
    """The only name that means a gross tumour; None where none or several do."""
    found = [name for name in names if _TUMOR.search(name.replace("_", " "))]
    return found[0] if len(found) == 1 else None


def _drawn(roi: Roi, grid: Geometry) -> sitk.Image | str:
    """Its mask, or why there is none."""
    try:
        return _boxed(rasterise(roi, grid))
    except BadInputError as error:
        return error.message


def _boxed(mask: sitk.Image) -> sitk.Image:
    box = bounding_box(sitk.GetArrayViewFromImage(mask) != 0)
    if box is None:
        return mask[:1, :1, :1]
    return mask[tuple(reversed(box))]


def _unused(name: str, taken: Mapping[str, sitk.Image]) -> str:
    number, free = 2, name
    while free in taken:
        number, free = number + 1, f"{name} {number}"
    return free
