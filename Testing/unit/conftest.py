"""Shared by the rooms: an RTSTRUCT and a segmentation as other programs write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

Contour = np.ndarray | tuple[str, np.ndarray]


@pytest.fixture
def structure_set() -> Callable[..., Path]:
    """Writes regions (name: contours (N, 3) in LPS mm, or (geometric type, points)) as an RTSTRUCT."""

    def write(
        path: Path,
        regions: Mapping[str, Sequence[Contour]],
        series_uid: str = "",
        change: Callable[[Dataset], None] = lambda dataset: None,
    ) -> Path:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = RTStructureSetStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        dataset.Modality, dataset.SeriesInstanceUID, dataset.PatientID = "RTSTRUCT", generate_uid(), "P1"
        dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
        for number, (name, contours) in enumerate(regions.items(), start=1):
            roi, drawn = Dataset(), Dataset()
            roi.ROINumber, roi.ROIName, drawn.ReferencedROINumber = number, name, number
            drawn.ContourSequence = [_contour(contour) for contour in contours]
            dataset.StructureSetROISequence.append(roi)
            dataset.ROIContourSequence.append(drawn)
        if series_uid:
            dataset.ReferencedFrameOfReferenceSequence = [_reference(series_uid)]
        change(dataset)
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


def _contour(contour: Contour) -> Dataset:
    kind, points = contour if isinstance(contour, tuple) else ("CLOSED_PLANAR", contour)
    item = Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = kind, len(points)
    item.ContourData = [f"{value:.6g}" for value in np.asarray(points, dtype=float).ravel()]
    return item


def _reference(series_uid: str) -> Dataset:
    frame, study, series = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = series_uid
    study.RTReferencedSeriesSequence = [series]
    frame.RTReferencedStudySequence = [study]
    return frame
