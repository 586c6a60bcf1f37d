"""PET in SUVbw, with the evidence for it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from petctfusion.errors import BadInputError
from petctfusion.volumes.dicom import DicomSeries, read_series, rescale_of
from petctfusion.volumes.dicom_files import tags_of
from petctfusion.volumes.notes import copy_marks
from petctfusion.volumes.reading import existing, is_dicom, read_volume
from petctfusion.volumes.statistics import sample
from petctfusion.volumes.suv import suv_factor

UNIT_CHOICES = ("auto", "suvbw", "bqml")
ASSUMED = "assumed"
_MOST_SUV = 200.0
_CT_LIKE_VALUE = -20.0
_CT_LIKE_SHARE = 1e-3
_UNIT_KEYS = (
    "measurementunits",
    "units",
    "unit",
    "voxelunits",
    "voxelvalueunits",
    "voxel_value_units",
    "intensityunits",
)


@dataclass(frozen=True)
class PetUnits:
    """Units of a PET with the evidence, e.g. "SUVbw (from DICOM tags: BQML, START)"."""

    name: str
    evidence: str

    @property
    def assumed(self) -> bool:
        """True when nothing said so: a person should confirm it."""
        return self.evidence == ASSUMED

    def __str__(self) -> str:
        return f"{self.name} ({self.evidence})"


@dataclass(frozen=True)
class PetVolume:
    """A PET in SUVbw (float32) and how that is known."""

    image: sitk.Image
    units: PetUnits


def read_pet(path: str | os.PathLike[str], units: str = "auto") -> PetVolume:
    """Read a PET and bring it to SUVbw.

    `units`: "auto" lets the tags decide (a file without unit tags is assumed to be SUVbw), "suvbw" declares the values
    to be SUVbw whatever the tags say, "bqml" insists on a conversion from the DICOM tags. Raises `BadInputError` for
    units that cannot be converted and for values that are implausible as SUV.
    """
    if units not in UNIT_CHOICES:
        raise BadInputError(f"{units!r} is no choice of PET units.", f"Use one of {', '.join(UNIT_CHOICES)}.")
    source = existing(path)
    if is_dicom(source):
        series = read_series(source, "PT")
        with tags_of(source):
            return _from_dicom(series, units)
    image = read_volume(source)
    metadata = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    found = classify_pet(image, units, metadata, str(path))
    return PetVolume(copy_marks(image, sitk.Cast(image, sitk.sitkFloat32)), found)


def classify_pet(
    image: sitk.Image,
    declared: str = "auto",
    metadata: Mapping[str, str] | None = None,
    name: str = "The PET",
) -> PetUnits:
    """The units of a PET that is in memory: declared, else named by `metadata`, else assumed (`PetUnits.assumed`).

    `metadata` are the key/value pairs of the file or node; a units key such as "MeasurementUnits", "units" or
    "DICOM.Units" with {SUVbw}g/ml is recognised. Raises `BadInputError` when the values cannot be SUVbw.
    """
    if declared == "bqml":
        raise BadInputError(
            f"{name} in Bq/ml needs the patient's weight, the dose and the injection time, "
            "which this file does not hold.",
            "Give the PET as its DICOM series, or convert it to SUVbw first.",
        )
    found = PetUnits("SUVbw", "declared") if declared == "suvbw" else _from_metadata(metadata or {}, name)
    check_plausible(image, name)
    return found


def check_plausible(image: sitk.Image, name: str = "The PET") -> None:
    """Raise `BadInputError` when `image` cannot be a PET in SUVbw: it looks like a CT, or like Bq/ml."""
    values = sample(image)
    if np.mean(values < _CT_LIKE_VALUE) > _CT_LIKE_SHARE:
        raise BadInputError(
            f"{name} looks like a CT, not like a PET (values down to {values.min():g}): CT and PET look swapped.",
            "Exchange the two inputs.",
        )
    high = float(np.percentile(values, 99.9))
    if high > _MOST_SUV:
        raise BadInputError(
            f"{name} is implausible as SUV (99.9th percentile {high:.4g}, above {_MOST_SUV:g}): "
            "it looks like Bq/ml or counts.",
            "Give the PET as its DICOM series, or convert it to SUVbw first.",
        )


def _from_metadata(metadata: Mapping[str, str], name: str) -> PetUnits:
    for key, value in metadata.items():
        short = key.lower().rsplit(".", 1)[-1].replace(" ", "")
        if short not in _UNIT_KEYS or not str(value).strip():
            continue
        kind = suv_kind(str(value))
        if kind == "bw":
            return PetUnits("SUVbw", f"from metadata: {key} = {value}")
        if kind or _says_activity(str(value)):
            raise BadInputError(
                f"{name} is in {value} according to its metadata ({key}), not in SUV by body weight.",
                "Convert it to SUVbw, or declare the units as suvbw if the metadata are wrong.",
            )
    return PetUnits("SUVbw", ASSUMED)


def suv_kind(units: str) -> str:
    """ "bw", "lbm", "bsa" or "ibw" from a UCUM code such as {SUVbw}g/ml (PS3.16 CID 85), else an empty string."""
    text = units.lower().replace(" ", "")
    if "suv" not in text:
        return ""
    return next((kind for kind in ("lbm", "bsa", "ibw") if kind in text), "bw")


def _says_activity(units: str) -> bool:
    text = units.lower().replace(" ", "")
    return text in ("bqml", "cnts", "counts", "cps") or text.endswith("bq/ml")


def _from_dicom(series: DicomSeries, units: str) -> PetVolume:
    stated = str(series.headers[0].get("Units", "")).strip().upper()
    if units == "bqml" and stated != "BQML":
        raise BadInputError(
            f"{series.name} was declared to be in Bq/ml, but its Units tag (0054,1001) says {stated or 'nothing'}.",
            "Leave the units to the tags (auto).",
        )
    values = sitk.GetArrayFromImage(series.image).astype(np.float64)
    if units == "suvbw":
        found = PetUnits("SUVbw", "declared")
    elif units == "auto" and (mapped := _real_world_values(series, values)) is not None:
        values, found = mapped
    else:
        suv = suv_factor(series.headers, series.name)
        values = values * suv.factor
        found = PetUnits("SUVbw", f"from DICOM tags: {suv.evidence}")
    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.CopyInformation(series.image)
    copy_marks(series.image, image)
    check_plausible(image, series.name)
    return PetVolume(image, found)


def _real_world_values(series: DicomSeries, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], PetUnits] | None:
    """SUVbw by the Real World Value Mapping in the series (PS3.3 C.7.6.16.2.11), when every slice has one for it.

    The mapping starts from stored values, so the rescale of each slice is undone first.
    """
    mappings = [_suv_mapping(header) for header in series.headers]
    if not mappings or any(m is None for m in mappings):
        return None
    result = np.empty_like(values)
    for index, (header, mapping) in enumerate(zip(series.headers, mappings, strict=True)):
        assert mapping is not None
        slope, intercept = rescale_of(Path(series.name), header)
        stored = np.round((values[index] - intercept) / slope)
        result[index] = stored * mapping[0] + mapping[1]
    return result, PetUnits("SUVbw", "from DICOM tags: real world value mapping {SUVbw}g/ml")


def _suv_mapping(header: Dataset) -> tuple[float, float] | None:
    for item in _items(header, "RealWorldValueMappingSequence"):
        for code in _items(item, "MeasurementUnitsCodeSequence"):
            slope = item.get("RealWorldValueSlope")
            if suv_kind(str(code.get("CodeValue", ""))) == "bw" and slope is not None and float(slope) > 0:
                return float(slope), float(item.get("RealWorldValueIntercept") or 0)
    return None


def _items(header: Dataset, keyword: str) -> Sequence[Dataset]:
    return header.get(keyword) or []
