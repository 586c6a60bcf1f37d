"""One region as a mask, from whatever holds it: a label map, a segmentation, a probability, an RTSTRUCT."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.volumes.dicom import read_series
from petctfusion.volumes.dicom_files import IMAGE_MODALITIES, SeriesFiles, find_series, read_header, tags_of
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.reading import as_label_map, check_finite, existing, is_dicom, read_file, read_volume
from petctfusion.volumes.rtstruct import Roi, rasterise, read_structure_set
from petctfusion.volumes.segnrrd import has_segments, segment_mask


@dataclass(frozen=True)
class MaskChoice:
    """What of a file is the region.

    `label`: a label value, or the name, id or value of a segment; None: all that is not zero. `roi`: the region of an
    RTSTRUCT (None: `label`, or its only one). `threshold`: where an image of probabilities begins to count.
    """

    label: str | None = None
    roi: str | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Region:
    """A mask (uint8, 0 and 1), remarks on how it was made, and the wanted label where the file does not hold it."""

    image: sitk.Image
    notes: tuple[str, ...] = ()
    missing: str = ""


def brings_grid(path: str | os.PathLike[str]) -> bool:
    """False for an RTSTRUCT without its images: contours alone say nothing of voxels. Raises `BadInputError`."""
    source = existing(path)
    if not is_dicom(source):
        return True
    structures, images = _dicom_parts(source)
    return not structures or bool(images)


def read_region(path: str | os.PathLike[str], choice: MaskChoice, grid: Geometry | None = None) -> Region:
    """The region `choice` of a NIfTI, NRRD or MetaImage file, a `.seg.nrrd`, an RTSTRUCT or the folder that holds it.

    A structure set in a folder with its images is drawn on their grid, one alone on `grid`. Raises `BadInputError` for
    what `read_volume` refuses, for grey values, probabilities without a threshold, and names that are not there.
    """
    source = existing(path)
    if is_dicom(source):
        structures, images = _dicom_parts(source)
        return (
            _from_structures(source, structures, images, choice, grid) if structures else _from_volume(source, choice)
        )
    if not source.name.lower().endswith((".nrrd", ".nhdr")):
        return _from_volume(source, choice)
    image = read_file(source, segments=True)
    check_finite(source, image)
    if has_segments(image.GetMetaDataKeys()):
        return Region(segment_mask(source, image, choice.label))
    return _from_image(source, image, choice)


def _from_volume(source: Path, choice: MaskChoice) -> Region:
    return _from_image(source, read_volume(source), choice)


def _from_image(source: Path, image: sitk.Image, choice: MaskChoice) -> Region:
    values = sitk.GetArrayViewFromImage(image)
    if image.GetPixelID() in (sitk.sitkFloat32, sitk.sitkFloat64) and np.any(values != np.round(values)):
        return _from_probability(source, image, choice)
    labels = as_label_map(source, image)
    if choice.label is None:
        return Region(sitk.Cast(labels != 0, sitk.sitkUInt8))
    if not choice.label.strip().isdigit() or int(choice.label) == 0:
        raise BadInputError(
            f"{source} is a label map without names: there is no {choice.label!r} in it.",
            "Give the number of the label: --label 1.",
        )
    region = sitk.Cast(labels == int(choice.label), sitk.sitkUInt8)
    if sitk.GetArrayViewFromImage(region).any():
        return Region(region)
    there = [str(v) for v in np.flatnonzero(np.bincount(sitk.GetArrayViewFromImage(labels).ravel())) if v]
    held = f"only {', '.join(there)}" if there else "nothing at all"
    return Region(region, (f"{source} holds no label {choice.label}, {held}: it counts as empty.",), choice.label)


def _from_probability(source: Path, image: sitk.Image, choice: MaskChoice) -> Region:
    values = sitk.GetArrayViewFromImage(image)
    lowest, highest = float(values.min()), float(values.max())
    if lowest < 0 or highest > 1:
        raise BadInputError(
            f"{source} is not a mask: it holds fractions from {lowest:g} to {highest:g}.",
            "Give a mask with 0 outside and 1 inside.",
        )
    if choice.threshold is None:
        raise BadInputError(
            f"{source} holds probabilities from {lowest:g} to {highest:g}, not a mask.",
            "Say from where on they count as inside, for instance --threshold 0.5.",
        )
    note = f"{source} holds probabilities; inside is where they are at least {choice.threshold:g}."
    return Region(sitk.Cast(image >= choice.threshold, sitk.sitkUInt8), (note,))


def _dicom_parts(source: Path) -> tuple[list[SeriesFiles], list[SeriesFiles]]:
    """Structure sets, and series of images, in a folder; one file is only itself."""
    if source.is_dir():
        series = find_series(source)
        structures = [s for s in series if s.modality == "RTSTRUCT"]
        return structures, [s for s in series if s.modality in IMAGE_MODALITIES]
    header = read_header(source)
    with tags_of(source):
        if header is None or header.get("Modality") != "RTSTRUCT":
            return [], []
        return [SeriesFiles(str(header.SeriesInstanceUID), "RTSTRUCT", "", (source,), (header,))], []


def _from_structures(
    source: Path, structures: list[SeriesFiles], images: list[SeriesFiles], choice: MaskChoice, grid: Geometry | None
) -> Region:
    files = [(path, header) for s in structures for path, header in zip(s.files, s.headers, strict=True)]
    if len(files) > 1:
        names = ", ".join(path.name for path, _ in files)
        raise BadInputError(f"{source} holds {len(files)} structure sets: {names}.", "Give one of these files.")
    path, header = files[0]
    structure_set = read_structure_set(path, header)
    roi = structure_set.roi(choice.roi if choice.roi is not None else choice.label)
    own = _image_series(source, images, structure_set.series_uid)
    if own is not None:
        grid, where = Geometry.of(read_series(own.files[0]).image), f"its own images ({own})"
    elif grid is None:
        raise BadInputError(
            f"{path} is a structure set without images: its contours alone have no voxels.",
            "Give the folder with the structure set and its CT, or compare it with an image.",
        )
    else:
        where = "the other image"
    return Region(rasterise(roi, grid), _notes(path, roi, where))


def _notes(path: Path, roi: Roi, where: str) -> tuple[str, ...]:
    notes = [f"{roi.name} of {path} was drawn on the grid of {where}."]
    if roi.others:
        notes.append(f"{roi.others} points or open curves of {roi.name} are left out: they enclose nothing.")
    if not roi.contours:
        notes.append(f"{roi.name} of {path} has no contour: it counts as empty.")
    return tuple(notes)


def _image_series(source: Path, images: list[SeriesFiles], uid: str) -> SeriesFiles | None:
    """The series the contours were drawn on: the one they name, else the only one."""
    named = [series for series in images if series.uid == uid]
    if named or not images:
        return named[0] if named else None
    if len(images) > 1:
        names = "; ".join(map(str, images))
        raise BadInputError(
            f"{source} does not hold the images its structure set was drawn on, but {names}.",
            "Put the structure set beside its own images.",
        )
    return images[0]
