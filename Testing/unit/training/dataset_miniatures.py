"""Small phantoms written in the layout of each data set; importable by spawned processes too."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid

from petctfusion.phantom import LesionSpec, Phantom, PhantomSettings, make_phantom
from petctfusion.volumes import Geometry, write_volume

MARGINS = [[10.0, 10.0]] * 3


@cache
def phantom(seed: int) -> Phantom:
    """One lesion of 30 mm in a field of view of about 6 cm."""
    return make_phantom(
        PhantomSettings(
            seed=seed,
            field_of_view="lesion",
            margin_mm=14.0,
            fine_mm=3.0,
            ct_spacing_mm=(3.0, 3.0, 4.0),
            pet_spacing_mm=(4.0, 4.0, 4.0),
            lesions=(LesionSpec("thigh-left", 30.0, 8.0),),
        )
    )


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def with_second_label(reference: sitk.Image) -> sitk.Image:
    """The lower half of the lesion as label 1, the upper as label 2."""
    labels = array(reference)
    slices = np.argwhere(labels)[:, 0]
    labels[int(slices.mean()) + 1 :] *= 2
    return Geometry.of(reference).image(labels)


def nnunet(root: Path, seeds=(1, 2, 3), labels=None, channels=None) -> Path:
    description = {
        "channel_names": channels or {"0": "CT", "1": "PET"},
        "labels": labels or {"background": 0, "tumour": 1},
        "numTraining": len(seeds),
        "file_ending": ".nii.gz",
    }
    root.mkdir(parents=True)
    (root / "dataset.json").write_text(json.dumps(description))
    for seed in seeds:
        one = phantom(seed)
        write_volume(one.ct, root / "imagesTr" / f"case_{seed}_0000.nii.gz")
        write_volume(one.pet, root / "imagesTr" / f"case_{seed}_0001.nii.gz")
        write_volume(one.reference, root / "labelsTr" / f"case_{seed}.nii.gz")
    return root


def autopet(root: Path) -> Path:
    """Two studies of one patient, one of another."""
    for seed, study in ((1, "PETCT_01/2003-A"), (2, "PETCT_01/2004-B"), (3, "PSMA_7/2010-C")):
        write_volume(phantom(seed).ct, root / study / "CTres.nii.gz")
        write_volume(phantom(seed).pet, root / study / "SUV.nii.gz")
        write_volume(phantom(seed).reference, root / study / "SEG.nii.gz")
    return root


def hecktor(root: Path, year: int) -> Path:
    for seed in (1, 2, 3):
        name = f"CHUM-00{seed}"
        images = root / "imagesTr" if year == 2022 else root / name
        labels = root / "labelsTr" if year == 2022 else root / name
        write_volume(phantom(seed).ct, images / f"{name}__CT.nii.gz")
        write_volume(phantom(seed).pet, images / f"{name}__PT.nii.gz")
        write_volume(with_second_label(phantom(seed).reference), labels / f"{name}.nii.gz")
    return root


def picture(values: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path))
    return path


def middle_slice(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CT, PET and mask (y, x) uint8 in grey levels, through the middle of the lesion."""
    one = phantom(seed)
    pet = sitk.Resample(one.pet, one.ct, sitk.Transform(), sitk.sitkLinear, 0.0)
    z = int(np.argwhere(array(one.reference))[:, 0].mean())
    ct_grey = np.clip((array(one.ct)[z] + 200.0) / 2.0, 0, 255).astype(np.uint8)
    return ct_grey, np.clip(array(pet)[z] * 20, 0, 255).astype(np.uint8), array(one.reference)[z] * np.uint8(255)


def pclt20k(root: Path) -> Path:
    for seed, (patient, number) in {1: ("1001", "42"), 2: ("1001", "43"), 3: ("1002", "7")}.items():
        for kind, values in zip(("ct", "pet", "mask"), middle_slice(seed), strict=True):
            picture(values, root / patient / f"{patient}_{number}_{kind}.png")
    (root / "train.txt").write_text("1001_42\n1001_43\n")
    (root / "test.txt").write_text("1002_7\n")
    return root


