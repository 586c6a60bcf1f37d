"""Contours that came in files: read in a thread, put into the scene on the main one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from pydicom.dataset import FileDataset

from petctfusion.errors import BadInputError
from petctfusion.volumes import Geometry, MaskChoice, read_region
from petctfusion.volumes.dicom_files import SeriesFiles, find_series, read_header
from petctfusion.volumes.reading import check_finite, existing, is_dicom, read_file
from petctfusion.volumes.regions import Regions, draw_regions, structure_sets
from petctfusion.volumes.rtstruct import StructureSet, read_structure_set
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


@dataclass(frozen=True)
class Contours:
    """What was found, and a sentence for everything that could not be taken."""

    found: tuple[Contour, ...] = ()
    notes: tuple[str, ...] = ()


def readContour(path: Path, name: str, grid: Geometry | None) -> Contours:
    """What a file, or a folder of DICOM files, holds; `grid` is the CT's. Raises `BadInputError`."""
    source = existing(path)
    if grid is not None and is_dicom(source):
        structures = _structuresIn(source)
        if structures is not None and sum(1 for roi in structures.rois if roi.contours) > 1:
            regions = draw_regions(structures, grid)
            if not regions.boxes:
                raise BadInputError(" ".join(regions.left_out), _("Give the structure set of this CT."))
            return Contours((Contour(name, regions=regions),), regions.left_out)
    if hasNamedSegments(source):
        return Contours((Contour(name, segments=source),))
    return Contours((Contour(name, read_region(source, MaskChoice(), grid).image),))


def contoursOfStudy(series: Iterable[SeriesFiles], grid: Geometry, ctFile: Path) -> Contours:
    """The structure sets among the series of a study that were drawn on its CT. None of them can spoil the study."""
    header = read_header(ctFile)
    try:
        sets = structure_sets(series, header) if header is not None else []
    except BadInputError as error:
        return Contours(notes=(error.message,))
    return _drawn(sets, grid)


def contoursAlone(series: Iterable[SeriesFiles], grid: Geometry) -> Contours:
    """The structure sets that came without images, drawn on a CT that was there. Raises `BadInputError` for none."""
    sets = [read_structure_set(*one) for one in _structureFiles(series)]
    found = _drawn(sets, grid)
    if sets and not found.found:
        raise BadInputError(" ".join(found.notes), _("Send it with its own CT."))
    return found


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
    elif ct is None:
        raise BadInputError(
            _('The contour "{name}" came before its CT.').format(name=contour.name),
            _("Send the CT first, or both at once."),
        )
    elif contour.regions is not None:
        node = addRegions(scene, contour.regions, ct, contour.name, REFERENCE_RGB)
    else:
        node = addContour(scene, contour.mask, ct, contour.name, REFERENCE_RGB)
    node.GetDisplayNode().SetOpacity2DFill(0.0)
    return node


def _drawn(sets: Iterable[StructureSet], grid: Geometry) -> Contours:
    drawn = [draw_regions(structures, grid) for structures in sets]
    found = tuple(_contour(regions, grid) for regions in drawn if regions.boxes)
    return Contours(found, tuple(note for regions in drawn for note in regions.left_out))


def _contour(regions: Regions, grid: Geometry) -> Contour:
    """One region alone is the tumour, whatever it is called."""
    if len(regions.boxes) > 1:
        return Contour(regions.name, regions=regions)
    ((_name, mask),) = regions.masks(grid)
    return Contour(regions.name, mask)


def _structuresIn(source: Path) -> StructureSet | None:
    """The only structure set that a file is or a folder holds."""
    if source.is_dir():
        files = _structureFiles(find_series(source))
    else:
        header = read_header(source)
        files = [(source, header)] if header is not None and header.get("Modality") == "RTSTRUCT" else []
    return read_structure_set(*files[0]) if len(files) == 1 else None


def _structureFiles(series: Iterable[SeriesFiles]) -> list[tuple[Path, FileDataset]]:
    structures = (one for one in series if one.modality == "RTSTRUCT")
    return [item for one in structures for item in zip(one.files, one.headers, strict=True)]
