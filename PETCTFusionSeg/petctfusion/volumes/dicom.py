"""One DICOM series as a volume in LPS (PS3.3 C.7.6.2: Image Position and Orientation (Patient))."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.uid import ImplicitVRLittleEndian

from petctfusion.errors import BadInputError
from petctfusion.volumes.dicom_files import SeriesFiles, choose_series, find_series, series_of_file, tags_of
from petctfusion.volumes.geometry import Geometry
from petctfusion.volumes.notes import FRAME_KEY, PATIENT_KEY, add_note

_SAME_PLACE_MM = 0.01
_MISSING_SLICE = 1.5  # spacings
_JITTER_NOTED = 0.005  # of a spacing
_SPACING_HINT = "Export the series again with all its slices."


@dataclass(frozen=True)
class DicomSeries:
    """A series as an image (rescaled values) with the headers of its slices in the order of z."""

    image: sitk.Image
    headers: tuple[FileDataset, ...]
    name: str


@dataclass(frozen=True)
class _Slice:
    path: Path
    header: FileDataset
    position: NDArray[np.float64]


def read_series(path: Path, modality: str | None = None) -> DicomSeries:
    """Read the series of `modality` in a folder, or the series to which one .dcm file belongs.

    Values are rescaled slice by slice: int16 when all are whole numbers that fit, float32 otherwise. Slices are sorted
    by their position along the normal; the spacing is the mean one. Raises `BadInputError` for anything that is not
    one stack of parallel, evenly spaced slices.
    """
    with tags_of(path):
        return _read_series(path, modality)


def _read_series(path: Path, modality: str | None) -> DicomSeries:
    if path.is_dir():
        series = choose_series(path, find_series(path), modality)
    else:
        series = series_of_file(path)
        choose_series(path, [series], modality)
    slices = _drop_copies(path, _slices(path, _drop_localizers(series)))
    _check_same_layout(path, slices)
    geometry, notes = _stack(path, slices)
    image = _image(geometry, [_pixels(s) for s in slices])
    for note in notes:
        add_note(image, note)
    first = slices[0].header
    image.SetMetaData(PATIENT_KEY, str(first.get("PatientID", "")))
    image.SetMetaData(FRAME_KEY, str(first.get("FrameOfReferenceUID", "")))
    return DicomSeries(image, tuple(s.header for s in slices), str(path))


def _drop_localizers(series: SeriesFiles) -> list[tuple[Path, FileDataset]]:
    pairs = list(zip(series.files, series.headers, strict=True))
    kept = [(p, h) for p, h in pairs if "LOCALIZER" not in [str(v) for v in (h.get("ImageType") or [])]]
    return kept or pairs


def _slices(name: Path, pairs: Sequence[tuple[Path, FileDataset]]) -> list[_Slice]:
    """Slices sorted along the normal of the first one."""
    slices = []
    for path, header in pairs:
        if int(header.get("NumberOfFrames") or 1) > 1:
            raise BadInputError(
                f"{path} is a multi-frame (enhanced) DICOM file, which is not read.",
                "Convert it to classic DICOM, NIfTI or NRRD.",
            )
        slices.append(_Slice(path, header, np.array(_floats(path, header, "ImagePositionPatient", 3))))
    if len(slices) < 2:
        raise BadInputError(f"{name} holds a single slice, not a volume.", "Choose the folder with the whole series.")
    normal = _axes(slices[0])[:, 2]
    return sorted(slices, key=lambda s: float(s.position @ normal))


def _drop_copies(name: Path, slices: list[_Slice]) -> list[_Slice]:
    """The same file twice is read once; two different images at one place are refused."""
    normal = _axes(slices[0])[:, 2]
    kept = [slices[0]]
    for item in slices[1:]:
        before = kept[-1]
        if np.linalg.norm(item.position - before.position) > _SAME_PLACE_MM:
            kept.append(item)
        elif item.header.get("SOPInstanceUID") != before.header.get("SOPInstanceUID"):
            raise BadInputError(
                f"{name} holds different images at one position ({item.position @ normal:.2f} mm: "
                f"{before.path.name}, {item.path.name}): a dynamic (4-D) series, or two mixed up.",
                "Export one time point as its own series.",
            )
    if len(kept) < 2:
        raise BadInputError(f"{name} holds a single slice, not a volume.", "Choose the folder with the whole series.")
    return kept


def _check_same_layout(name: Path, slices: Sequence[_Slice]) -> None:
    """Every slice has the first one's orientation, size, pixel spacing."""
    first = slices[0]
    axes, size, spacing = _axes(first), _rows_columns(first), _pixel_spacing(first)
    for item in slices[1:]:
        if not np.allclose(_axes(item), axes, atol=1e-3):
            what = "orientation"
        elif _rows_columns(item) != size:
            what = "number of rows and columns"
        elif not np.allclose(_pixel_spacing(item), spacing, rtol=1e-3):
            what = "pixel spacing"
        else:
            continue
        raise BadInputError(
            f"The slices of {name} differ in {what} ({first.path.name}, {item.path.name}).",
            "Export one stack of slices as its own series.",
        )