def table(root: Path) -> Path:
    for seed in (1, 2, 3):
        write_volume(phantom(seed).ct, root / f"ct{seed}.nii.gz")
        write_volume(phantom(seed).pet, root / f"pet{seed}.nii.gz")
        write_volume(phantom(seed).reference, root / f"gtv{seed}.nii.gz")
    rows = ["patient,study,CT,PT,contour,split"]
    rows += [f"P{seed},first,ct{seed}.nii.gz,pet{seed}.nii.gz,gtv{seed}.nii.gz,train" for seed in (1, 2, 3)]
    path = root / "patients.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def sts(root: Path) -> Path:
    names = {1: "STS_001", 2: "STS_002", 3: "STS_019"}
    for seed, name in names.items():
        one = phantom(seed)
        for kind, image in (("CT", one.ct), ("PET", one.pet), ("CT_GTV", one.reference)):
            write_volume(image, root / name / f"{kind}.nii.gz")
        write_volume(one.reference_pet_grid, root / name / "PET_GTV.nii.gz")
    split = {"train": ["STS_001"], "tune": ["STS_002"], "validation": ["STS_019"]}
    (root / "split.json").write_text(json.dumps(split))
    (root / "margins.json").write_text(json.dumps({"margins": dict.fromkeys(names.values(), MARGINS)}))
    return root


def dicom_series(image: sitk.Image, modality: str, folder: Path, patient: str) -> str:
    """Writes `image` slice by slice (PET in Bq/ml of 70 kg and 350 MBq at injection); returns the series' UID."""
    uid, grid, pet = generate_uid(), Geometry.of(image), modality == "PT"
    # SUV = Bq/ml * 70000 g / 350e6 Bq: undecayed, as the scan begins with the injection.
    values = array(image) * 5000.0 if pet else array(image)
    for index, plane in enumerate(values):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = PositronEmissionTomographyImageStorage if pet else CTImageStorage
        meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = generate_uid(), ExplicitVRLittleEndian
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        dataset.SeriesInstanceUID, dataset.Modality, dataset.PatientID = uid, modality, patient
        dataset.FrameOfReferenceUID, dataset.InstanceNumber = "1.2.3", index + 1
        position = grid.points(np.array([[0.0, 0.0, float(index)]]))[0]
        dataset.ImagePositionPatient = [f"{value:.8g}" for value in position]
        dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        dataset.PixelSpacing = [str(grid.spacing[1]), str(grid.spacing[0])]
        dataset.Rows, dataset.Columns = plane.shape
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.RescaleSlope, dataset.RescaleIntercept = ("2" if pet else "1"), "0"
        dataset.PixelData = np.round(plane / 2 if pet else plane).astype("<i2").tobytes()
        if pet:
            dataset.Units, dataset.DecayCorrection, dataset.CorrectedImage = "BQML", "START", ["DECY", "ATTN"]
            dataset.PatientWeight, dataset.SeriesDate, dataset.SeriesTime = "70", "20240310", "100000"
            dataset.AcquisitionDate, dataset.AcquisitionTime = "20240310", "100000"
            dose = Dataset()
            dose.RadiopharmaceuticalStartTime, dose.RadionuclideTotalDose = "100000", "350000000"
            dose.RadionuclideHalfLife = "6586.2"
            dataset.RadiopharmaceuticalInformationSequence = [dose]
        folder.mkdir(parents=True, exist_ok=True)
        dataset.save_as(folder / f"{modality}{index:03d}.dcm", enforce_file_format=True)
    return uid


def box_contours(reference: sitk.Image) -> tuple[list[np.ndarray], np.ndarray]:
    """The lesion's box as one rectangle a slice (LPS mm, on voxel edges), and the mask (z, y, x) of that box."""
    grid = Geometry.of(reference)
    index = np.argwhere(array(reference))
    low, high = index.min(axis=0), index.max(axis=0)
    mask = np.zeros(grid.shape, np.uint8)
    mask[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = 1
    left, right, top, bottom = low[2] - 0.5, high[2] + 0.5, low[1] - 0.5, high[1] + 0.5
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return [grid.points(np.array([(x, y, z) for x, y in corners])) for z in range(low[0], high[0] + 1)], mask
