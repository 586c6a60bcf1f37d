"""Small images, DICOM series and rubbish for the tests of the volumes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid

from petctfusion.volumes import Geometry

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def turned(x_degrees: float, z_degrees: float) -> tuple[float, ...]:
    """A direction turned about z, then x."""
    a, b = np.deg2rad([x_degrees, z_degrees])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return tuple(float(v) for v in (about_x @ about_z).ravel())


@pytest.fixture
def data_folder() -> Path:
    root = os.environ.get("PETCTFUSION_DATA")
    folder = Path(root) if root else Path(__file__).resolve().parents[4] / "shared" / "data"
    if not (folder / "sts").is_dir():
        pytest.skip(f"no real patients in {folder} (set PETCTFUSION_DATA)")
    return folder


@pytest.fixture
def oblique() -> tuple[float, ...]:
    return turned(12.0, -25.0)


@pytest.fixture
def ct() -> sitk.Image:
    """A body cylinder with fat, soft tissue and bone in air, 40 x 40 x 20 voxels of 2 x 2 x 3 mm."""
    grid = Geometry((40, 40, 20), (2.0, 2.0, 3.0), (-40.0, -40.0, 100.0), UPRIGHT)
    y, x = np.mgrid[-19.5:20, -19.5:20] * 2.0
    radius = np.hypot(x, y)
    plane = np.select([radius < 6, radius < 28, radius < 34], [700.0, 40.0, -100.0], -1000.0)
    noise = np.random.default_rng(1).normal(0, 10, (20, 40, 40))
    return grid.image((plane[None] + noise).round().clip(-1000).astype(np.int16))


@pytest.fixture
def pet() -> sitk.Image:
    """Background SUV 0.5 with a hot ball of SUV 8, 20 x 20 x 20 voxels of 4 x 4 x 3 mm, over the same body."""
    grid = Geometry((20, 20, 20), (4.0, 4.0, 3.0), (-39.0, -39.0, 100.0), UPRIGHT)
    z, y, x = np.mgrid[0:20, 0:20, 0:20]
    ball = np.hypot(np.hypot(x - 12, y - 9), z - 10) < 4
    body = np.hypot(x - 9.5, y - 9.5) < 8.5
    noise = np.random.default_rng(2).uniform(0, 0.1, ball.shape)
    return grid.image(np.where(ball, 8.0, body * 0.5).astype(np.float32) + noise.astype(np.float32))


@pytest.fixture
def reference(ct: sitk.Image) -> sitk.Image:
    array = np.zeros(Geometry.of(ct).shape, dtype=np.uint8)
    array[8:13, 15:22, 22:29] = 1
    return Geometry.of(ct).image(array)


@dataclass
class SeriesWriter:
    """Writes a DICOM series slice by slice; attributes may be changed before `write`."""

    modality: str
    values: NDArray[np.int16]
    spacing: tuple[float, float, float] = (4.0, 4.0, 3.0)
    origin: tuple[float, float, float] = (-10.0, -20.0, 30.0)
    direction: tuple[float, ...] = UPRIGHT
    along: list[float] | None = None
    shift_per_slice: tuple[float, float, float] = (0.0, 0.0, 0.0)
    slopes: list[float] | None = None
    tags: dict[str, Any] = field(default_factory=dict)
    isotope: dict[str, Any] = field(default_factory=dict)
    change_slice: Callable[[int, Dataset], None] = lambda index, dataset: None
    uid: str = field(default_factory=generate_uid)
    reverse_names: bool = False

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        count = len(self.values)
        for index in range(count):
            name = count - index if self.reverse_names else index
            self.dataset(index).save_as(folder / f"{name:04d}.dcm", enforce_file_format=True)
        return folder

    def dataset(self, index: int) -> FileDataset:
        pet = self.modality == "PT"
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = PositronEmissionTomographyImageStorage if pet else CTImageStorage
        meta.MediaStorageSOPInstanceUID = f"{self.uid[:60]}.{index + 1}"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        dataset.SeriesInstanceUID, dataset.Modality = self.uid, self.modality
        dataset.SeriesDescription, dataset.PatientID, dataset.FrameOfReferenceUID = "test", "P1", "1.2.3"
        axes = np.array(self.direction).reshape(3, 3)
        along = index * self.spacing[2] if self.along is None else self.along[index]
        position = np.array(self.origin) + along * axes[:, 2] + index * np.array(self.shift_per_slice)
        dataset.ImagePositionPatient = [f"{v:.8g}" for v in position]
        dataset.ImageOrientationPatient = [f"{v:.10f}" for v in (*axes[:, 0], *axes[:, 1])]
        dataset.PixelSpacing = [f"{self.spacing[1]}", f"{self.spacing[0]}"]
        dataset.InstanceNumber = index + 1
        plane = np.ascontiguousarray(self.values[index].astype("<i2"))
        dataset.Rows, dataset.Columns = plane.shape
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.RescaleSlope = f"{self.slopes[index] if self.slopes else 1}"
        dataset.RescaleIntercept = "0"
        dataset.PixelData = plane.tobytes()
        if pet:
            self._pet_tags(dataset)
        self.change_slice(index, dataset)
        return dataset

    def _pet_tags(self, dataset: Dataset) -> None:
        tags: dict[str, Any] = {
            "Units": "BQML",
            "DecayCorrection": "START",
            "CorrectedImage": ["DECY", "ATTN"],
            "PatientWeight": "70",
            "SeriesDate": "20240310",
            "SeriesTime": "110000",
            "AcquisitionDate": "20240310",
            "AcquisitionTime": "110000",
        } | self.tags
        isotope: dict[str, Any] = {
            "RadiopharmaceuticalStartTime": "100000",
            "RadionuclideTotalDose": "350000000",
            "RadionuclideHalfLife": "6586.2",
        } | self.isotope
        for target, values in ((dataset, tags), (item := Dataset(), isotope)):
            for keyword, value in values.items():
                if value is not None:
                    setattr(target, keyword, value)
        dataset.RadiopharmaceuticalInformationSequence = [item]


@pytest.fixture
def pet_series() -> SeriesWriter:
    """BQML, START: 70 kg, 350 MBq, one hour after the injection; a different slope for each of six slices."""
    values = np.random.default_rng(3).integers(0, 30000, (6, 8, 9)).astype(np.int16)
    return SeriesWriter("PT", values, slopes=[0.5, 0.6, 0.7, 0.8, 0.9, 1.0])


@pytest.fixture
def ct_series() -> SeriesWriter:
    values = np.random.default_rng(4).integers(-1000, 1500, (6, 12, 10)).astype(np.int16)
    return SeriesWriter("CT", values, spacing=(1.0, 1.5, 3.0))