def _stack(name: Path, slices: Sequence[_Slice]) -> tuple[Geometry, list[str]]:
    """Grid of the sorted slices, and remarks about their spacing."""
    axes = _axes(slices[0])
    positions = np.array([s.position for s in slices])
    along = positions @ axes[:, 2]
    steps = np.diff(along)
    spacing = float((along[-1] - along[0]) / (len(slices) - 1))
    column_mm, row_mm = _pixel_spacing(slices[0])[::-1]
    drift = (positions - positions[0]) @ axes[:, :2]
    if np.abs(drift).max() > max(0.1, 0.1 * min(row_mm, column_mm)):
        raise BadInputError(
            f"The slices of {name} are shifted against each other by up to {np.abs(drift).max():.1f} mm "
            "(gantry tilt or shear).",
            "Resample the series onto an upright grid first, for instance in Slicer's Transforms module.",
        )
    typical = float(np.median(steps))
    gap = int(np.argmax(steps))
    if steps[gap] > _MISSING_SLICE * typical:
        raise BadInputError(
            f"A slice of {name} is missing between {along[gap]:.2f} and {along[gap + 1]:.2f} mm "
            f"({slices[gap].path.name}, {slices[gap + 1].path.name}): the others are {typical:.2f} mm apart.",
            _SPACING_HINT,
        )
    even = along[0] + spacing * np.arange(len(slices))
    if np.abs(along - even).max() > 0.5 * spacing:
        raise BadInputError(
            f"The slices of {name} are not evenly spaced ({steps.min():.2f} to {steps.max():.2f} mm).", _SPACING_HINT
        )
    notes = []
    if np.abs(steps - spacing).max() > _JITTER_NOTED * spacing:
        notes.append(
            f"Slice spacing varies between {steps.min():.2f} and {steps.max():.2f} mm; "
            f"the mean, {spacing:.2f} mm, is used."
        )
    rows, columns = _rows_columns(slices[0])
    origin = positions[0]
    return Geometry(
        (columns, rows, len(slices)),
        (column_mm, row_mm, spacing),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        tuple(float(v) for v in axes.ravel()),
    ), notes


