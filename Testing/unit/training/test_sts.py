"""The sarcoma adapter, the rules and the blind ellipsoid."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError
from petctfusion.training.benchmark.rules import RULES, apply_rule, blind_ellipsoid
from petctfusion.training.datasets.sts import contour_box, crop_to_box, recrop, sts_patients
from petctfusion.volumes.geometry import Geometry


def test_a_folder_that_is_not_the_collection_is_named(tmp_path):
    with pytest.raises(BadInputError, match="not the prepared sarcoma collection"):
        sts_patients(tmp_path, "train")


@pytest.mark.data
def test_no_patient_is_in_two_parts_of_the_split(sts_folder):
    parts = [{p.name for p in sts_patients(sts_folder, part)} for part in ("train", "tune", "validation")]
    assert [len(part) for part in parts] == [26, 5, 8]
    assert len(set.union(*parts)) == 39


@pytest.mark.data
def test_recropping_leaves_the_stated_margins_and_the_whole_contour(sts_folder):
    patient = next(p for p in sts_patients(sts_folder, "tune") if p.name == "STS_001")
    contour = sitk.ReadImage(str(patient.file("PET_GTV")))
    ct, cut = recrop(patient, [sitk.ReadImage(str(patient.file("CT"))), contour])
    stated = np.array(json.loads((sts_folder / "margins.json").read_text())["margins"]["STS_001"])
    index = np.argwhere(sitk.GetArrayFromImage(cut) > 0)[:, ::-1]
    spacing = np.array(contour.GetSpacing())
    left = np.stack([index.min(0) * spacing, (np.array(cut.GetSize()) - 1 - index.max(0)) * spacing], axis=1)
    # Whole voxels: those whose centres lie in the box, so each side is right to half a voxel.
    assert (np.abs(left - stated) <= spacing[:, None] / 2 + 1e-6).all()
    assert sitk.GetArrayFromImage(cut).sum() == sitk.GetArrayFromImage(contour).sum()
    assert ct.GetSize()[0] < 198


def test_crop_to_box_keeps_world_positions():
    geometry = Geometry((20, 20, 20), (2.0, 2.0, 3.0), (5.0, -7.0, 11.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    array = np.zeros(geometry.shape, np.uint8)
    array[8:11, 7:12, 9:13] = 1
    image = geometry.image(array)
    cut = crop_to_box(image, contour_box(image, ((4.0, 6.0), (2.0, 2.0), (3.0, 9.0))), geometry)
    index = np.argwhere(sitk.GetArrayFromImage(cut) > 0)
    assert tuple(index.min(0)) == (1, 1, 2)
    assert cut.TransformIndexToPhysicalPoint((2, 1, 1)) == image.TransformIndexToPhysicalPoint((9, 7, 8))


def test_located_rules_drop_parts_that_do_not_touch_the_contour():
    geometry = Geometry((20, 10, 10), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    suv = np.zeros(geometry.shape, np.float32)
    suv[2:6, 2:6, 2:6] = 8.0
    suv[2:6, 2:6, 12:16] = 9.0
    contour = np.zeros(geometry.shape, np.uint8)
    contour[3:5, 3:5, 3:5] = 1
    masks = {rule.name: apply_rule(rule, geometry.image(suv), geometry.image(contour)) for rule in RULES}
    volume = {name: int(sitk.GetArrayFromImage(mask).sum()) for name, mask in masks.items()}
    assert volume["SUV >= 2.5 (located)"] == volume["41 % of SUVmax (located)"] == 64
    assert volume["SUV >= 2.5 (whole crop)"] == 128


def test_blind_ellipsoid_fills_the_box_less_the_margin():
    ct = Geometry((100, 80, 60), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1)).empty()
    array = sitk.GetArrayFromImage(blind_ellipsoid(ct, 20.0))
    semi_axes = (29.5, 19.5, 39.0)
    assert array.sum() * 2.0 == pytest.approx(4 / 3 * np.pi * np.prod(semi_axes), rel=0.02)
