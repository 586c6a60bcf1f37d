"""Contours that came in files: read in a thread, put into the scene on the main one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes import Geometry, MaskChoice, read_region
from petctfusion.volumes.dicom_files import SeriesFiles, find_series, read_header, tags_of
from petctfusion.volumes.reading import check_finite, existing, is_dicom, read_file
from petctfusion.volumes.regions import Regions, draw_regions, structure_sets
from petctfusion.volumes.segnrrd import has_segments
from PETCTFusionSegLib.i18n import _
from PETCTFusionSegLib.mrml.region_contours import addRegions
from PETCTFusionSegLib.mrml.saving import loadSegmentation
from PETCTFusionSegLib.mrml.segmentations import addContour

REFERENCE_RGB = (0, 158, 115)


@dataclass(frozen=True)
class Contour:
    """One of three: a mask, the regions of a structure set, or a .seg.nrrd file (Slicer's own reader brings names and
    colours)."""

    name: str
    mask: sitk.Image | None = None
    regions: Regions | None = None
    segments: Path | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What of it could not be taken."""
        return self.regions.left_out if self.regions is not None else ()


def readContour(path: Path, name: str, ct: sitk.Image | None) -> Contour:
    """What a file, or a folder of DICOM files, holds. Raises `BadInputError`."""
    source = existing(path)
    if ct is not None and is_dicom(source):
        series = find_series(source) if source.is_dir() else [_alone(source)]
        sets = structure_sets(series, "")
        if len(sets) == 1 and sum(1 for roi in sets[0].rois if roi.contours) > 1:
            return Contour(name, regions=draw_regions(sets[0], Geometry.of(ct)))
    if hasNamedSegments(source):
        return Contour(name, segments=source)
    return Contour(name, read_region(source, MaskChoice(), Geometry.of(ct) if ct is not None else None).image)


def contoursOfStudy(series: Iterable[SeriesFiles], ct: sitk.Image, ctFile: Path) -> list[Contour]:
    """The structure sets among the series of a study: those drawn on this CT, or on nothing that they name."""
    header = read_header(ctFile)
    uid = str(header.get("SeriesInstanceUID", "")) if header is not None else ""
    return [_contour(draw_regions(one, Geometry.of(ct))) for one in structure_sets(series, uid)]


def hasNamedSegments(path: Path) -> bool:
    """Whether it is a .seg.nrrd file, whatever it is called. Raises `BadInputError` for a damaged one."""
    if not path.name.lower().endswith(".nrrd"):
        return False
    image = read_file(path, segments=True)
    check_finite(path, image)
    return has_segments(image.GetMetaDataKeys())


def addContourNode(scene: Any, contour: Contour, ct: Any) -> Any:
    """Its node: an outline on the grid of the CT's node."""
    if contour.segments is not None:
        node = loadSegmentation(scene, contour.segments)
        node.SetName(contour.name)
        return node
    if ct is None:
        raise BadInputError(
            _('The contour "{name}" came before its CT.').format(name=contour.name),
            _("Send the CT first, or both at once."),
        )
    if contour.regions is not None:
        node = addRegions(scene, contour.regions, ct, contour.name, REFERENCE_RGB)
    else:
        node = addContour(scene, contour.mask, ct, contour.name, REFERENCE_RGB)
    node.GetDisplayNode().SetOpacity2DFill(0.0)
    return node


def _contour(regions: Regions) -> Contour:
    """One region alone is the tumour, whatever it is called."""
    if len(regions.boxes) > 1:
        return Contour(regions.name, regions=regions)
    (mask,) = regions.boxes.values()
    return Contour(regions.name, mask)


def _alone(path: Path) -> SeriesFiles:
    header = read_header(path)
    with tags_of(path):
        assert header is not None
        return SeriesFiles("", str(header.get("Modality")), "", (path,), (header,))