def _axes(item: _Slice) -> NDArray[np.float64]:
    """Direction matrix: columns are the LPS unit vectors of x (along a row), y (down a column) and the normal."""
    cosines = np.array(_floats(item.path, item.header, "ImageOrientationPatient", 6))
    row, column = cosines[:3], cosines[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not np.allclose(lengths, 1, atol=0.01) or abs(row @ column) > 0.01:
        raise BadInputError(f"{item.path} has an Image Orientation that is not a pair of unit vectors.", _SPACING_HINT)
    row = row / lengths[0]
    column = column - (column @ row) * row
    column = column / np.linalg.norm(column)
    axes: NDArray[np.float64] = np.stack([row, column, np.cross(row, column)], axis=1)
    return axes


def _rows_columns(item: _Slice) -> tuple[int, int]:
    return int(item.header.get("Rows") or 0), int(item.header.get("Columns") or 0)


def _pixel_spacing(item: _Slice) -> tuple[float, float]:
    """Millimetres between rows and between columns (PS3.3 10.7.1.3)."""
    rows, columns = _floats(item.path, item.header, "PixelSpacing", 2)
    if rows <= 0 or columns <= 0:
        raise BadInputError(
            f"{item.path} states a pixel spacing of {rows:g} x {columns:g} mm, which must be positive.", _SPACING_HINT
        )
    return rows, columns


def _floats(path: Path, header: FileDataset, keyword: str, count: int) -> list[float]:
    try:
        values = [float(v) for v in header.get(keyword) or []]
    except (TypeError, ValueError):
        values = []
    if len(values) != count or not np.all(np.isfinite(values)):
        raise BadInputError(f"{path} lacks a usable {keyword} tag.", "Choose an image series with slice positions.")
    return values


def rescale_of(path: Path, header: FileDataset) -> tuple[float, float]:
    """Slope and intercept from stored to real values of one slice; a PET slice without a slope is refused."""
    slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
    if slope is None and header.get("Modality") == "PT":
        raise BadInputError(f"{path} lacks the RescaleSlope tag, which a PET image must have.", _SPACING_HINT)
    values = float(1 if slope is None else slope), float(0 if intercept is None else intercept)
    if not np.all(np.isfinite(values)) or values[0] == 0:
        raise BadInputError(f"{path} has a RescaleSlope of {values[0]:g}.", _SPACING_HINT)
    return values


def _pixels(item: _Slice) -> NDArray[np.float32]:
    """Rescaled values of one slice (y, x)."""
    slope, intercept = rescale_of(item.path, item.header)
    shape = _rows_columns(item)
    syntax = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(item.path, force=True)
            if "TransferSyntaxUID" not in dataset.file_meta:
                dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
            syntax = dataset.file_meta.TransferSyntaxUID
            stored = np.asarray(dataset.pixel_array)
    except Exception as error:  # pydicom lets errors of many kinds through on damaged bytes
        if syntax is None or not syntax.is_compressed:
            raise BadInputError(
                f"{item.path} is truncated or damaged: its pixels cannot be read.", _SPACING_HINT
            ) from error
        return _pixels_by_gdcm(item, shape)  # pydicom alone has no decoder for JPEG
    if stored.shape != shape:
        raise BadInputError(f"{item.path} is a colour or damaged image.", "Choose the original CT or PET series.")
    # In single precision, as ITK rescales: the result equals the same series converted by ITK's tools to the last bit.
    values: NDArray[np.float32] = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    return values


def _pixels_by_gdcm(item: _Slice, shape: tuple[int, int]) -> NDArray[np.float32]:
    try:
        values: NDArray[np.float32] = sitk.GetArrayFromImage(sitk.ReadImage(str(item.path))).astype(np.float32)
    except RuntimeError as error:
        raise BadInputError(
            f"{item.path} is truncated or damaged: its pixels cannot be read.", _SPACING_HINT
        ) from error
    if values.size != shape[0] * shape[1]:
        raise BadInputError(f"{item.path} is a colour or damaged image.", "Choose the original CT or PET series.")
    return values.reshape(shape)


def _image(geometry: Geometry, planes: list[NDArray[np.float32]]) -> sitk.Image:
    array = np.stack(planes)
    whole = all(np.array_equal(p, np.round(p)) and np.abs(p).max() <= 32767 for p in planes)
    return geometry.image(array.astype(np.int16) if whole else array)
